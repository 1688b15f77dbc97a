// What is checked and done on the caller's thread before a request joins the queue, and the
// look-ups of consumer offsets and broker state.
#include <algorithm>
#include <unordered_set>

#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/crc32c.h"
#include "storage/log/batch_walker.h"
#include "storage/log/log_store.h"

namespace runnel::storage {
namespace {

/// Most bytes that the batches of one request may take after they were compressed anew.
constexpr std::uint64_t kMaxCompressedAnewBytes = 64u << 20;

Status check_name(std::string_view what, std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "a " + std::string(what) + " has 1 to " +
                                                 std::to_string(kMaxNameBytes) +
                                                 " bytes and no zero byte");
  }
  return {};
}

/// The batch with its records in another codec; everything but the records stays.
Result<Buffer> recompressed(Bytes batch, const TopicConfig& config) {
  using namespace protocol;
  const Codec codec = *config.codec;
  const auto most = static_cast<std::size_t>(config.max_message_bytes);
  const BatchView view(batch);
  Bytes records = batch.subspan(kBatchHeaderBytes);
  Buffer plain;
  if (view.codec() != Codec::kNone) {
    // Where nothing is compressed again, what is too large is so already here.
    const std::size_t limit = codec == Codec::kNone ? most : kMaxDecompressedBytes;
    RUNNEL_TRY_ASSIGN(plain, decompress(view.codec(), records, limit));
    records = plain.bytes();
  }
  Buffer packed;
  if (codec != Codec::kNone) {
    RUNNEL_TRY_ASSIGN(packed, compress(codec, records));
    records = packed.bytes();
  }
  if (kBatchHeaderBytes + records.size() > most) {
    return fail(ErrorCode::kRecordTooLarge,
                "compressed anew, a batch takes " +
                    std::to_string(kBatchHeaderBytes + records.size()) +
                    " bytes, more than max.message.bytes=" + std::to_string(most) +
                    "; send smaller batches or raise the limit");
  }
  Buffer out = Buffer::allocate(kBatchHeaderBytes + records.size());
  std::byte* const p = out.mutable_data();
  std::copy_n(batch.begin(), kBatchHeaderBytes, p);
  std::copy(records.begin(), records.end(), p + kBatchHeaderBytes);
  store_be<std::int32_t>(p + 8, static_cast<std::int32_t>(out.size() - kBatchLengthOverhead));
  const auto attributes = static_cast<std::uint16_t>((view.attributes() & ~kCodecMask) |
                                                     static_cast<std::uint16_t>(codec));
  store_be<std::uint16_t>(p + 21, attributes);
  constexpr std::size_t kCrcFrom = 21;
  store_be<std::uint32_t>(p + 17, crc32c(out.bytes().subspan(kCrcFrom)));
  return out;
}

/// `numbered`: how many of the item's batches have a producer's sequence.
Status check_numbered(const AppendItem& item, std::size_t numbered) {
  if (numbered > ProducerState::kRemembered) {
    return fail(ErrorCode::kInvalidArgument,
                item.partition->name() + ": " + std::to_string(numbered) +
                    " batches of idempotent producers stand in one request; a repeat is known by "
                    "the last " +
                    std::to_string(ProducerState::kRemembered) + ", send no more at once");
  }
  // A record that is known by its key would leave a gap in its producer's sequence.
  if (numbered != 0 && !item.dedup.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                item.partition->name() +
                    ": a request's batches are guarded by dedup keys or by an idempotent "
                    "producer's sequence, not by both");
  }
  return {};
}

/// Whether something is compressed anew, or an earlier request to one of the partitions still is.
bool needs_recompression(const CommitRequest& request) {
  return std::any_of(request.appends.begin(), request.appends.end(), [](const AppendItem& item) {
    return item.partition && (item.partition->in_recompression.load() != 0 ||
                              item.partition->config().codec.has_value());
  });
}

