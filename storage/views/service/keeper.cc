// What follows a change of what is defined, and what has to be looked after meanwhile.
#include <algorithm>

#include "storage/views/plan/max_ahead.h"
#include "storage/views/service/service.h"
#include "storage/views/types/zone_rules.h"

namespace runnel::storage::views {
namespace {

/// How often partitions that were added, failures and what is late are looked for.
constexpr std::chrono::milliseconds kTick{1000};
constexpr std::chrono::seconds kSameNews{30};
constexpr std::size_t kLeastCacheBytes = 256u << 10;

}  // namespace

// ---------------------------------------------------------------- changes
Status Service::change(std::vector<Entry> changed, std::vector<std::uint32_t> gone,
                       const Along& along) {
  RUNNEL_TRY(save(changed, gone, along.positions));
  leaps_.insert(leaps_.end(), along.leaps.begin(), along.leaps.end());
  for (const std::uint32_t number : gone) entries_.erase(number);
  touched_.clear();
  for (Entry& entry : changed) {
    touched_.push_back(entry.stored.name);
    const std::uint32_t number = entry.stored.number;
    entries_.insert_or_assign(number, std::move(entry));
  }
  publish();
  reconcile();
  // Nobody reads it any more, but who began before; what is left here goes at the next start.
  std::shared_ptr<StateStore> state;
  {
    const MutexLock lock(mutex_);
    state = state_;
  }
  Status erased = state ? erase_strangers(*state) : Status();
  if (erased) erased = forget_positions();
  if (!erased)
    log(LogLevel::kWarning, "old view state was not erased: " + erased.error().message());
  notify(nullptr);
  settle(nullptr);
  return {};
}

Status Service::save(const std::vector<Entry>& changed, const std::vector<std::uint32_t>& gone,
                     const StateEntries& more) {
  CommitRequest request;
  for (const Entry& entry : changed) {
    request.state.push_back({definition_key(entry.stored.number), entry.stored.encode()});
  }
  for (const std::uint32_t number : gone) request.state.push_back({definition_key(number), {}});
  for (const auto& [key, value] : more) request.state.push_back({key, value});
  Gone names = gone_;
  note_names(changed, gone, names, request.state);
  ByteWriter next;
  next.le(next_number_);
  request.state.push_back({std::string(kNextNumberKey), next.take()});
  CommitOutcome outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error().within("the definition was not kept"));
  gone_ = std::move(names);
  return {};
}

void Service::note_names(const std::vector<Entry>& changed, const std::vector<std::uint32_t>& gone,
                         Gone& names, std::vector<StateChange>& writes) const {
  const auto write = [&](const std::string& name, std::uint16_t generation) {
    ByteWriter value;
    value.le(generation);
    writes.push_back({std::string(kGonePrefix) + name, value.take()});
  };
  for (const std::uint32_t number : gone) {
    const auto found = entries_.find(number);
    if (found == entries_.end() || !found->second.is_view()) continue;
    const StoredDefinition& stored = found->second.stored;
    std::uint16_t last = 0;
    for (const StoredVersion& one : stored.versions) last = std::max(last, one.generation);
    if (last == 0) continue;  // a definition that can't be read
    if (names.last.size() >= kMaxGoneNames) {
      const auto least = std::min_element(names.last.begin(), names.last.end(),
                                          [](auto& a, auto& b) { return a.second < b.second; });
      names.of_others = std::max(names.of_others, least->second);
      writes.push_back({std::string(kGonePrefix) + least->first, {}});
      write({}, names.of_others);
      names.last.erase(least);
    }
    names.last[stored.name] = last;
    write(stored.name, last);
  }
  for (const Entry& entry : changed) {
    // What is no view has no generations, and the next view of the name goes on behind the last
    // one.
    if (!entry.is_view() || names.last.erase(entry.stored.name) == 0) continue;
    writes.push_back({std::string(kGonePrefix) + entry.stored.name, {}});
  }
}

