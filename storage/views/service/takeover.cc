// A version that was built takes its place.
#include "storage/views/service/service.h"

namespace runnel::storage::views {
namespace {

/// A view that is built and no further behind takes its place: the rest is a moment's work.
constexpr std::uint64_t kNearEnough = 10'000;

}  // namespace

void Service::finish_built() {
  Runners running;
  {
    const MutexLock lock(mutex_);
    running = runners_;
  }
  for (const auto& [task, runner] : running) {
    if (!runner->is_builder() || runner->failures() != 0) continue;
    if (runner->lag() > kNearEnough) continue;
    const Status done = finish(*runner);
    if (done) continue;
    log(LogLevel::kWarning, "view " + runner->views().front().name +
                                " can't take its place yet: " + done.error().to_string());
    again_ = true;
  }
}

Service::Neighbours Service::neighbours_of(const Entry& entry) const {
  const std::uint32_t number = entry.stored.number;
  const auto& versions = entry.stored.versions;
  StoredVersion built = versions.back();
  built.built = true;
  const Task home = task_of({number, built.generation}, built, entry.bound.back());
  Neighbours found;
  const MutexLock lock(mutex_);
  for (const auto& [task, runner] : runners_) {
    if (task == home && !runner->is_builder()) found.home = runner;
    if (versions.size() > 1 && runner->find({number, versions.front().generation})) {
      found.old = runner;
    }
  }
  return found;
}

Status Service::finish(TopicRunner& builder) {
  const ViewId id = builder.views().front().id;
  const auto found = entries_.find(id.view);
  if (found == entries_.end()) return {};
  Entry entry = found->second;
  auto& versions = entry.stored.versions;
  if (id.generation != versions.back().generation) return {};  // it was replaced meanwhile
  // Who reads the view must not see it go back: what it is to replace stands still until it has
  // come as far.
  const Neighbours around = neighbours_of(entry);
  const bool follows_old = around.old && around.old->topic() == builder.topic();
  TopicRunner* const ahead = follows_old ? around.old.get() : around.home.get();
  builder.stop();
  for (const auto& other : {around.old, around.home}) {
    if (other) other->stop();
  }
  const auto remove = [&]() RUNNEL_REQUIRES(changes_) {
    for (const auto& other : {around.old, around.home}) {
      if (other) remove_runner(*other);
    }
    remove_runner(builder);
  };
  Along along;
  const Status done = [&]() RUNNEL_REQUIRES(changes_) -> Status {
    while (builder.failures() == 0) {
      RUNNEL_TRY_ASSIGN(const bool more, builder.round());
      if (!more || ahead == nullptr || builder.has_reached(*ahead)) break;
    }
    if (builder.failures() != 0) return {};
    if (versions.size() > 1) {
      RUNNEL_TRY(hand_over_changelog(entry));
      const ViewId sender = sender_of(entry, versions.back()).value_or(id);
      if (sender != id) RUNNEL_TRY(inherit_letters(sender, id, along.positions));
      versions.erase(versions.begin());
      entry.bound.erase(entry.bound.begin());
    }
    versions.front().built = true;
    std::shared_ptr<StateStore> state;
    {
      const MutexLock lock(mutex_);
      dirty_ = true;
      state = state_;
    }
    remove();
    // What is said to be built has to be so after a crash, too.
    RUNNEL_TRY(state->flush());
    return change({std::move(entry)}, {}, along);
  }();
  if (done && builder.failures() == 0) return {};
  remove();
  reconcile();
  return done;
}

Status Service::hand_over_changelog(const Entry& entry) {
  const auto& topic_of = [](const BoundVersion& bound) -> const std::optional<std::string>& {
    return bound.view->options.changelog_topic;
  };
  const BoundVersion& old = entry.bound.front();
  const BoundVersion& heir = entry.bound.back();
  if (old.problem || !old.has_state() || !topic_of(old) || topic_of(old) != topic_of(heir)) {
    return {};
  }
  std::shared_ptr<StateStore> state;
  {
    const MutexLock lock(mutex_);
    state = state_;
  }
  const std::uint32_t number = entry.stored.number;
  RUNNEL_TRY_ASSIGN(const auto changelog,
                    Changelog::open(store_, *options_.clock, *old.view,
                                    {number, entry.stored.versions.front().generation}));
  const Status done =
      changelog->give_way(*state, *heir.view, {number, entry.stored.versions.back().generation});
  if (done || done.error().code() != ErrorCode::kNotAvailable) return done;
  if (!entry.stored.versions.front().failure) return done;
  // It never comes as far as the topic.
  log(LogLevel::kWarning, entry.stored.name + " had failed: rows that it wrote to " +
                              *topic_of(old) + " and that are no more may stay there");
  return {};
}

}  // namespace runnel::storage::views