/// A request on its way to the committer by the thread that compresses anew.
struct InRecompression {
  InRecompression(CommitRequest r, CommitCallback d) : request(std::move(r)), done(std::move(d)) {
    for (const AppendItem& item : request.appends) {
      if (item.partition) ++partitions.emplace_back(item.partition)->in_recompression;
    }
  }
  ~InRecompression() {
    for (const PartitionRef& partition : partitions) --partition->in_recompression;
  }
  InRecompression(const InRecompression&) = delete;
  InRecompression& operator=(const InRecompression&) = delete;

  CommitRequest request;
  CommitCallback done;
  std::vector<PartitionRef> partitions;
};

}  // namespace

/// What a request's batches take after they were compressed anew. The budget is paid until the
/// request is answered: few bytes on the wire can be many here.
struct LogStore::Growth {
  explicit Growth(MemoryBudget& from) : budget(from) {}
  ~Growth() { budget.give_back(bytes); }
  Growth(const Growth&) = delete;
  Growth& operator=(const Growth&) = delete;

  [[nodiscard]] Status add(std::uint64_t more) {
    if (bytes + more > kMaxCompressedAnewBytes) {
      return fail(ErrorCode::kRecordTooLarge,
                  "compressed anew, the batches of one request take more than " +
                      std::to_string(kMaxCompressedAnewBytes) + " bytes; send less in one request");
    }
    if (!budget.try_take(more)) {
      return fail(ErrorCode::kOverloaded,
                  "the broker's memory is full of requests; try again in a moment");
    }
    bytes += more;
    return {};
  }

  MemoryBudget& budget;
  std::uint64_t bytes = 0;
};

Status LogStore::compress_anew(AppendItem& item, const TopicConfig& config, Growth& growth) {
  ByteWriter all;
  Status status;
  for_each_batch(item.batches.bytes(), [&](const protocol::BatchView&, Bytes batch) {
    if (!status) return;
    const auto again = recompressed(batch, config);
    status = again ? growth.add(again->size()) : fail(again.error());
    if (status) all.raw(again->bytes());
  });
  if (!status) return fail(status.error().within(item.partition->name()));
  item.batches = Buffer::copy_of(all.bytes());
  return {};
}

Status LogStore::check_producer(ProducerId producer) const {
  if (producer >= ProducerId(0) && producer.value() < producer_ids_end_) return {};
  return fail(ErrorCode::kUnknownProducer,
              "producer id " + std::to_string(producer.value()) +
                  " was not given out by this store; ask it for a new one");
}

Status LogStore::prepare_markers(const std::vector<TransactionMarker>& markers) const {
  if (markers.size() > kMaxTransactionMarkers) {
    return fail(ErrorCode::kInvalidArgument, "a request ends a transaction in at most " +
                                                 std::to_string(kMaxTransactionMarkers) +
                                                 " partitions; send several requests");
  }
  std::unordered_set<const Partition*> seen;
  for (const TransactionMarker& m : markers) {
    RUNNEL_ASSERT(m.partition != nullptr);
    RUNNEL_TRY(check_producer(m.producer.id));
    if (m.producer.epoch < ProducerEpoch(0)) {
      return fail(ErrorCode::kInvalidArgument, "a transaction marker has a producer epoch");
    }
    if (!seen.insert(m.partition.get()).second) {
      return fail(ErrorCode::kInvalidArgument,
                  m.partition->name() + " has two transaction markers in one request");
    }
  }
  return {};
}

