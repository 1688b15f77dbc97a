// Append: checked here, on the network thread; stored by the committer; answered from its callback.
#include <algorithm>

#include "broker/native/native_session.h"
#include "broker/schemas/record_check.h"
#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::broker {

/// What is stored next, or when its records were looked at.
struct QueuedAppend {
  struct Check {
    std::size_t append = 0;  ///< of the commit's
    std::string target;      ///< for people
    schemas::RecordCheck records;
  };
  storage::CommitRequest commit;
  std::vector<NativeCommitter> committers;  ///< of the commit's group offsets
  std::vector<Check> checks;
  std::size_t room = 0;  ///< bytes that compressed batches may still unpack to
  MemoryLease lease;
  std::unique_ptr<AppliedCommit> applied;
};

namespace {

/// What the store's callback needs. Holds the frame's memory as long as the store uses it.
struct PendingAppend {
  std::shared_ptr<Replies> replies;
  std::uint64_t correlation = 0;
  MemoryLease lease;
  /// Set: it is answered when views have the records.
  std::unique_ptr<AppliedCommit> applied = nullptr;
};

/// What the batches of one append may unpack to where topics ask what is in them: keys, on the
/// network thread, and schemas.
constexpr std::size_t kMaxUnpackedBytes = 64u << 20;

/// A record without a key can't be compacted, and would stay for ever. Takes what the batch unpacks
/// to from `room`.
Status check_keys(Bytes batch, std::size_t& room) {
  auto reader = protocol::RecordReader::open(batch, room);
  if (!reader && reader.error().code() == ErrorCode::kRecordTooLarge) {
    return fail(reader.error().within("batches of one request to compacted topics may unpack to " +
                                      std::to_string(kMaxUnpackedBytes) +
                                      " bytes together; send fewer at once"));
  }
  if (!reader) return fail(reader.error());
  room -= std::min(room, reader->unpacked_bytes());
  for (std::int32_t index = 0;; ++index) {
    RUNNEL_TRY_ASSIGN(const auto record, reader->next());
    if (!record) return {};
    if (record->key) continue;
    return fail(ErrorCode::kInvalidArgument,
                "record " + std::to_string(index) +
                    " of a batch has no key, so it can't be compacted, and nothing was stored; "
                    "give it one, or take compact out of the topic's cleanup.policy");
  }
}

Status validate_batches(Bytes bytes, const storage::RecordRules& rules, std::size_t& room) {
  if (bytes.empty()) return fail(ErrorCode::kInvalidArgument, "there are no records to append");
  while (!bytes.empty()) {
    RUNNEL_TRY_ASSIGN(const std::size_t size,
                      protocol::validate_batch(bytes, protocol::Depth::kHeader));
    const protocol::BatchView batch(bytes);
    // What a Kafka client could not read is not stored.
    const bool plain = batch.codec() == protocol::Codec::kNone;
    RUNNEL_TRY(
        protocol::validate_batch(bytes, plain ? protocol::Depth::kRecords : protocol::Depth::kCrc));
    if (batch.is_control() || batch.is_transactional()) {
      return fail(ErrorCode::kUnsupported,
                  "a batch is marked as control or transactional; a native append is atomic by "
                  "itself and takes plain batches only");
    }
    RUNNEL_TRY(protocol::check_compressed_head(
        batch.codec(),
        bytes.subspan(protocol::kBatchHeaderBytes, size - protocol::kBatchHeaderBytes)));
    if (rules.needs_keys) {
      if (size > static_cast<std::size_t>(rules.max_batch_bytes)) {
        return fail(ErrorCode::kRecordTooLarge, "a batch has " + std::to_string(size) +
                                                    " bytes, max.message.bytes of the topic is " +
                                                    std::to_string(rules.max_batch_bytes));
      }
      RUNNEL_TRY(check_keys(bytes.first(size), room));
    }
    bytes = bytes.subspan(size);
  }
  return {};
}

Status check_schemas_of(schemas::RecordCheck& check, Bytes batches, std::size_t& room) {
  while (!batches.empty()) {
    RUNNEL_TRY_ASSIGN(const std::size_t size,
                      protocol::validate_batch(batches, protocol::Depth::kHeader));
    RUNNEL_TRY_ASSIGN(const auto refused, check.refused_in(batches.first(size), 1, room));
    if (!refused.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "record " + std::to_string(refused.front().index) +
                      " of a batch was refused, and nothing was stored: " + refused.front().why);
    }
    batches = batches.subspan(size);
  }
  return {};
}

