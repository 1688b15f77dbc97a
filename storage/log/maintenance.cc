// What runs beside reads and writes: anchor, checkpoints, retention, expiry, dead segments, space.
#include <algorithm>

#include "storage/log/log_store.h"

namespace runnel::storage {
namespace {

/// The anchor is at most about this far behind the durable position.
constexpr std::chrono::milliseconds kAnchorInterval{20};
/// Replay after a crash reads what came after the last checkpoint. Time is looked at once a
/// maintenance interval, bytes as often as the anchor.
constexpr std::chrono::seconds kCheckpointInterval{5};
constexpr std::uint64_t kCheckpointBytes = 128u << 20;
/// Where nothing is written the time that passes is kept all the same.
constexpr std::chrono::hours kQuietCheckpointInterval{1};
constexpr std::chrono::seconds kExpiryInterval{60};
/// Less than a mebibyte: about what a commit of records takes.
constexpr std::size_t kProducersPerCommit = 4096;

std::uint64_t bytes_between(Position from, Position to, std::uint64_t segment_bytes) {
  const std::uint64_t segments = to.segment - from.segment;
  return segments * segment_bytes + to.offset -
         std::min<std::uint64_t>(from.offset, segments * segment_bytes + to.offset);
}

}  // namespace

/// Sleeps until something is due; false: the store is being closed. After the first commit in a
/// while the anchor follows at once, among many it keeps its interval: its syncs are in theirs'
/// way.
bool LogStore::wait_for_work(SteadyTime next_anchor, SteadyTime next_maintenance) {
  MutexLock lock(background_mutex_);
  while (!closing_) {
    const auto now = std::chrono::steady_clock::now();
    bool behind = journal_->durable() != anchored_;
    if (now >= (behind ? std::min(next_anchor, next_maintenance) : next_maintenance)) return true;
    if (!behind) {
      idle_.store(true);
      // A commit between the look above and here would not wake us: look again.
      behind = journal_->durable() != anchored_;
      if (behind) idle_.store(false);
    }
    const auto until = behind ? std::min(next_anchor, next_maintenance) : next_maintenance;
    background_changed_.wait_until(lock, until);
    idle_.store(false);
  }
  return false;
}

void LogStore::run_background() {
  SteadyTime next_anchor = std::chrono::steady_clock::now();
  SteadyTime next_maintenance = next_anchor + options_.maintenance_interval;
  std::string told;  // what goes on failing is said once
  while (wait_for_work(next_anchor, next_maintenance)) {
    next_anchor = std::chrono::steady_clock::now() + kAnchorInterval;
    if (journal_->half_full()) journal_->prepare_next();
    journal_->release_cold_pages();
    if (const Status s = anchor_if_behind(); !s) {
      log(LogLevel::kError, "the anchor can't be written: " + s.error().to_string());
    }
    if (const Status s = checkpoint_if_far_behind(); !s) {
      log(LogLevel::kError, "a checkpoint failed: " + s.error().to_string());
    }
    if (std::chrono::steady_clock::now() < next_maintenance) continue;
    next_maintenance = std::chrono::steady_clock::now() + options_.maintenance_interval;
    const Status maintained = maintain();
    std::string failed = maintained ? "" : "maintenance: " + maintained.error().to_string();
    if (!failed.empty() && failed != told) log(LogLevel::kError, failed);
    told = std::move(failed);
  }
}

void LogStore::became_durable() {
  if (!idle_.exchange(false)) return;
  MutexLock lock(background_mutex_);
  background_changed_.notify_one();
}

Status LogStore::anchor_if_behind() {
  const Position durable = journal_->durable();
  if (durable == anchored_) return {};
  RUNNEL_TRY(journal_->write_anchor());
  anchored_ = durable;
  return {};
}

Status LogStore::run_maintenance() {
  RUNNEL_TRY(maintain());
  RUNNEL_TRY(cleaner_->run());
  scrubber_->run_due();
  MutexLock lock(maintenance_mutex_);
  return remove_dead_segments();
}

Status LogStore::maintain() {
  MutexLock lock(maintenance_mutex_);
  look_at_space();
  Status first;
  const auto keep = [&first](Status status) {
    if (first && !status) first = std::move(status);
  };
  // What gives room back comes before what needs some: on a full disk nothing can be committed.
  keep(remove_snapshots());
  keep(remove_dead_segments());
  keep(apply_retention());
  keep(expire_offsets());
  if (checkpoint_is_due()) keep(checkpoint());
  keep(remove_dead_segments());
  return first;
}

bool LogStore::checkpoint_is_due() const {
  const auto passed = options_.clock->monotonic() - last_checkpoint_;
  if (journal_->durable() == checkpoint_end_) return passed >= kQuietCheckpointInterval;
  return is_far_behind() || passed >= kCheckpointInterval;
}

bool LogStore::is_far_behind() const {
  return bytes_between(checkpoint_end_, journal_->durable(), options_.segment_bytes) >=
         kCheckpointBytes;
}

Status LogStore::checkpoint_if_far_behind() {
  MutexLock lock(maintenance_mutex_);
  return is_far_behind() ? checkpoint() : Status();
}

Status LogStore::save_producers(Timestamp expired) {
  // What changes meanwhile is not waited for for ever.
  constexpr int kMostCommits = 1000;
  std::size_t left = kProducersPerCommit + 1;
  for (int i = 0; left > kProducersPerCommit && i < kMostCommits; ++i) {
    Committer::Exclusive work;
    work.build = [&](const JournalPoint&) -> Result<Mutations> {
      producers_.expire(expired, kProducersPerCommit);
      left = producers_.unsaved_count();
      Mutations m;
      if (left > kProducersPerCommit) add_producers(kProducersPerCommit, m);
      return m;
    };
    work.applied = [&] { producers_.saved(kProducersPerCommit); };
    RUNNEL_TRY(committer_->run(std::move(work)));
  }
  return {};
}

void LogStore::add_producers(std::size_t most, Mutations& to) const {
  for (const Producers::Change& c : producers_.unsaved(most)) {
    std::string key = keys::producer(c.partition, c.producer);
    if (c.state == nullptr) {
      to.erase(Family::kMeta, std::move(key));
    } else {
      to.put(Family::kMeta, std::move(key), encode(*c.state));
    }
  }
}

Status LogStore::checkpoint() {
  bool doubted = false;
  const Timestamp believed = retention_clock_.now(*options_.clock, doubted);
  RUNNEL_TRY(save_producers(believed - options_.producer_expiry.count()));
  JournalPoint point;
  std::size_t states = 0;
  std::vector<PartitionRef> clean;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint& end) -> Result<Mutations> {
    Mutations m;
    for (const auto& partition : topics_.all_partitions()) {
      if (!partition->writer().dirty) continue;
      m.put(Family::kMeta, keys::partition_state(partition->id()),
            encode(partition->writer().state));
      clean.push_back(partition);
    }
    states = producers_.unsaved_count();
    add_producers(states, m);
    point = end;
    m.put(Family::kMeta, keys::checkpoint(), encode(end));
    const RetentionClock::Kept kept = retention_clock_.keep(*options_.clock);
    m.put(Family::kMeta, keys::retention_time(),
          encode(KeptTime{kept.time, kept.wall, kept.monotonic.count()}));
    if (scrubber_) m.put(Family::kMeta, keys::scrub_place(), encode(scrubber_->place()));
    return m;
  };
  work.applied = [&] {
    for (const auto& partition : clean) partition->writer().dirty = false;
    producers_.saved(states);
  };
  RUNNEL_TRY(committer_->run(std::move(work)));
  RUNNEL_TRY(index_->flush());
  checkpointed_ = point.position;
  checkpoint_end_ = journal_->durable();
  last_checkpoint_ = options_.clock->monotonic();
  return {};
}

