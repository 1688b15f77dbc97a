// What views keep: opened, found damaged, unfinished or lost, flushed, closed. It can always be
// computed again from the topics, so nothing that is wrong with it keeps a broker from its work.
#include <algorithm>

#include "storage/index/rocksdb_state_store.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/state_mark.h"
#include "storage/views/service/changelog_place.h"
#include "storage/views/service/service.h"

namespace runnel::storage::views {
namespace {

/// What a restart has to fold again.
constexpr std::chrono::milliseconds kFlushInterval{2000};
/// Behind the directory's name: damaged state, for people to look at.
constexpr std::string_view kAside = ".damaged";

/// A directory of files; none is fine.
Status remove_files(FileSystem& files, const std::string& directory) {
  const auto entries = files.list(directory);
  if (!entries) {
    return entries.error().code() == ErrorCode::kNotFound ? Status() : fail(entries.error());
  }
  for (const DirectoryEntry& entry : *entries)
    RUNNEL_TRY(files.remove(directory + "/" + entry.name));
  return files.remove_directory(directory);
}

}  // namespace

// ---------------------------------------------------------------- opening
Status Service::ensure_state() {
  {
    const MutexLock lock(mutex_);
    if (state_) return {};
    if (stopping_) return fail(ErrorCode::kShuttingDown, "the views are being stopped");
  }
  if (!keeper_.joinable()) keeper_ = std::thread([this] { keep(); });
  FileSystem& files = *options_.file_system;
  for (bool again = false;; again = true) {
    RUNNEL_TRY(files.create_directory(options_.directory));
    RUNNEL_TRY(files.sync_directory(parent_directory(options_.directory)));
    StateStoreOptions options;
    options.directory = options_.directory;
    options.file_system = &files;
    options.memory_bytes = options_.memory_bytes / 2;
    options.warn = [this](std::string_view text) {
      log(LogLevel::kWarning, "view state: " + std::string(text));
    };
    auto opened = open_state_store(std::move(options));
    Status taken = opened ? take_up(**opened) : Status(fail(opened.error()));
    if (taken) {
      const MutexLock lock(mutex_);
      state_ = std::move(*opened);
      state_problem_.clear();
      if (files.exists(options_.directory + std::string(kAside))) {
        state_notice_ = "damaged state of the views was put aside in " + options_.directory +
                        std::string(kAside) + ", which nobody needs: it can be deleted";
      }
      return {};
    }
    if (again || taken.error().code() != ErrorCode::kCorrupt) return taken;
    if (opened) opened->reset();
    RUNNEL_TRY(put_aside(taken.error()));
  }
}

Status Service::put_aside(const Error& why) {
  FileSystem& files = *options_.file_system;
  const std::string aside = options_.directory + std::string(kAside);
  // One is enough to look at; more would fill the disk.
  RUNNEL_TRY(remove_files(files, aside));
  RUNNEL_TRY(files.rename(options_.directory, aside));
  RUNNEL_TRY(files.sync_directory(parent_directory(options_.directory)));
  log(LogLevel::kError, "the state of the views is damaged and was put aside in " + aside +
                            "; all views are computed again from their topics: " + why.to_string());
  return {};
}

void Service::open_state() {
  const Status opened = ensure_state();
  state_missing_ = !opened;
  if (opened) {
    // What is left here goes at the next start.
    if (const Status done = forget_positions(); !done) {
      log(LogLevel::kWarning, "old positions of views were not erased: " + done.error().message());
    }
    reconcile();
    return;
  }
  const MutexLock lock(mutex_);
  if (stopping_ || state_problem_ == opened.error().message()) return;
  state_problem_ = opened.error().message();
  log(LogLevel::kError,
      "the state of the views can't be had and no view is current; it is tried "
      "again and again: " +
          opened.error().to_string());
}

Status Service::take_up(StateStore& state) {
  RUNNEL_TRY_ASSIGN(const StateMark mark, read_mark(state));
  RUNNEL_TRY(check(state));
  std::vector<Entry> changed;
  StateEntries positions;
  StateWrites writes;
  for (const auto& [number, entry] : entries_) {
    if (!entry.is_view() || entry.unreadable) continue;
    std::optional<std::string> lost;
    for (std::size_t v = 0; v < entry.bound.size(); ++v) {
      if (!entry.bound[v].has_state() && !entry.bound[v].problem) continue;
      const StoredVersion& version = entry.stored.versions[v];
      const ViewId id{number, version.generation};
      RUNNEL_TRY_ASSIGN(const auto loss, loss_of(state, version, id, mark));
      if (!lost) lost = loss;
      if (mark == StateMark::kOpen) RUNNEL_TRY(leap_sequence(state, id, writes));
    }
    if (!lost) continue;
    RUNNEL_TRY(begin_anew(changed.emplace_back(entry), *lost, positions));
  }
  if (!changed.empty()) {
    // First of all: with the mark alone, what was lost would look like what was never there.
    RUNNEL_TRY(save(changed, {}, positions));
    for (Entry& entry : changed) {
      const std::uint32_t number = entry.stored.number;
      entries_.insert_or_assign(number, std::move(entry));
    }
    publish();
    notify(nullptr);
  }
  RUNNEL_TRY(erase_strangers(state));
  write_mark(StateMark::kOpen, writes);
  RUNNEL_TRY(state.apply(writes));
  return state.flush();
}

Status Service::check(const StateStore& state) const {
  const bool suspect = std::any_of(entries_.begin(), entries_.end(), [](const auto& each) {
    const auto& versions = each.second.stored.versions;
    return std::any_of(versions.begin(), versions.end(), [](const StoredVersion& version) {
      return version.failure && version.failure->code() == ErrorCode::kCorrupt;
    });
  });
  if (!suspect) return {};
  // Reading everything finds every block that is damaged.
  return state.scan({}, {}, [](std::string_view, std::string_view) { return true; });
}

Result<std::optional<std::string>> Service::loss_of(const StateStore& state,
                                                    const StoredVersion& version, ViewId id,
                                                    StateMark mark) const {
  if (mark == StateMark::kNone) return std::optional<std::string>("its state is gone");
  std::map<std::uint32_t, std::int64_t> next;
  bool sound = true;
  const std::string prefix = key_prefix(id, Space::kCursors);
  RUNNEL_TRY(
      state.scan(prefix, behind_prefix(prefix), [&](std::string_view key, std::string_view value) {
        const auto partition = load_be<std::uint32_t>(key.data() + kKeyPrefixBytes);
        Cursor cursor;
        if (partition != kNoPartition) sound = cursor.decode(as_bytes(value)) && sound;
        next[partition] = cursor.next;
        return true;
      }));
  if (!sound) return std::optional<std::string>("its positions are damaged");
  const auto name = store_.topic_name(version.topic);
  const auto topic = name ? store_.describe_topic(*name) : Result<TopicInfo>(fail(name.error()));
  if (!topic) return std::optional<std::string>();  // whoever follows it says so
  for (const PartitionInfo& partition : topic->partitions) {
    const auto at = next.find(static_cast<std::uint32_t>(partition.index.value()));
    if (at == next.end() || at->second <= partition.high_watermark.value()) continue;
    return std::optional<std::string>("its state is not of this log: it has read partition " +
                                      std::to_string(partition.index.value()) + " up to offset " +
                                      std::to_string(at->second) + ", and the log ends at " +
                                      std::to_string(partition.high_watermark.value()));
  }
  return std::optional<std::string>();
}

Status Service::begin_anew(Entry& entry, const std::string& why, StateEntries& positions) const {
  auto& versions = entry.stored.versions;
  // What was to replace it goes first, unless that came to nothing.
  const bool replaced =
      versions.size() > 1 && !versions.back().failure && !entry.bound.back().problem;
  StoredVersion version = replaced ? versions.back() : versions.front();
  BoundVersion bound = replaced ? entry.bound.back() : entry.bound.front();
  std::optional<Error> failure = version.failure;
  if (failure && failure->code() == ErrorCode::kCorrupt) failure.reset();
  const bool paused = entry.stored.paused;
  const ViewId before{entry.stored.number, version.generation};
  const ViewId sender = sender_of(entry, version).value_or(before);
  versions.front().built = false;  // none is kept beside
  // What it had read is asked below, and by when: as of now, nothing would be missing.
  const StoredVersion was = version;
  RUNNEL_TRY(put_version(entry, std::move(version), std::move(bound)));
  entry.stored.paused = paused;
  StoredVersion& now = versions.back();
  now.built = false;
  now.lost = true;
  now.failure = std::move(failure);
  const auto name = store_.topic_name(now.topic);
  const auto topic = name ? store_.describe_topic(*name) : Result<TopicInfo>(fail(name.error()));
  std::optional<Missing> gone;
  if (topic) {
    RUNNEL_TRY_ASSIGN(gone, missing(*topic, was));
  }
  if (gone && !now.failure) {
    now.failure = Error(ErrorCode::kOffsetOutOfRange,
                        "view " + entry.stored.name + ": " + why + ", and the log of " + *name +
                            " no longer has all that was in it" +
                            gone->but("RESUME computes it of what is there"));
  }
  log(LogLevel::kError, now.failure ? "a view has failed: " + now.failure->to_string()
                                    : "view " + entry.stored.name + ": " + why +
                                          "; it is computed again from its topic");
  // The same records are refused once more, and were told already.
  const ViewId id{entry.stored.number, now.generation};
  RUNNEL_TRY(inherit_letters(sender, id, positions));
  // So were changes of its rows: it is folded in silence up to where its changelog is.
  RUNNEL_TRY_ASSIGN(StateEntries changelogs, store_.read_state(changelog_key(before)));
  for (auto& [key, value] : changelogs) {
    positions.emplace_back(changelog_key(id), std::move(value));
  }
  return {};
}

// ---------------------------------------------------------------- what is not defined
Status Service::erase_strangers(StateStore& state) {
  std::string at;
  while (true) {
    std::optional<ViewId> found;
    RUNNEL_TRY(state.scan(at, {}, [&](std::string_view key, std::string_view) {
      ByteReader in(as_bytes(key));
      found.emplace();
      found->view = in.be<std::uint32_t>();
      found->generation = in.be<std::uint16_t>();
      return false;
    }));
    if (!found) return {};
    const std::string prefix = generation_prefix(*found);
    at = behind_prefix(prefix);
    if (!is_known(*found)) RUNNEL_TRY(state.erase_range(prefix, at));
    if (at.empty()) return {};
  }
}

bool Service::is_known(ViewId id) const {
  if (id == ViewId{}) return true;  // the mark
  const auto found = entries_.find(id.view);
  if (found == entries_.end()) return false;
  // Who knows what a definition needs that can't be read.
  if (found->second.unreadable) return true;
  const auto& versions = found->second.stored.versions;
  return std::any_of(versions.begin(), versions.end(), [&](const StoredVersion& version) {
    return version.generation == id.generation;
  });
}

Status Service::forget_positions() {
  CommitRequest request;
  for (const std::string_view prefix : {kLettersPrefix, kPositionsPrefix, kChangelogsPrefix}) {
    RUNNEL_TRY_ASSIGN(const StateEntries entries, store_.read_state(prefix));
    for (const auto& [key, value] : entries) {
      const auto owner = position_owner(prefix, key);
      if (!owner || !is_known(*owner)) request.state.push_back({key, std::nullopt});
    }
  }
  if (request.state.empty()) return {};
  CommitOutcome outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error());
  return {};
}

// ---------------------------------------------------------------- flushing
void Service::flush_if_due(bool now) {
  std::shared_ptr<StateStore> state;
  {
    const MutexLock lock(mutex_);
    if (!state_ || !dirty_) return;
    if (!now && Steady::now() < flushed_ + kFlushInterval) return;
    dirty_ = false;
    flushed_ = Steady::now();
    state = state_;
  }
  const Status flushed = state->flush();
  if (flushed) return;
  log(LogLevel::kWarning, "view state: " + flushed.error().to_string());
  const MutexLock lock(mutex_);
  dirty_ = true;
}

void Service::close_state() {
  std::shared_ptr<StateStore> state;
  {
    const MutexLock lock(mutex_);
    if (!state_ || closed_) return;
    closed_ = true;
    state = state_;
  }
  StateWrites mark;
  // A leap that is owed is made at the next start, as behind a crash.
  if (leaps_.empty()) write_mark(StateMark::kClosed, mark);
  Status done = state->apply(mark);
  if (done) done = state->flush();
  if (!done) log(LogLevel::kWarning, "view state: " + done.error().to_string());
}

}  // namespace runnel::storage::views