void Service::publish() {
  auto definitions = definitions_of(entries_);
  std::vector<std::string> fresh;  // notices
  std::map<std::string, std::string> problems;
  std::set<Task> busy;
  std::set<std::string> unbuilt;
  for (const auto& [number, entry] : entries_) {
    for (std::size_t v = 0; v < entry.bound.size(); ++v) {
      const StoredVersion& version = entry.stored.versions[v];
      const std::optional<Error>& problem =
          version.failure ? version.failure : entry.bound[v].problem;
      if (v > 0 && problem) {
        problems[entry.stored.name] =
            "generation " + std::to_string(version.generation) +
            ", which was to replace it, has failed: " + problem->message();
      }
      if (!version.built && !problem && !entry.stored.paused) unbuilt.insert(entry.stored.name);
      // Whoever waits does not wait for a new view's backfill, but for one that lost its state and
      // is computed again: it was read before.
      const bool is_read = version.built || version.lost;
      if (v == 0 && !problem && is_read && !entry.stored.paused && entry.bound[v].has_state()) {
        busy.insert(task_of({number, version.generation}, version, entry.bound[v]));
      }
    }
  }
  Notices notices = definition_notices();
  for (const Notices::value_type& notice : notices) {
    const MutexLock lock(mutex_);
    const auto [from, to] = definition_notices_.equal_range(notice.first);
    if (std::find(from, to, notice) != to) continue;
    fresh.push_back("view " + notice.first + ": " + notice.second);
  }
  for (const std::string& text : fresh) log(LogLevel::kWarning, text);
  const MutexLock lock(mutex_);
  definition_notices_ = std::move(notices);
  definitions_ = std::move(definitions);
  problems_ = std::move(problems);
  busy_ = std::move(busy);
  unbuilt_ = std::move(unbuilt);
  changed_.notify_all();
}

Service::Notices Service::definition_notices() const {
  Notices notices;
  const auto version_of = [](const std::string& rules) { return rules.substr(0, rules.find(' ')); };
  for (const auto& [number, entry] : entries_) {
    if (entry.current() == nullptr || entry.bound.empty() || !entry.bound[0].has_state()) continue;
    const ViewPlan& view = *entry.bound[0].view;
    if (view.source.watermark && view.options.max_ahead_micros == kNoMaxAhead) {
      notices.emplace(entry.stored.name,
                      "it has no max_ahead, so one event of a far time makes all others late; "
                      "ALTER MATERIALIZED VIEW " +
                          entry.stored.name + " SET (max_ahead = '1 day') bounds it");
    }
    const std::string& before = entry.current()->zone_rules;
    const std::string& zone = view.options.time_zone;
    const std::string now = zone_rules_instead_of(before, zone);
    if (now.empty()) continue;
    notices.emplace(
        entry.stored.name,
        "it began with the rules of " + zone + " of tzdata " + version_of(before) +
            ", and this machine has those of " + version_of(now) +
            ", which differ: windows from before the change and after it may not fit; CREATE OR "
            "REPLACE computes all by the new rules");
  }
  return notices;
}

std::map<Service::Task, std::vector<RunnerView>> Service::wanted() {
  std::map<Task, std::vector<RunnerView>> tasks;
  for (const auto& [number, entry] : entries_) {
    if (entry.stored.paused) continue;
    for (std::size_t v = 0; v < entry.bound.size(); ++v) {
      const StoredVersion& version = entry.stored.versions[v];
      const BoundVersion& bound = entry.bound[v];
      if (version.failure || bound.problem) continue;
      const ViewId id{number, version.generation};
      if (!bound.stream && !bound.has_state()) continue;
      tasks[task_of(id, version, bound)].push_back(
          {entry.stored.name, id, version, bound.view, bound.stream});
    }
  }
  return tasks;
}

Service::Task Service::task_of(ViewId id, const StoredVersion& version, const BoundVersion& bound) {
  if (bound.stream) return {bound.stream->source.topic, id};
  // One with a changelog waits for the disk, and the others should not.
  const bool alone = !version.built || bound.view->options.changelog_topic;
  return {bound.view->source.topic, alone ? id : ViewId{}};
}

