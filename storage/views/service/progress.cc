// Who waits for views, who watches them, and how they are.
#include <algorithm>
#include <functional>
#include <span>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/view_reader.h"
#include "storage/views/service/service.h"

namespace runnel::storage::views {

/// `changed` is called under `calls`, so that who destroys a watch knows that none runs.
struct Service::Watcher {
  std::string view;
  Mutex calls;
  std::function<void()> changed RUNNEL_GUARDED_BY(calls);  ///< empty: it is over
};

class Service::WatchHandle final : public ViewWatch {
 public:
  explicit WatchHandle(std::shared_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~WatchHandle() override {
    const MutexLock lock(watcher_->calls);
    watcher_->changed = nullptr;
  }
  WatchHandle(const WatchHandle&) = delete;
  WatchHandle& operator=(const WatchHandle&) = delete;

 private:
  std::shared_ptr<Watcher> watcher_;
};

void Service::after_round(TopicRunner& runner) {
  const bool news = runner.take_news();
  const std::vector<bool> changed = runner.take_changed();
  const bool failed = runner.failures() != 0;
  if (news) {
    const MutexLock lock(mutex_);
    dirty_ = true;
  }
  if (failed || runner.is_builder()) kick();
  if (news || failed) settle(&runner.topic());
  std::vector<std::string> names;
  for (std::size_t v = 0; v < changed.size(); ++v) {
    if (changed[v]) names.push_back(runner.views()[v].name);
  }
  if (!names.empty()) notify(&names);
}

void Service::kick() {
  const MutexLock lock(mutex_);
  kicked_ = true;
  changed_.notify_all();
}

// ---------------------------------------------------------------- waiting
namespace {

/// In order, each partition once with the greatest offset of it: who waits names what it likes, and
/// every round looks at what is waited for.
void make_unique(std::vector<Position>& positions) {
  std::sort(positions.begin(), positions.end(), std::greater<>());
  const auto last =
      std::unique(positions.begin(), positions.end(), [](const Position& a, const Position& b) {
        return a.partition == b.partition && a.topic == b.topic;
      });
  positions.erase(last, positions.end());
  std::reverse(positions.begin(), positions.end());
}

/// Those of one topic. The positions are in order.
std::span<const Position> of_topic(std::span<const Position> positions, std::string_view topic) {
  const auto begin = std::partition_point(positions.begin(), positions.end(),
                                          [&](const Position& p) { return p.topic < topic; });
  const auto end = std::partition_point(begin, positions.end(),
                                        [&](const Position& p) { return p.topic == topic; });
  return {begin, end};
}

bool reached(const TopicRunner& runner, std::span<const Position> positions) {
  return std::all_of(positions.begin(), positions.end(), [&](const Position& position) {
    const auto number = static_cast<std::size_t>(position.partition.value());
    return number < runner.partitions() && runner.applied(number) >= position.next;
  });
}

}  // namespace

void Service::when_applied(std::string_view view, std::vector<Position> positions,
                           Steady::time_point deadline, AppliedCallback done) {
  make_unique(positions);
  Waiter waiter{std::string(view), std::move(positions), deadline, nullptr};
  std::optional<Status> known;
  {
    const MutexLock lock(mutex_);
    known = judge(waiter);
    if (!known) {
      waiter.done = std::move(done);
      waiters_.push_back(std::move(waiter));
      kicked_ = true;  // the keeper has to know the deadline, and maybe a new partition
      changed_.notify_all();
    }
  }
  if (known) done(std::move(*known));
}

void Service::settle(const std::string* topic) {
  Settled settled;
  {
    const MutexLock lock(mutex_);
    for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
      const bool concerned = topic == nullptr || !of_topic(waiter->positions, *topic).empty();
      auto known = concerned ? judge(*waiter) : std::nullopt;
      if (!known) {
        ++waiter;
        continue;
      }
      settled.emplace_back(std::move(waiter->done), std::move(*known));
      waiter = waiters_.erase(waiter);
    }
  }
  for (auto& [done, status] : settled) done(std::move(status));
}

std::optional<Status> Service::judge(const Waiter& waiter) const {
  const auto late = [&]() RUNNEL_REQUIRES(mutex_) -> std::optional<Status> {
    if (stopping_) return fail(ErrorCode::kShuttingDown, "the views are being stopped");
    if (Steady::now() < waiter.deadline) return std::nullopt;
    return fail(ErrorCode::kTimeout, "the views did not get that far in time");
  };
  if (!waiter.view.empty()) {
    const DefinitionRef base = base_of(waiter.view);
    if (base == nullptr) {
      return fail(ErrorCode::kNotFound, "there is no view '" + waiter.view + "'");
    }
    if (base->failure) {
      return fail(ErrorCode::kNotAvailable,
                  "the view " + base->name + " has failed: " + base->failure->message());
    }
    if (base->paused) {
      return fail(ErrorCode::kNotAvailable,
                  "the view " + base->name + " is paused; ALTER ... RESUME goes on");
    }
    const auto runner = runner_of(base->id);
    if (runner == nullptr) return late();
    const auto place = runner->find(base->id);
    if (const auto why = place ? runner->failure(*place) : std::nullopt) {
      return fail(ErrorCode::kNotAvailable,
                  "the view " + base->name + " has failed: " + why->message());
    }
    if (reached(*runner, of_topic(waiter.positions, runner->topic()))) return Status();
    return late();
  }
  for (std::span<const Position> rest = waiter.positions; !rest.empty();) {
    const std::string& topic = rest.front().topic;
    const std::span<const Position> here = of_topic(rest, topic);
    rest = rest.subspan(here.size());
    for (auto task = busy_.lower_bound({topic, {}}); task != busy_.end() && task->topic == topic;
         ++task) {
      const auto runner = runners_.find(*task);
      if (runner == runners_.end() || !reached(*runner->second, here)) return late();
    }
  }
  return Status();
}

std::shared_ptr<TopicRunner> Service::runner_of(ViewId id) const {
  for (const auto& [task, runner] : runners_) {
    if (runner->find(id)) return runner;
  }
  return nullptr;
}

DefinitionRef Service::base_of(std::string_view name) const {
  DefinitionRef found = definitions_->find(name);
  // Views can't read each other in circles: what a view reads was there before it.
  while (found != nullptr && found->kind == sql::ObjectKind::kView && !found->failure &&
         found->over_view()) {
    found = definitions_->find(found->view->source.name);
  }
  if (found == nullptr || found->kind == sql::ObjectKind::kSource ||
      found->kind == sql::ObjectKind::kTable) {
    return nullptr;
  }
  return found;
}

// ---------------------------------------------------------------- watching
Result<std::unique_ptr<ViewWatch>> Service::watch(std::string_view view,
                                                  std::function<void()> changed) {
  auto watcher = std::make_shared<Watcher>();
  watcher->view = view;
  {
    const MutexLock lock(watcher->calls);
    watcher->changed = std::move(changed);
  }
  const MutexLock lock(mutex_);
  if (base_of(view) == nullptr) {
    return fail(ErrorCode::kNotFound, "there is no view '" + std::string(view) + "'");
  }
  watchers_.push_back(watcher);
  return std::make_unique<WatchHandle>(std::move(watcher));
}

void Service::notify(const std::vector<std::string>* names) {
  std::vector<std::shared_ptr<Watcher>> concerned;
  {
    const MutexLock lock(mutex_);
    std::erase_if(watchers_, [&](const std::weak_ptr<Watcher>& weak) RUNNEL_REQUIRES(mutex_) {
      auto watcher = weak.lock();
      if (watcher == nullptr) return true;
      const DefinitionRef base = names == nullptr ? nullptr : base_of(watcher->view);
      if (names == nullptr ||
          (base && std::find(names->begin(), names->end(), base->name) != names->end())) {
        concerned.push_back(std::move(watcher));
      }
      return false;
    });
  }
  for (const auto& watcher : concerned) {
    const MutexLock lock(watcher->calls);
    if (watcher->changed) watcher->changed();
  }
}

// ---------------------------------------------------------------- what is told of them
namespace {

/// Where a view or stream is in each partition of its topic, and what became of the records.
Status fill_progress(const Definition& definition, const ReadSnapshot& now, ViewStatus& status) {
  std::map<std::uint32_t, Cursor> cursors;
  if (definition.stream == nullptr) {
    if (now.state == nullptr) return {};
    RUNNEL_TRY_ASSIGN(const auto reader,
                      ViewReader::open(*definition.view, definition.id, *now.state));
    for (const auto& [partition, cursor] : reader->cursors()) cursors[partition] = cursor;
    status.sequence = reader->sequence();
  }
  const std::string& topic =
      definition.stream ? definition.stream->source.topic : definition.view->source.topic;
  const auto info = now.store->describe_topic(topic);
  if (!info) return {};  // whose topic is gone has said so
  for (const PartitionInfo& partition : info->partitions) {
    const auto number = static_cast<std::uint32_t>(partition.index.value());
    if (definition.stream) {
      RUNNEL_TRY_ASSIGN(cursors[number], stream_position(*now.store, definition.id, number));
    }
    Offset at(cursors[number].next);
    for (const auto& [index, start] : definition.start) {
      if (index == partition.index) at = std::max(at, start);
    }
    status.applied.push_back({topic, partition.index, at});
    if (at < partition.last_stable) {
      status.lag += static_cast<std::uint64_t>(partition.last_stable - at);
    }
  }
  for (const auto& [partition, cursor] : cursors) {
    status.totals += cursor.counters;
    status.groups += cursor.groups;
  }
  return {};
}

ViewState state_of(const Definition& definition) {
  if (definition.failure) return ViewState::kFailed;
  if (definition.paused) return ViewState::kPaused;
  return definition.building ? ViewState::kBuilding : ViewState::kRunning;
}

}  // namespace

ViewStatus Service::status_of(const Definition& definition, const ReadSnapshot& now) const {
  ViewStatus status;
  status.name = definition.name;
  status.kind = definition.kind;
  status.state = state_of(definition);
  status.skipped = definition.skipped;
  if (status.skipped > 0) {
    status.notice = "not complete: " + std::to_string(status.skipped) +
                    " offsets were removed from the log before they were read";
  }
  const bool keeps_state = definition.view && !definition.over_view();
  std::shared_ptr<TopicRunner> runner;
  std::shared_ptr<StateStore> state;
  {
    const MutexLock lock(mutex_);
    if (const auto found = problems_.find(definition.name); found != problems_.end()) {
      status.problem = found->second;
    }
    const auto [from, to] = definition_notices_.equal_range(definition.name);
    for (auto each = from; each != to; ++each) {
      status.notice += (status.notice.empty() ? "" : "; ") + each->second;
    }
    if (keeps_state && !state_notice_.empty()) {
      status.notice += (status.notice.empty() ? "" : "; ") + state_notice_;
    }
    if (keeps_state && now.state == nullptr) {
      status.state = ViewState::kFailed;
      status.problem = state_problem_;
    }
    runner = runner_of(definition.id);
    state = state_;
    for (const std::weak_ptr<Watcher>& weak : watchers_) {
      const auto watcher = weak.lock();
      status.watchers += watcher != nullptr && watcher->view == definition.name ? 1 : 0;
    }
  }
  if (definition.failure) status.problem = definition.failure->message();
  if (runner) status.behind = runner->behind();
  if (keeps_state && state) {
    const std::string prefix = generation_prefix(definition.id);
    status.state_bytes = state->approximate_bytes(prefix, behind_prefix(prefix));
  }
  const bool works = definition.stream || keeps_state;
  const Status filled = works ? fill_progress(definition, now, status) : Status();
  if (!filled) {
    status.state = ViewState::kFailed;
    status.problem = filled.error().message();
  }
  return status;
}

std::vector<ViewStatus> Service::status() const {
  const ReadSnapshot now = snapshot();
  std::vector<ViewStatus> all;
  for (const auto& [name, definition] : now.definitions->all()) {
    if (definition->kind == sql::ObjectKind::kView ||
        definition->kind == sql::ObjectKind::kStream) {
      all.push_back(status_of(*definition, now));
    }
  }
  return all;
}

}  // namespace runnel::storage::views