Status LogStore::prepare_append(AppendItem& item, Growth* growth) {
  RUNNEL_ASSERT(item.partition != nullptr);
  const TopicConfig config = item.partition->config();
  if (item.batches.empty()) {
    return fail(ErrorCode::kInvalidArgument, item.partition->name() + ": no records were given");
  }
  std::int32_t records = 0;
  std::size_t numbered = 0;
  bool recompress = false;
  for (Bytes rest = item.batches.bytes(); !rest.empty();) {
    auto size = protocol::validate_batch(rest, protocol::Depth::kHeader);
    if (!size) return fail(size.error().within(item.partition->name()));
    const protocol::BatchView batch(rest);
    if (*size > static_cast<std::size_t>(config.max_message_bytes)) {
      return fail(ErrorCode::kRecordTooLarge,
                  "a batch of " + std::to_string(*size) + " bytes is more than max.message.bytes=" +
                      std::to_string(config.max_message_bytes) + " of topic '" +
                      item.partition->topic() + "'; send smaller batches or raise the limit");
    }
    const ProducerId producer = batch.producer_id();
    if (producer != kNoProducer) {
      RUNNEL_TRY(check_producer(producer));
      ++numbered;
    }
    if (batch.is_control()) {
      return fail(ErrorCode::kInvalidArgument, "producers can't send control batches");
    }
    if (batch.is_transactional() && producer == kNoProducer) {
      return fail(ErrorCode::kInvalidArgument,
                  "a batch of a transaction names no producer; get a producer id first");
    }
    records += batch.record_count();
    recompress = recompress || (growth && config.codec && batch.codec() != *config.codec);
    rest = rest.subspan(*size);
  }
  RUNNEL_TRY(check_numbered(item, numbered));
  if (item.dedup.size() > static_cast<std::size_t>(records)) {
    return fail(ErrorCode::kInvalidArgument, std::to_string(item.dedup.size()) +
                                                 " dedup keys guard " + std::to_string(records) +
                                                 " records; a record has one key at most");
  }
  for (const DedupEntry& d : item.dedup) {
    if (d.record_index < 0 || d.record_index >= records) {
      return fail(ErrorCode::kInvalidArgument, "a dedup key guards record " +
                                                   std::to_string(d.record_index) + " of " +
                                                   std::to_string(records));
    }
    for (const auto* part : {&d.key.source, &d.key.source_id, &d.key.data_id}) {
      if (part->size() > kMaxDedupPartBytes) {
        return fail(ErrorCode::kInvalidArgument, "each part of a dedup key has at most " +
                                                     std::to_string(kMaxDedupPartBytes) + " bytes");
      }
    }
  }
  if (recompress) RUNNEL_TRY(compress_anew(item, config, *growth));
  if (config.records.log_append_time) {
    const Timestamp now = options_.clock->now();
    for (MutableBytes rest = item.batches.mutable_bytes(); !rest.empty();) {
      const std::size_t bytes = protocol::BatchView(rest).total_bytes();
      protocol::stamp_append_time(rest.first(bytes), now);
      rest = rest.subspan(bytes);
    }
  }
  return {};
}

Status LogStore::prepare(CommitRequest& request, Growth* growth) {
  if (out_of_space_.load(std::memory_order_relaxed)) return fail(out_of_space());
  if (!request.appends.empty() && low_space_.load(std::memory_order_relaxed)) {
    return fail(ErrorCode::kLowSpace,
                "the disk is too full to take records (less than " +
                    std::to_string(options_.low_space_bytes >> 20) +
                    " MiB are free); free some space or shorten retention, then try again");
  }
  std::unordered_set<const Partition*> seen;
  std::size_t dedup_entries = 0;
  for (AppendItem& item : request.appends) {
    if (request.appends.size() > 1 && !seen.insert(item.partition.get()).second) {
      return fail(
          ErrorCode::kInvalidArgument,
          item.partition->name() + " stands twice in one request; put its batches together");
    }
    RUNNEL_TRY(prepare_append(item, growth));
    dedup_entries += item.dedup.size();
  }
  if (dedup_entries > kMaxDedupEntries) {
    return fail(ErrorCode::kInvalidArgument, "a request has at most " +
                                                 std::to_string(kMaxDedupEntries) +
                                                 " dedup keys; send several requests");
  }
  RUNNEL_TRY(prepare_markers(request.markers));
  for (const OffsetCommit& o : request.offsets) {
    RUNNEL_TRY(check_name("group name", o.group));
    RUNNEL_TRY(partition(o.topic, o.partition));
    if (o.metadata.size() > kMaxOffsetMetadataBytes) {
      return fail(
          ErrorCode::kInvalidArgument,
          "an offset's metadata has at most " + std::to_string(kMaxOffsetMetadataBytes) + " bytes");
    }
    if (o.offset < kNoOffset) {
      return fail(ErrorCode::kInvalidArgument,
                  "a committed offset is 0 or more, or -1 to forget what was committed");
    }
  }
  for (const Fence& f : request.fences) RUNNEL_TRY(check_name("fence name", f.name));
  for (const StateChange& s : request.state) RUNNEL_TRY(check_name("state key", s.key));
  for (const GroupActivity& a : request.activity) RUNNEL_TRY(check_name("group name", a.group));
  return {};
}