bool Service::leap() {
  std::shared_ptr<StateStore> state;
  std::vector<std::shared_ptr<TopicRunner>> writers;
  {
    const MutexLock lock(mutex_);
    state = state_;
    for (const ViewId id : leaps_) {
      if (auto runner = runner_of(id)) writers.push_back(std::move(runner));
    }
  }
  if (leaps_.empty() || !state) return true;
  for (const auto& writer : writers) remove_runner(*writer);
  StateWrites writes;
  std::vector<std::pair<ViewId, std::uint64_t>> leapt;
  std::vector<std::pair<ViewId, Error>> damaged;
  Status done;
  for (const ViewId id : leaps_) {
    const auto sequence = leap_sequence(*state, id, writes);
    if (sequence) {
      leapt.emplace_back(id, *sequence);
    } else if (sequence.error().code() == ErrorCode::kCorrupt) {
      damaged.emplace_back(id, sequence.error());
    } else {
      done = fail(sequence.error());
    }
  }
  if (done) done = state->apply(writes);
  if (!done) {
    log(LogLevel::kError,
        "the subscribers of a view can't be told yet that it was altered, and it "
        "is not read on until they can: " +
            done.error().to_string());
    return false;
  }
  for (const auto& [id, sequence] : leapt) histories_.of(id)->skip(sequence);
  leaps_.clear();
  if (!damaged.empty()) fail_versions(damaged);
  notify(nullptr);
  return true;
}

void Service::reconcile() {
  again_ = !leap();
  // Views that fail as they are started are wanted no more; each turn has fewer of them.
  for (bool settled = false; !settled;) {
    settled = true;
    auto tasks = wanted();
    const std::vector<ViewId> owed = leaps_;
    Runners running;
    {
      const MutexLock lock(mutex_);
      if (stopping_ || !state_) return;
      running = runners_;
    }
    std::size_t views = 0;
    for (const auto& [task, members] : tasks) views += members.size();
    const std::size_t cache_bytes = std::max<std::size_t>(
        kLeastCacheBytes, options_.memory_bytes / 2 / std::max<std::size_t>(1, views));
    for (const auto& [task, runner] : running) {
      const auto same = tasks.find(task);
      const bool kept =
          same != tasks.end() && !runner->is_outdated() &&
          std::equal(runner->views().begin(), runner->views().end(), same->second.begin(),
                     same->second.end(),
                     [](const RunnerView& a, const RunnerView& b) { return a.same_work(b); });
      if (kept) {
        runner->set_cache_bytes(cache_bytes);
        tasks.erase(same);
      } else {
        remove_runner(task);
      }
    }
    for (auto& [task, members] : tasks) {
      const bool waits = std::any_of(members.begin(), members.end(), [&](const RunnerView& view) {
        return std::find(owed.begin(), owed.end(), view.id) != owed.end();
      });
      if (waits) continue;
      if (start_runner(task, std::move(members), cache_bytes)) continue;
      settled = false;
      break;
    }
  }
}

bool Service::start_runner(const Task& task, std::vector<RunnerView> views,
                           std::size_t cache_bytes) {
  std::vector<std::pair<ViewId, Error>> failed;
  const auto info = store_.describe_topic(task.topic);
  for (const RunnerView& view : views) {
    if (!info && info.error().code() == ErrorCode::kUnknownTopic) {
      failed.emplace_back(view.id, Error(ErrorCode::kUnknownTopic,
                                         view.name + ": the topic " + task.topic +
                                             " was deleted; drop the view, or replace it"));
    } else if (info && info->id != view.stored.topic) {
      failed.emplace_back(
          view.id, Error(ErrorCode::kUnknownTopic,
                         view.name + ": the topic " + task.topic +
                             " was deleted and made anew; CREATE OR REPLACE begins with the new "
                             "one"));
    }
  }
  if (!failed.empty()) {
    fail_versions(failed);
    return false;
  }
  std::shared_ptr<StateStore> state;
  {
    const MutexLock lock(mutex_);
    state = state_;
  }
  const ViewId first = views.front().id;
  const std::string name = views.front().name;
  TopicRunnerOptions options;
  options.topic = task.topic;
  options.views = std::move(views);
  options.builder = options.views.front().plan && !options.views.front().stored.built;
  options.cache_bytes = cache_bytes;
  options.histories = &histories_;
  auto opened = TopicRunner::open(store_, *state, *options_.clock, std::move(options));
  if (!opened && opened.error().code() == ErrorCode::kUnknownTopic) {
    fail_versions({{first, opened.error().within(name)}});
    return false;
  }
  if (!opened) {
    log(LogLevel::kError, "views of " + task.topic + ": " + opened.error().to_string());
    again_ = true;
    return true;
  }
  const std::shared_ptr<TopicRunner> runner = std::move(*opened);
  {
    const MutexLock lock(mutex_);
    runners_.insert_or_assign(task, runner);
  }
  runner->run([this](TopicRunner& which) { after_round(which); },
              [this, topic = task.topic, last = std::string(),
               until = Steady::time_point()](const Error& error) mutable {
                // It is tried again and again: not every time is news.
                std::string text = "views of " + topic + ": " + error.to_string();
                if (text == last && Steady::now() < until) return;
                log(LogLevel::kError, text);
                last = std::move(text);
                until = Steady::now() + kSameNews;
              });
  return true;
}