Status LogStore::remove_dead_segments() {
  Status first;
  for (const SegmentInfo& segment : journal_->segments()) {
    // Replay starts at the checkpoint: what lies before it is needed for its batches alone.
    if (segment.number >= checkpointed_.segment || !segments_.is_dead(segment.number)) continue;
    reader_->verified().forget(segment.number);
    const Status removed = journal_->remove_segment(segment.number);
    if (first && !removed) first = removed;
  }
  return first;
}

Status LogStore::expire_offsets() {
  if (!expiry_started_) return {};
  const auto monotonic = options_.clock->monotonic();
  if (last_expiry_.count() != 0 && monotonic - last_expiry_ < kExpiryInterval) return {};
  last_expiry_ = monotonic;
  bool jumped = false;
  const Timestamp cutoff =
      retention_clock_.now(*options_.clock, jumped) - options_.offsets_retention.count();
  std::set<std::string, std::less<>> fenced;  // groups that go with their fence
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    // As of now: a group that became active while this waited for its turn keeps its offsets.
    std::set<std::string, std::less<>> active;
    {
      MutexLock lock(groups_mutex_);
      active = active_groups_;
    }
    std::map<std::string, Timestamp, std::less<>> empty_since;
    RUNNEL_TRY(index_->scan_prefix(
        Family::kMeta, keys::kGroupsEmptySince, [&](std::string_view key, std::string_view value) {
          if (const auto since = decode_number(value)) {
            empty_since.emplace(key.substr(1), Timestamp(static_cast<std::int64_t>(*since)));
          }
          return true;
        }));
    Mutations m;
    std::set<std::string, std::less<>> kept;  // of the groups that have a fence of their own
    RUNNEL_TRY(index_->scan_prefix(
        Family::kMeta, keys::kGroupOffsets, [&](std::string_view key, std::string_view value) {
          const auto parsed = keys::parse_group_offset(key);
          const auto record = decode_offset(value);
          if (!parsed) return true;
          Timestamp last_use = record ? record->committed : kNoTimestamp;
          const auto since = empty_since.find(parsed->group);
          if (since != empty_since.end()) last_use = std::max(last_use, since->second);
          const bool goes = record && last_use < cutoff && !active.contains(parsed->group);
          if (goes) m.erase(Family::kMeta, std::string(key));
          if (parsed->group.starts_with(kGroupFencePrefix)) {
            (goes ? fenced : kept).emplace(parsed->group);
          }
          return true;
        }));
    std::erase_if(fenced, [&](const std::string& group) { return kept.contains(group); });
    for (const std::string& group : fenced) m.erase(Family::kMeta, keys::fence(group));
    return m;
  };
  work.applied = [&] {
    for (const std::string& group : fenced) stager_->forget_fence(group);
  };
  return committer_->run(std::move(work));
}

