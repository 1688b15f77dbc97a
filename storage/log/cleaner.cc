#include "storage/log/cleaner.h"

#include <algorithm>
#include <utility>

#include "storage/log/directory.h"

namespace runnel::storage {
namespace {

/// A partition that had too little to compact is looked at again after this, or when it grew.
constexpr std::chrono::seconds kLookAgain{60};
/// So often a pass begins anew because the log was trimmed in its way.
constexpr int kAttempts = 3;
/// So often is looked whether an erasure's last copies are gone.
constexpr std::chrono::milliseconds kWhileErasing{500};
/// Needed for what one move writes.
constexpr std::uint64_t kRoomForMove = 32u << 20;
/// While records are appended: how often it is asked how many. A new half of a segment, and there
/// is another look before the interval is over, so that a fast writer's dead bytes do not pile up.
constexpr std::chrono::seconds kAskAgain{1};
/// Bytes that may be read and written for one that is appended. Compaction needs four to five: half
/// of a log at the usual dirty ratio is new; it is read twice, the older half once, and one half is
/// written.
constexpr double kBytesPerAppended = 8;

Error stopped() {
  return Error(ErrorCode::kShuttingDown, "the store is shutting down");
}

}  // namespace

Cleaner::Cleaner(CleanerOptions options, Journal& journal, DataSegments& data, Index& index,
                 Reader& reader, Committer& committer, Topics& topics, SegmentLedger& segments)
    : options_(std::move(options)),
      journal_(journal),
      data_(data),
      index_(index),
      reader_(reader),
      committer_(committer),
      topics_(topics),
      segments_(segments),
      mover_(journal, data, index, reader, committer, segments),
      eraser_({journal, data, index, reader, committer, topics, segments, mover_, *options_.clock,
               *options_.random, options_.frame_seed, *options_.file_system,
               DirectoryPaths(options_.directory).segments,
               DirectoryPaths(options_.directory).snapshots, options_.segment_bytes}) {
  for (const std::uint32_t number : segments.live()) data.skip_to(number);
}

void Cleaner::start() {
  thread_ = std::thread([this] { work(); });
}

void Cleaner::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Cleaner::wait(bool failed) {
  const std::uint64_t before = committer_.appended_bytes();
  const auto begun = std::chrono::steady_clock::now();
  std::uint64_t last = before;
  bool busy = true;
  MutexLock lock(mutex_);
  while (!stopping_ && (failed || last - before < options_.segment_bytes / 2)) {
    if (eraser_.has_more() && !failed) break;
    const bool soon = eraser_.has_work() && !failed;
    const auto due =
        begun + (soon ? std::min(kWhileErasing, options_.interval) : options_.interval);
    const auto now = std::chrono::steady_clock::now();
    if (now >= due) break;
    changed_.wait_until(lock, busy ? std::min(due, now + kAskAgain) : due);
    const std::uint64_t appended = committer_.appended_bytes();
    busy = appended != std::exchange(last, appended);
  }
  return !stopping_;
}

void Cleaner::work() {
  Status status;
  while (wait(/*failed=*/!status)) {
    MutexLock lock(round_mutex_);
    status = round(/*paced=*/true);
    if (status || status.error().code() == ErrorCode::kShuttingDown) continue;
    options_.report(status.error());
  }
}

Result<Erasure> Cleaner::request_erasure(std::string_view id, std::string_view topic,
                                         std::string_view key) {
  RUNNEL_TRY_ASSIGN(Erasure erasure, eraser_.request(id, topic, key));
  MutexLock lock(mutex_);
  changed_.notify_all();
  return erasure;
}

Status Cleaner::erase_keys(bool paced) {
  if (!eraser_.has_work()) return {};
  RUNNEL_TRY(check_room());
  Eraser::Help help;
  help.pace = [this, paced](std::uint64_t bytes) {
    read_bytes_ += bytes;
    return pace(bytes, paced);
  };
  help.empty = [this, paced](const std::vector<std::uint32_t>& segments)
                   RUNNEL_REQUIRES(round_mutex_) -> Status {
    std::vector<Victim> victims;
    for (const std::uint32_t number : segments) victims.push_back({number, 0, 0});
    RUNNEL_TRY_ASSIGN(const std::vector<Piece> pieces, pieces_of(victims));
    return move_pieces(pieces, paced);
  };
  return eraser_.work(help);
}

Status Cleaner::run() {
  MutexLock lock(round_mutex_);
  return round(/*paced=*/false);
}

Status Cleaner::round(bool paced) {
  const auto begun = options_.clock->monotonic();
  const std::uint64_t before = read_bytes_ + data_.written_bytes();
  pace_from_ = std::chrono::steady_clock::now();
  appended_at_pace_ = committer_.appended_bytes();
  debt_found_ = 0;
  Status first = remove_dead_data();
  for (const Status& s : {erase_keys(paced), compact_topics(paced), clean_segments(paced),
                          sort_segments(paced), remove_dead_data()}) {
    if (first && !s) first = s;
  }
  appended_at_round_ = committer_.appended_bytes();
  debt_ = debt_found_;
  const std::uint64_t done = read_bytes_ + data_.written_bytes() - before;
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(options_.clock->monotonic() - begun);
  if (done != 0) {
    constexpr std::uint64_t kMicros = 1'000'000;
    rate_ = done * kMicros / static_cast<std::uint64_t>(std::max<std::int64_t>(1, took.count()));
  }
  return first;
}

CompactionEnvironment Cleaner::make_environment(bool paced) {
  return {journal_,
          data_,
          reader_,
          mover_,
          options_.now(),
          options_.memory_bytes,
          options_.random->next(),
          [this, paced](std::uint64_t bytes) { return pace(bytes, paced); }};
}

Result<std::optional<Compactable>> Cleaner::look_at(const CompactionEnvironment& environment,
                                                    const PartitionRef& partition) {
  const Partition::View view = partition->view();
  const TopicConfig config = partition->config();
  if (!config.compact || view.deleted || view.cleaned.bytes >= view.bytes) {
    return std::optional<Compactable>();
  }
  const auto now = options_.clock->monotonic();
  const std::uint32_t current = journal_.current_segment();
  Partition::Uncleaned& last = partition->uncleaned;
  const std::uint64_t grown = view.bytes - last.bytes;
  const bool much = grown > view.live_bytes() / 16 || current != last.segment;
  if (last.bytes != 0 && !much && now < last.look_again) return std::optional<Compactable>();
  RUNNEL_TRY_ASSIGN(Compactable found, find_compactable(environment, partition));
  if (found.is_due || found.in_the_way) return std::optional<Compactable>(found);
  last = {view.bytes, current, now + kLookAgain};
  return std::optional<Compactable>();
}

Status Cleaner::compact(const CompactionEnvironment& environment, const PartitionRef& partition,
                        Compactable what) {
  if (!what.is_due && what.in_the_way) {
    // The oldest of it waits for longer than it may, and would go on doing so in a quiet store.
    RUNNEL_TRY(mover_.set_clean(partition, partition->view().cleaned, /*in_new_segment=*/true));
    RUNNEL_TRY_ASSIGN(what, find_compactable(environment, partition));
  }
  for (int i = 0; what.is_due; ++i) {
    Compaction pass(environment, partition);
    const Status status = pass.run(what);
    read_bytes_ += pass.stats().read_bytes;
    compacted_bytes_ += pass.stats().removed_bytes;
    ++passes_;
    const bool again = !status && status.error().code() == ErrorCode::kPreconditionFailed;
    if (again && (i + 1 == kAttempts || partition->view().deleted)) return {};
    if (!status && !again) return fail(status.error().within(partition->name()));
    // Where the memory was too small for all keys the rest comes in another pass.
    RUNNEL_TRY_ASSIGN(what, find_compactable(environment, partition));
    if (status) i = -1;
  }
  return {};
}

Status Cleaner::compact_topics(bool paced) {
  const CompactionEnvironment environment = make_environment(paced);
  struct Due {
    PartitionRef partition;
    Compactable what;
  };
  std::vector<Due> due;
  Status first;
  for (const PartitionRef& partition : topics_.all_partitions()) {
    const auto found = look_at(environment, partition);
    if (!found && first) first = fail(found.error().within(partition->name()));
    if (!found || !*found) continue;
    due.push_back({partition, **found});
    debt_found_ += (*found)->bytes;
  }
  const auto gain = [](const Due& d) {
    return static_cast<double>(d.what.bytes) / static_cast<double>(d.what.total + 1);
  };
  std::sort(due.begin(), due.end(), [&](const Due& a, const Due& b) { return gain(a) > gain(b); });
  debt_ = debt_found_;
  for (const Due& d : due) {
    const Status status = check_room() ? compact(environment, d.partition, d.what) : check_room();
    if (status) debt_found_ -= d.what.bytes;
    debt_ = debt_found_;
    if (!status && first) first = status;
    if (!status) {
      // What is damaged, or finds no room, is not read again and again.
      d.partition->uncleaned = {d.partition->view().bytes, journal_.current_segment(),
                                options_.clock->monotonic() + kLookAgain};
    }
    if (!status && status.error().code() == ErrorCode::kShuttingDown) return status;
  }
  return first;
}

Status Cleaner::check_room() const {
  RUNNEL_TRY_ASSIGN(const SpaceInfo space, options_.file_system->space(options_.directory));
  if (options_.keep_free_bytes == 0) return {};
  if (space.available_bytes >= options_.keep_free_bytes / 2 + kRoomForMove) return {};
  return fail(ErrorCode::kLowSpace,
              "the disk is too full to compact or to clean segments; free some space on it");
}

Status Cleaner::pace(std::uint64_t bytes, bool paced) {
  MutexLock lock(mutex_);
  if (stopping_) return fail(stopped());
  if (!paced || options_.bytes_per_second == 0) return {};
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t appended = committer_.appended_bytes();
  const double seconds = std::max(0.001, std::chrono::duration<double>(now - pace_from_).count());
  const double append_rate = static_cast<double>(appended - appended_at_pace_) / seconds;
  const double rate =
      std::max(static_cast<double>(options_.bytes_per_second), kBytesPerAppended * append_rate);
  const auto until =
      pace_from_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(bytes) / rate));
  while (!stopping_ && std::chrono::steady_clock::now() < until) {
    changed_.wait_until(lock, until);
  }
  pace_from_ = std::max(until, std::chrono::steady_clock::now() - std::chrono::seconds(1));
  appended_at_pace_ = appended;
  if (stopping_) return fail(stopped());
  return {};
}

CleanerStats Cleaner::stats() const {
  return {read_bytes_, data_.written_bytes(), compacted_bytes_, passes_, debt_, rate_};
}

}  // namespace runnel::storage