void LogStore::commit(CommitRequest request, CommitCallback done) {
  submit(std::move(request), std::move(done), Committer::Wake::kCommitter);
}

void LogStore::queue_commit(CommitRequest request, CommitCallback done) {
  submit(std::move(request), std::move(done),
         driven_.load(std::memory_order_relaxed) ? Committer::Wake::kDriven
                                                 : Committer::Wake::kCommitter);
}

bool LogStore::drive_commits() {
  if (!driven_.load(std::memory_order_relaxed)) driven_.store(true, std::memory_order_relaxed);
  // On a full disk the index may have to wait for room, and an event loop never does.
  return committer_->drive(!low_space_.load(std::memory_order_relaxed));
}

bool LogStore::is_news(const GroupActivity& activity) {
  {
    MutexLock lock(groups_mutex_);
    if (activity.active) return active_groups_.insert(activity.group).second;
    if (active_groups_.erase(activity.group) != 0) return true;
  }
  // Empty, and not active since the start: since when it is empty must not move. If the index can't
  // be read, a later expiry is the smaller harm.
  const auto since = index_->get(Family::kMeta, keys::group_empty_since(activity.group));
  return !since || !*since;
}

void LogStore::submit(CommitRequest request, CommitCallback done, Committer::Wake wake) {
  if (!needs_recompression(request)) {
    submit_ready(std::move(request), std::move(done), wake, nullptr);
    return;
  }
  // Also what needs none, so that appends to a partition keep their order. It ends when the
  // committer has the request.
  const auto queued = std::make_shared<InRecompression>(std::move(request), std::move(done));
  const bool taken = recompression_.run([this, queued] {
    submit_ready(std::move(queued->request), std::move(queued->done), Committer::Wake::kCommitter,
                 std::make_shared<Growth>(memory_));
  });
  if (taken) return;
  queued->done(
      {fail(ErrorCode::kShuttingDown, "the store is shutting down; try again after its restart"),
       {}});
}

void LogStore::submit_ready(CommitRequest request, CommitCallback done, Committer::Wake wake,
                            std::shared_ptr<Growth> growth) {
  if (const Status ready = prepare(request, growth.get()); !ready) {
    growth.reset();  // paid back before anybody hears of it
    done({tl::unexpected<Error>(ready.error()), {}});
    return;
  }
  std::erase_if(request.activity, [&](const GroupActivity& a) { return !is_news(a); });
  if (request.durability != Durability::kNone) {
    if (growth) {
      done = [growth, answer = std::move(done)](CommitOutcome o) { answer(std::move(o)); };
    }
    committer_->submit(std::move(request), std::move(done), wake);
    return;
  }
  CommitResult result;
  result.durability = Durability::kNone;
  result.appends.resize(request.appends.size(),
                        {kNoOffset, kNoOffset, kNoOffset, kNoTimestamp, false, {}});
  const auto report = [this, growth](CommitOutcome outcome) {
    if (!outcome.result)
      log(LogLevel::kWarning,
          "an append that nobody waits for failed: " + outcome.result.error().to_string());
  };
  committer_->submit(std::move(request), report, wake);
  done({std::move(result), {}});
}

