#include "storage/log/log_store.h"

#include <algorithm>
#include <future>

#include "storage/log/recovery.h"
#include "storage/segments/segment_files.h"
#include "storage/stats.h"

namespace runnel::storage {
namespace {

constexpr std::uint64_t kMinSegment = 1u << 20;
/// On a small disk, segments, watermark and ballast shrink to these parts of it.
constexpr std::uint64_t kSegmentPart = 16;
constexpr std::uint64_t kLowSpacePart = 8;
constexpr std::uint64_t kBallastPart = 32;

/// Defaults are for disks of tens of gigabytes; they must also work on 8 MiB.
void fit_to_disk(StoreOptions& options, std::uint64_t disk_bytes) {
  if (disk_bytes == 0) return;
  std::uint64_t segment = options.segment_bytes;
  while (segment > kMinSegment && segment > disk_bytes / kSegmentPart) segment /= 2;
  options.segment_bytes = segment;
  options.low_space_bytes = std::min(options.low_space_bytes, disk_bytes / kLowSpacePart);
  options.ballast_bytes = std::min(options.ballast_bytes, disk_bytes / kBallastPart);
}

/// Producer states get this part of the memory.
std::size_t producer_capacity(std::uint64_t memory_bytes) {
  constexpr std::uint64_t kPart = 8;
  constexpr std::uint64_t kLeast = 1000;
  return std::max(kLeast, memory_bytes / kPart / Producers::kBytesEach);
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(StoreOptions options) {
  return LogStore::open(std::move(options));
}

LogStore::LogStore(StoreOptions options)
    : options_(std::move(options)),
      paths_(options_.directory),
      memory_(options_.memory_bytes / 2),
      producers_(producer_capacity(options_.memory_bytes)) {}

Result<std::unique_ptr<Store>> LogStore::open(StoreOptions options) {
  auto store = std::unique_ptr<LogStore>(new LogStore(std::move(options)));
  RUNNEL_TRY(store->start());
  return std::unique_ptr<Store>(std::move(store));
}

void LogStore::log(LogLevel level, std::string_view text) const {
  if (options_.log) options_.log(level, text);
}

IndexOptions LogStore::index_options() {
  IndexOptions index;
  index.directory = paths_.index;
  index.file_system = options_.file_system;
  index.memory_bytes = options_.memory_bytes / 4;
  index.dedup_alive = [this](std::string_view value) {
    if (!loaded_.load(std::memory_order_acquire)) return true;
    const auto record = decode_dedup(value);
    return !record || Stager::dedup_alive(topics_, *record);
  };
  index.full_disk = {[this](int attempt) { return wait_for_room(attempt); },
                     [this] { out_of_space_ = false; }};
  index.warn = [this](std::string_view text) { log(LogLevel::kWarning, text); };
  return index;
}

JournalOptions LogStore::journal_options() const {
  JournalOptions journal;
  journal.directory = paths_.segments;
  journal.anchor_path = paths_.anchor;
  journal.segment_bytes = options_.segment_bytes;
  journal.store = directory_.id;
  journal.frame_seed = directory_.frame_seed;
  journal.file_system = options_.file_system;
  journal.clock = options_.clock;
  journal.keep_free_bytes = options_.low_space_bytes;
  journal.page_cache_bytes = options_.page_cache_bytes;
  journal.warn = [this](std::string_view text) { log(LogLevel::kWarning, text); };
  return journal;
}

CommitterOptions LogStore::committer_options() {
  CommitterOptions committer;
  committer.group_bytes = options_.group_bytes;
  committer.clock = options_.clock;
  committer.on_fatal = [this](const Error& error) {
    log(LogLevel::kError, error.to_string());
    if (options_.on_fatal) options_.on_fatal(error);
  };
  committer.on_full_disk = [this] {
    if (const Status s = space_->drop(); !s) log(LogLevel::kError, s.error().to_string());
    low_space_ = true;
  };
  committer.admit_exclusive = [this]() -> Status {
    if (!out_of_space_.load(std::memory_order_relaxed)) return {};
    return fail(out_of_space());
  };
  committer.on_durable = [this] { became_durable(); };
  return committer;
}

CleanerOptions LogStore::cleaner_options() {
  constexpr std::uint64_t kMemoryPart = 8;
  CleanerOptions cleaner;
  cleaner.directory = options_.directory;
  cleaner.file_system = options_.file_system;
  cleaner.clock = options_.clock;
  cleaner.random = options_.random;
  cleaner.memory_bytes = options_.memory_bytes / kMemoryPart;
  cleaner.segment_bytes = options_.segment_bytes;
  cleaner.bytes_per_second = options_.cleaner_bytes_per_second;
  cleaner.keep_free_bytes = options_.low_space_bytes;
  cleaner.interval = options_.cleaner_interval;
  cleaner.frame_seed = directory_.frame_seed;
  cleaner.now = [this] {
    MutexLock lock(maintenance_mutex_);
    bool doubted = false;
    return retention_clock_.now(*options_.clock, doubted);
  };
  cleaner.report = [this](const Error& error) {
    // What is damaged stays where it is, and is met again each time.
    if (error.code() == ErrorCode::kCorrupt && !cleaner_damages_.is_new(error.message())) return;
    log(LogLevel::kError, "cleaning: " + error.to_string());
  };
  return cleaner;
}

/// All others are served; a fetch of what is missing answers kCorrupt.
void LogStore::report_missing_segments() const {
  for (const std::uint32_t number : segments_.live()) {
    const auto file = is_data_segment(number) ? data_->file(number) : journal_->segment(number);
    if (file) continue;
    log(LogLevel::kError, Error(ErrorCode::kCorrupt,
                                file.error().message() +
                                    ", but records that are not deleted lie in it; stop and put " +
                                    (is_data_segment(number) ? data_segment_file_name(number)
                                                             : segment_file_name(number)) +
                                    " back from a backup")
                              .to_string());
  }
}

LogStore::LostInAll LogStore::count_lost() const {
  LostInAll all;
  const Status scanned =
      index_->scan_prefix(Family::kIndex, keys::kLost, [&](std::string_view key, auto value) {
        const auto parsed = keys::parse_lost(key);
        const auto lost = decode_lost(key, value);
        const PartitionRef of = parsed ? topics_.partition(parsed->partition) : nullptr;
        if (!of || !lost) return true;
        ++all.ranges;
        all.offsets += static_cast<std::uint64_t>(lost->last - lost->first + 1);
        if (all.ranges <= kMostLostNamed) {
          all.names += (all.names.empty() ? "" : ", ") + of->topic() + "[" +
                       std::to_string(of->index().value()) + "] offsets " +
                       std::to_string(lost->first.value()) + " to " +
                       std::to_string(lost->last.value());
        }
        return true;
      });
  if (!scanned) log(LogLevel::kError, "lost ranges: " + scanned.error().to_string());
  return all;
}

void LogStore::report_lost() const {
  const LostInAll lost = count_lost();
  if (lost.ranges == 0) return;
  log(LogLevel::kWarning,
      std::to_string(lost.offsets) + " offsets in " + std::to_string(lost.ranges) +
          " ranges are lost since a repair; reading them answers corrupt: " + lost.names +
          (lost.ranges > kMostLostNamed ? ", ..." : ""));
}

Status LogStore::load_producer_ids() {
  RUNNEL_TRY_ASSIGN(const auto value, index_->get(Family::kMeta, keys::next_producer()));
  if (!value) return {};
  RUNNEL_TRY_ASSIGN(const auto end, decode_number(*value));
  producer_ids_end_ = static_cast<std::int64_t>(end);
  return {};
}

Status LogStore::start_clock() {
  RUNNEL_TRY_ASSIGN(const auto value, index_->get(Family::kMeta, keys::retention_time()));
  std::optional<RetentionClock::Kept> last;
  if (value) {
    RUNNEL_TRY_ASSIGN(const KeptTime kept, decode_kept_time(*value));
    const bool known = kept.monotonic_ns != KeptTime::kUnknown;
    last = {kept.time, kept.wall,
            known ? std::chrono::nanoseconds(kept.monotonic_ns) : options_.clock->monotonic()};
  }
  retention_clock_.start(last, options_.trust_clock, *options_.clock);
  return {};
}

Status LogStore::start_scrubber() {
  ScrubPlace place;
  RUNNEL_TRY_ASSIGN(const auto value, index_->get(Family::kMeta, keys::scrub_place()));
  if (value) {
    RUNNEL_TRY_ASSIGN(place, decode_scrub_place(*value));
  }
  const auto report = [this](const Error& error) {
    log(LogLevel::kError, "scrubbing: " + error.to_string());
  };
  scrubber_ =
      std::make_unique<Scrubber>(ScrubberOptions{options_.scrub_interval, options_.clock, report},
                                 *reader_, topics_, *journal_, place);
  return {};
}

Status LogStore::start() {
  const auto begun = options_.clock->monotonic();
  FileSystem& fs = *options_.file_system;
  RUNNEL_TRY_ASSIGN(directory_, open_directory(fs, *options_.random, options_.directory));
  RUNNEL_TRY_ASSIGN(const SpaceInfo space, fs.space(options_.directory));
  fit_to_disk(options_, space.total_bytes);
  space_ = std::make_unique<SpaceGuard>(SpaceGuardOptions{
      options_.directory, paths_.ballast, options_.low_space_bytes, options_.ballast_bytes, &fs});
  if (const Status s = remove_old_snapshots(); !s) {
    log(LogLevel::kError, "what is left of a backup can't be removed: " + s.error().message());
  }
  RUNNEL_TRY(space_->open());

  RUNNEL_TRY_ASSIGN(index_, Index::open(index_options()));
  RUNNEL_TRY_ASSIGN(journal_, Journal::open(journal_options()));
  RUNNEL_TRY_ASSIGN(data_, DataSegments::open({paths_.segments, options_.segment_bytes,
                                               directory_.id, &fs, options_.clock}));
  reader_ = std::make_unique<Reader>(*journal_, *data_, *index_);
  stager_ = std::make_unique<Stager>(topics_, *index_, segments_, producers_);
  Recovery recovery(*index_, producers_, Replay::kStrict, options_.clock->monotonic());
  RUNNEL_TRY(recovery.replay(*journal_));
  RUNNEL_TRY(recovery.load(topics_, segments_, *stager_));
  RUNNEL_TRY(stager_->restore_dedup());
  report_missing_segments();
  report_lost();
  RUNNEL_TRY(load_producer_ids());
  loaded_.store(true, std::memory_order_release);
  reader_->verified().trust_from(recovery.checkpoint().position);
  {
    MutexLock lock(maintenance_mutex_);
    checkpointed_ = recovery.checkpoint().position;
    checkpoint_end_ = recovery.checkpoint().position;
    last_checkpoint_ = options_.clock->monotonic();
  }
  recovered_frames_ = recovery.report().frames;
  RUNNEL_TRY(start_clock());

  committer_ =
      std::make_unique<Committer>(committer_options(), *journal_, *index_, *stager_, *reader_);
  committer_->start();
  cleaner_ = std::make_unique<Cleaner>(cleaner_options(), *journal_, *data_, *index_, *reader_,
                                       *committer_, topics_, segments_);
  RUNNEL_TRY(cleaner_->load_erasures());
  RUNNEL_TRY(start_scrubber());
  look_at_space();
  if (options_.background) cleaner_->start();
  if (options_.background) scrubber_->start();
  if (options_.background) background_ = std::thread([this] { run_background(); });

  recovery_micros_ = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(options_.clock->monotonic() - begun)
          .count());
  if (recovery.report().torn_tail) {
    log(LogLevel::kWarning,
        "the last write was cut off by an unclean stop; it was never "
        "acknowledged and is dropped (journal ends at " +
            recovery.report().end.position.to_string() + ")");
  }
  return {};
}

LogStore::~LogStore() {
  if (const Status s = close(); !s) log(LogLevel::kError, "closing failed: " + s.error().message());
}

Status LogStore::close() {
  {
    MutexLock lock(background_mutex_);
    if (closed_) return {};
    closed_ = true;
    closing_ = true;
    background_changed_.notify_all();
  }
  if (background_.joinable()) background_.join();
  if (!committer_) return {};
  if (cleaner_) cleaner_->stop();
  if (scrubber_) scrubber_->stop();
  Status status;
  {
    MutexLock lock(maintenance_mutex_);
    status = checkpoint();
  }
  reader_->close();
  recompression_.close();
  committer_->stop();
  if (status) status = journal_->write_anchor();
  return status;
}

Result<PartitionRef> LogStore::partition(std::string_view topic, PartitionIndex index) const {
  RUNNEL_TRY_ASSIGN(const TopicRef found, topics_.find(topic));
  const auto i = static_cast<std::size_t>(index.value());
  if (index.value() < 0 || i >= found->partitions.size()) {
    return fail(ErrorCode::kUnknownPartition, "topic '" + found->name + "' has partitions 0 to " +
                                                  std::to_string(found->partitions.size() - 1) +
                                                  ", not " + std::to_string(index.value()));
  }
  return found->partitions[i];
}

PartitionId LogStore::partition_id(const PartitionRef& partition) const {
  return partition->id();
}

PartitionInfo LogStore::partition_info(const PartitionRef& partition) const {
  const Partition::View view = partition->view();
  PartitionInfo info;
  info.index = partition->index();
  info.log_start = view.start.offset;
  info.high_watermark = view.high_watermark;
  info.last_stable = view.stable.offset;
  info.bytes = view.bytes - view.start.bytes;
  info.max_timestamp = reader_->max_timestamp(*partition).value_or(kNoTimestamp);
  return info;
}

RecordRules LogStore::record_rules(const PartitionRef& partition) const {
  const TopicConfig config = partition->config();
  RecordRules rules = config.records;
  rules.max_batch_bytes = config.max_message_bytes;
  return rules;
}

FetchTicket LogStore::fetch(FetchRequest request, FetchCallback done) {
  return reader_->fetch(std::move(request), std::move(done));
}

bool LogStore::cancel_fetch(FetchTicket ticket) {
  return reader_->cancel(ticket);
}

std::unique_ptr<Watch> LogStore::watch(std::vector<PartitionRef> partitions,
                                       std::function<void()> changed) {
  return std::make_unique<PartitionWatch>(std::move(partitions), std::move(changed));
}

Result<OffsetAnswer> LogStore::find_offset(const PartitionRef& partition, OffsetQuery query) const {
  return reader_->find_offset(*partition, query);
}

Result<ProducerIdentity> LogStore::new_producer() {
  constexpr std::int64_t kBlock = 1000;
  MutexLock lock(producers_mutex_);
  if (producers_left_ == 0) {
    // Ids are taken in blocks, so that a producer's start needs no commit of its own. A block cut
    // off by a crash leaves a gap, which harms nobody.
    std::int64_t first = 0;
    Committer::Exclusive work;
    work.build = [&](const JournalPoint&) -> Result<Mutations> {
      RUNNEL_TRY_ASSIGN(const auto value, index_->get(Family::kMeta, keys::next_producer()));
      if (value) {
        RUNNEL_TRY_ASSIGN(const auto next, decode_number(*value));
        first = static_cast<std::int64_t>(next);
      }
      Mutations m;
      m.put(Family::kMeta, keys::next_producer(),
            encode_number(static_cast<std::uint64_t>(first + kBlock)));
      return m;
    };
    RUNNEL_TRY(committer_->run(std::move(work)));
    next_producer_ = first;
    producer_ids_end_ = first + kBlock;
    producers_left_ = kBlock;
  }
  --producers_left_;
  return ProducerIdentity{ProducerId(next_producer_++), ProducerEpoch(0)};
}

StoreStats LogStore::stats() const {
  StoreStats s;
  s.appended_bytes = committer_->appended_bytes();
  s.appended_records = committer_->appended_records();
  s.appended_batches = committer_->appended_batches();
  s.written_bytes = journal_->written_bytes() + data_->written_bytes();
  s.commits = committer_->commits();
  s.syncs = journal_->syncs();
  const SyncTimes::Summary times = committer_->sync_times();
  s.sync_micros = times.micros;
  s.sync_p50_micros = times.p50_micros;
  s.sync_p99_micros = times.p99_micros;
  s.sync_max_micros = times.max_micros;
  s.fetches = reader_->fetches();
  s.fetched_bytes = reader_->fetched_bytes();
  s.fetched_cached_bytes = reader_->fetched_cached_bytes();
  s.waiting_fetches = reader_->waiting();
  s.duplicates = stager_->duplicates();
  s.producers_evicted = producers_.evicted();
  s.producers_refused = producers_.refused();
  s.segments = journal_->segments().size() + data_->segments().size();
  s.segment_bytes = journal_->disk_bytes() + data_->disk_bytes();
  const CleanerStats cleaner = cleaner_->stats();
  s.cleaner_read_bytes = cleaner.read_bytes;
  s.cleaner_written_bytes = cleaner.written_bytes;
  s.compacted_bytes = cleaner.compacted_bytes;
  s.cleaner_debt_bytes = cleaner.debt_bytes;
  s.cleaner_rate = cleaner.rate;
  const ScrubberStats scrubbed = scrubber_->stats();
  s.scrubbed_bytes = scrubbed.bytes;
  s.scrub_damages = scrubbed.damages;
  s.scrub_passes = scrubbed.passes;
  s.scrub_pass_ended = scrubbed.pass_ended;
  const LostInAll lost = count_lost();
  s.lost_ranges = lost.ranges;
  s.lost_offsets = lost.offsets;
  s.snapshots = snapshots_held_;
  s.topics = topics_.all().size();
  s.partitions = topics_.partition_count();
  s.memory_held_bytes = memory_.held_bytes();
  s.memory_limit_bytes = memory_.limit_bytes();
  s.free_bytes = space_->free_bytes();
  s.low_space = low_space_;
  s.recovered_frames = recovered_frames_;
  s.recovery_micros = recovery_micros_;
  return s;
}

CommitOutcome Store::commit_and_wait(CommitRequest request) {
  std::promise<CommitOutcome> promise;
  auto future = promise.get_future();
  commit(std::move(request), [&](CommitOutcome o) { promise.set_value(std::move(o)); });
  return future.get();
}

std::vector<Store::Fetched> Store::fetch_and_wait(FetchRequest request) {
  std::promise<FetchResult> promise;
  auto future = promise.get_future();
  fetch(std::move(request), [&](FetchResult r) { promise.set_value(std::move(r)); });
  FetchResult result = future.get();
  std::vector<Fetched> out;
  for (FetchedPartition& p : result) {
    Fetched& f = out.emplace_back();
    f.batches = Buffer::allocate(p.bytes);
    std::size_t at = 0;
    for (const FileSlice& s : p.slices) {
      const auto read =
          s.file->read_exactly(s.position, f.batches.mutable_bytes().subspan(at, s.length));
      if (!read && !p.error) p.error = read.error();
      at += s.length;
    }
    p.slices.clear();
    f.head = std::move(p);
  }
  return out;
}

}  // namespace runnel::storage