Error LogStore::out_of_space() {
  return Error(ErrorCode::kLowSpace,
               "the disk is full and nothing can be committed; free some space on it, then try "
               "again");
}

bool LogStore::wait_for_room(int attempt) {
  constexpr std::chrono::milliseconds kPause{200};
  low_space_ = true;
  if (attempt == 0) {
    if (const Status s = space_->drop(); !s) log(LogLevel::kError, s.error().to_string());
    return true;
  }
  if (!options_.background || !loaded_.load(std::memory_order_acquire)) return false;
  if (!out_of_space_.exchange(true)) {
    log(LogLevel::kError,
        "the disk is full, the room kept for this included: nothing is committed until some space "
        "is freed; reads go on");
  }
  MutexLock lock(background_mutex_);
  const auto until = std::chrono::steady_clock::now() + kPause;
  while (!closing_ && background_changed_.wait_until(lock, until) != std::cv_status::timeout) {
  }
  return !closing_;
}

void LogStore::look_at_space() {
  const bool low = space_->check();
  if (low == low_space_.exchange(low)) return;
  if (low) {
    log(LogLevel::kError,
        "the disk is nearly full: producers are rejected (retriable) until at "
        "least " +
            std::to_string(options_.low_space_bytes >> 20) +
            " MiB are free; reads, deletes and commits go on");
  } else {
    log(LogLevel::kInfo, "there is space again: producers are accepted");
  }
}

}  // namespace runnel::storage