std::string name_of(const native::TopicPartition& target) {
  return target.topic + "/" + std::to_string(target.partition.value());
}

std::vector<storage::DedupEntry> entries_of(std::vector<native::DedupKey>& keys) {
  std::vector<storage::DedupEntry> entries;
  entries.reserve(keys.size());
  for (native::DedupKey& key : keys) {
    entries.push_back({{std::move(key.source), std::move(key.source_id), std::move(key.data_id)},
                       key.payload_hash,
                       key.record_index});
  }
  return entries;
}

storage::Durability durability_of(native::Durability d) {
  return static_cast<storage::Durability>(d);
}
static_assert(static_cast<int>(storage::Durability::kNone) ==
              static_cast<int>(native::Durability::kNone));
static_assert(static_cast<int>(storage::Durability::kWritten) ==
              static_cast<int>(native::Durability::kWritten));
static_assert(static_cast<int>(storage::Durability::kSynced) ==
              static_cast<int>(native::Durability::kSynced));

}  // namespace

Result<std::shared_ptr<QueuedAppend>> NativeSession::make_commit(native::Append& request,
                                                                 const Buffer& attachment) {
  if (request.partitions.size() > kMaxRequestPartitions) {
    return fail(ErrorCode::kTooManyPartitions, "an append may have 10000 partitions");
  }
  if (request.partitions.empty() && request.groups.empty()) {
    return fail(ErrorCode::kInvalidArgument, "an append needs records or group offsets");
  }
  auto append = std::make_shared<QueuedAppend>();
  storage::CommitRequest& commit = append->commit;
  commit.durability = durability_of(request.durability);
  commit.appends.reserve(request.partitions.size());
  std::size_t at = 0;
  std::size_t room = kMaxUnpackedBytes;
  for (native::AppendPartition& p : request.partitions) {
    auto found = partition(p.target);
    if (!found) return fail(found.error());
    Buffer batches = attachment.slice(at, p.bytes);  // the codec checked the sum
    at += p.bytes;
    const storage::RecordRules rules = service_.store().record_rules(*found);
    if (const Status valid = validate_batches(batches.bytes(), rules, room); !valid) {
      return fail(valid.error().within(name_of(p.target)));
    }
    if (rules.asks_for_schemas()) {
      append->checks.push_back(
          {commit.appends.size(), name_of(p.target), {service_.schemas(), p.target.topic, rules}});
    }
    commit.appends.push_back(
        {std::move(*found), std::move(batches), entries_of(p.dedup), p.expected_next});
  }
  for (native::GroupOffsets& group : request.groups) {
    // Asked again when it is queued; nobody's records need be looked at for nothing.
    RUNNEL_TRY(
        service_.coordinator().check_commit(group.group, group.member_id, group.member_epoch));
    append->committers.push_back({group.group, std::move(group.member_id), group.member_epoch});
    for (native::CommitOffset& o : group.offsets) {
      commit.offsets.push_back({group.group, std::move(o.target.topic), o.target.partition,
                                o.offset, o.leader_epoch, std::move(o.metadata)});
    }
  }
  for (native::FenceToken& fence : request.fences) {
    commit.fences.push_back({std::move(fence.name), fence.token});
  }
  append->room = kMaxUnpackedBytes;
  return append;
}

