// Append: checked here, on the network thread; stored by the committer; answered from its callback.
#include <algorithm>

#include "broker/native/native_session.h"
#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::broker {
namespace {

/// What the store's callback needs. Holds the frame's memory as long as the store uses it.
struct PendingAppend {
  std::shared_ptr<Replies> replies;
  std::uint64_t correlation = 0;
  MemoryLease lease;
  /// Set: it is answered when views have the records.
  std::unique_ptr<AppliedCommit> applied = nullptr;
};

/// What the batches of one append to compacted topics may unpack to, for it is done on the network
/// thread.
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

Result<storage::CommitRequest> NativeSession::make_commit(native::Append& request,
                                                          const Buffer& attachment) {
  if (request.partitions.size() > kMaxRequestPartitions) {
    return fail(ErrorCode::kTooManyPartitions, "an append may have 10000 partitions");
  }
  if (request.partitions.empty() && request.groups.empty()) {
    return fail(ErrorCode::kInvalidArgument, "an append needs records or group offsets");
  }
  storage::CommitRequest commit;
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
    commit.appends.push_back(
        {std::move(*found), std::move(batches), entries_of(p.dedup), p.expected_next});
  }
  for (native::GroupOffsets& group : request.groups) {
    RUNNEL_TRY(
        service_.coordinator().check_commit(group.group, group.member_id, group.member_epoch));
    for (native::CommitOffset& o : group.offsets) {
      commit.offsets.push_back({group.group, std::move(o.target.topic), o.target.partition,
                                o.offset, o.leader_epoch, std::move(o.metadata)});
    }
  }
  for (native::FenceToken& fence : request.fences) {
    commit.fences.push_back({std::move(fence.name), fence.token});
  }
  return commit;
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
  auto commit = make_commit(request, attachment);
  if (!commit) return fail_request(id, commit.error());
  NativeCounters::add(service_.counters().appends, 1);
  NativeCounters::add(service_.counters().append_bytes, attachment.size());
  // The callback runs exactly once and owns this; a raw pointer fits into it without allocating.
  auto* pending = new PendingAppend{replies_, id, std::move(lease), std::move(applied)};
  service_.store().queue_commit(std::move(*commit), [pending](storage::CommitOutcome outcome) {
    const std::unique_ptr<PendingAppend> owned(pending);
    owned->lease = MemoryLease();
    if (owned->applied == nullptr) {
      return owned->replies->push({owned->correlation, std::move(outcome)});
    }
    owned->applied->outcome = std::move(outcome);
    owned->replies->push({owned->correlation, std::move(*owned->applied)});
  });
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