void Service::remove_runner(const Task& task) {
  std::shared_ptr<TopicRunner> runner;
  {
    const MutexLock lock(mutex_);
    const auto found = runners_.find(task);
    if (found == runners_.end()) return;
    runner = std::move(found->second);
    runners_.erase(found);
  }
  runner->stop();
}

void Service::remove_runner(const TopicRunner& runner) {
  std::optional<Task> found;
  {
    const MutexLock lock(mutex_);
    for (const auto& [task, one] : runners_) {
      if (one.get() == &runner) found = task;
    }
  }
  if (found) remove_runner(*found);
}

// ---------------------------------------------------------------- failures
void Service::fail_versions(const std::vector<std::pair<ViewId, Error>>& failed) {
  std::vector<Entry> changed;
  for (const auto& [id, why] : failed) {
    const auto found = entries_.find(id.view);
    if (found == entries_.end()) continue;
    Entry entry = found->second;
    for (StoredVersion& version : entry.stored.versions) {
      if (version.generation != id.generation || version.failure) continue;
      version.failure = why;
      log(LogLevel::kError, "a view has failed and is no longer current: " + why.to_string());
    }
    changed.push_back(entry);
    // In memory whatever becomes of the commit: it must not be folded.
    found->second = std::move(entry);
  }
  const Status saved = save(changed, {});
  if (!saved) log(LogLevel::kError, saved.error().to_string());
  publish();
  notify(nullptr);
  settle(nullptr);
}

void Service::collect_failures() {
  Runners running;
  {
    const MutexLock lock(mutex_);
    running = runners_;
  }
  std::vector<std::pair<ViewId, Error>> failed;
  for (const auto& [task, runner] : running) {
    if (runner->failures() == 0) continue;
    for (std::size_t v = 0; v < runner->views().size(); ++v) {
      const auto why = runner->failure(v);
      if (why) failed.emplace_back(runner->views()[v].id, *why);
    }
  }
  if (failed.empty()) return;
  fail_versions(failed);
  reconcile();
}

// ---------------------------------------------------------------- the keeper
void Service::keep() {
  while (true) {
    {
      MutexLock lock(mutex_);
      Steady::time_point until = Steady::now() + kTick;
      for (const Waiter& waiter : waiters_) until = std::min(until, waiter.deadline);
      while (!kicked_ && !stopping_) {
        if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
      }
      if (stopping_) return;
      kicked_ = false;
    }
    settle(nullptr);
    look_after();
    flush_if_due(false);
  }
}

void Service::look_after() {
  const MutexLock lock(changes_);
  if (state_missing_) open_state();
  collect_failures();
  finish_built();
  Runners running;
  {
    const MutexLock published(mutex_);
    running = runners_;
  }
  for (const auto& [task, runner] : running) runner->note_lag();
  histories_.tidy([this](ViewId id) RUNNEL_REQUIRES(changes_) { return is_known(id); });
  const bool outdated = std::any_of(running.begin(), running.end(),
                                    [](const auto& each) { return each.second->is_outdated(); });
  if (outdated || again_) reconcile();
}

}  // namespace runnel::storage::views