void NativeSession::append(std::uint64_t id, native::Append& request, const Buffer& attachment,
                           MemoryLease lease) {
  std::unique_ptr<AppliedCommit> applied;
  if (request.applied) {
    if (service_.views() == nullptr) {
      return fail_request(id, Error(ErrorCode::kUnsupported,
                                    "this broker was started without views, so no append can wait "
                                    "for them; nothing was stored"));
    }
    applied = std::make_unique<AppliedCommit>();
    applied->timeout_ms = request.applied_timeout_ms;
    for (const native::AppendPartition& p : request.partitions)
      applied->targets.push_back(p.target);
  }
  auto append = make_commit(request, attachment);
  if (!append) return fail_request(id, append.error());
  NativeCounters::add(service_.counters().appends, 1);
  NativeCounters::add(service_.counters().append_bytes, attachment.size());
  (*append)->lease = std::move(lease);
  (*append)->applied = std::move(applied);
  if ((*append)->checks.empty() && appends_in_check_ == 0) return store(id, **append);
  check_schemas(id, std::move(*append));
}

void NativeSession::check_schemas(std::uint64_t id, std::shared_ptr<QueuedAppend> append) {
  ++appends_in_check_;
  // An append's partition at a time: others have their turn between them.
  auto step = [replies = replies_, id, append = std::move(append),
               next = std::size_t{0}]() mutable {
    Status status;
    if (next < append->checks.size()) {
      auto& check = append->checks[next++];
      status = check_schemas_of(check.records, append->commit.appends[check.append].batches.bytes(),
                                append->room);
      if (!status) status = fail(status.error().within(check.target));
      if (status && next < append->checks.size()) return false;
    }
    replies->push({id, AppendChecked{std::move(append), std::move(status)}});
    return true;
  };
  add_job(std::move(step), {});
}

void NativeSession::checked(std::uint64_t id, AppendChecked append) {
  jobs_.at_work = false;
  --appends_in_check_;
  if (!append.status) return fail_request(id, append.status.error());
  store(id, *append.append);
}

void NativeSession::store(std::uint64_t id, QueuedAppend& append) {
  const auto queue = [&] {
    // The callback runs exactly once and owns this; a raw pointer fits into it without allocating.
    auto* pending =
        new PendingAppend{replies_, id, std::move(append.lease), std::move(append.applied)};
    service_.store().queue_commit(
        std::move(append.commit), [pending](storage::CommitOutcome outcome) {
          const std::unique_ptr<PendingAppend> owned(pending);
          owned->lease = MemoryLease();
          if (owned->applied == nullptr) {
            return owned->replies->push({owned->correlation, std::move(outcome)});
          }
          owned->applied->outcome = std::move(outcome);
          owned->replies->push({owned->correlation, std::move(*owned->applied)});
        });
  };
  if (append.committers.empty()) return queue();
  const Status queued = service_.coordinator().commit_as(append.committers, queue);
  if (!queued) fail_request(id, queued.error());
}

void NativeSession::committed(std::uint64_t id, storage::CommitOutcome outcome, bool applied) {
  if (!outcome.result) {
    const Error& error = outcome.result.error();
    if (error.code() == ErrorCode::kUnknownTopic) forget_partitions();
    native::Failure failure = failure_of(error);
    for (const storage::PartialDuplicate& d : outcome.duplicates) {
      failure.duplicates.push_back({static_cast<std::uint32_t>(d.append),
                                    static_cast<std::uint32_t>(d.entry), d.offset, d.partition});
    }
    NativeCounters::add(service_.counters().failures, 1);
    answer(id, failure);
    return request_done();
  }
  native::AppendReply reply;
  reply.applied = applied;
  reply.durability = static_cast<native::Durability>(outcome.result->durability);
  reply.partitions.reserve(outcome.result->appends.size());
  for (storage::AppendResult& a : outcome.result->appends) {
    reply.partitions.push_back({a.base_offset, a.last_offset, a.log_start, a.append_time,
                                a.duplicate, std::move(a.dedup_offsets),
                                std::move(a.dedup_partitions)});
  }
  answer(id, reply);
  request_done();
}

}  // namespace runnel::broker