void LogStore::set_group_active(std::string_view group, bool active) {
  CommitRequest request;
  request.activity.push_back({std::string(group), active});
  request.durability = Durability::kWritten;
  commit(std::move(request), [this](CommitOutcome outcome) {
    if (!outcome.result) log(LogLevel::kWarning, outcome.result.error().to_string());
  });
}

namespace {

tl::unexpected<Error> bad_offset_key(std::string_view key) {
  return fail(ErrorCode::kCorrupt, "the index has a group's offset under a key of " +
                                       std::to_string(key.size()) +
                                       " bytes that is none; run `runnel check`");
}

}  // namespace

Result<std::optional<CommittedOffset>> LogStore::committed_offset(std::string_view group,
                                                                  std::string_view topic,
                                                                  PartitionIndex partition) const {
  RUNNEL_TRY_ASSIGN(const auto value,
                    index_->get(Family::kMeta, keys::group_offset(group, topic, partition)));
  if (!value) return std::optional<CommittedOffset>();
  RUNNEL_TRY_ASSIGN(OffsetRecord record, decode_offset(*value));
  return CommittedOffset{
      std::string(topic),         partition,       record.offset, record.leader_epoch,
      std::move(record.metadata), record.committed};
}

Result<std::vector<CommittedOffset>> LogStore::committed_offsets(std::string_view group) const {
  std::vector<CommittedOffset> offsets;
  Status decoded;
  RUNNEL_TRY(index_->scan_prefix(
      Family::kMeta, keys::group_offsets_of(group),
      [&](std::string_view key, std::string_view value) {
        const auto parsed = keys::parse_group_offset(key);
        auto record = decode_offset(value);
        if (!parsed) decoded = bad_offset_key(key);
        if (!record) decoded = fail(record.error());
        if (!decoded) return false;
        offsets.push_back({std::string(parsed->topic), parsed->partition, record->offset,
                           record->leader_epoch, std::move(record->metadata), record->committed});
        return true;
      }));
  RUNNEL_TRY(decoded);
  return offsets;
}

Result<std::vector<std::string>> LogStore::groups_with_offsets() const {
  std::vector<std::string> groups;
  Status decoded;
  RUNNEL_TRY(index_->scan_prefix(Family::kMeta, keys::kGroupOffsets,
                                 [&](std::string_view key, std::string_view) {
                                   const auto parsed = keys::parse_group_offset(key);
                                   if (!parsed) decoded = bad_offset_key(key);
                                   if (!parsed) return false;
                                   if (groups.empty() || groups.back() != parsed->group)
                                     groups.emplace_back(parsed->group);
                                   return true;
                                 }));
  RUNNEL_TRY(decoded);
  return groups;
}

Status LogStore::delete_group_offsets(std::string_view group) {
  RUNNEL_TRY(check_name("group name", group));
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    Mutations m;
    RUNNEL_TRY(index_->scan_prefix(Family::kMeta, keys::group_offsets_of(group),
                                   [&](std::string_view key, std::string_view) {
                                     m.erase(Family::kMeta, std::string(key));
                                     return true;
                                   }));
    m.erase(Family::kMeta, keys::group_empty_since(group));
    if (group.starts_with(kGroupFencePrefix)) m.erase(Family::kMeta, keys::fence(group));
    return m;
  };
  work.applied = [&] {
    if (group.starts_with(kGroupFencePrefix)) stager_->forget_fence(std::string(group));
  };
  return committer_->run(std::move(work));
}

Result<StateEntries> LogStore::read_state(std::string_view prefix) const {
  StateEntries entries;
  RUNNEL_TRY(index_->scan_prefix(Family::kMeta, keys::broker_state(prefix),
                                 [&](std::string_view key, std::string_view value) {
                                   entries.emplace_back(key.substr(1), value);
                                   return true;
                                 }));
  return entries;
}

}  // namespace runnel::storage
