#include "broker/http/placer.h"

#include <xxhash.h>

#include <algorithm>

#include "broker/http/limits.h"
#include "protocol/record_batch/partitioner.h"

namespace runnel::broker::http {
namespace {

/// Of one record in a batch, at most, besides its key, value and headers.
constexpr std::size_t kRecordOverhead = 64;
constexpr std::size_t kHeaderOverhead = 16;

std::uint64_t hash_of(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}

std::size_t size_of(const AppendRow& row) {
  std::size_t size = kRecordOverhead + row.key.value_or("").size() + row.value.value_or("").size();
  for (const auto& h : row.headers) {
    size += kHeaderOverhead + h.key.size() + h.value.value_or("").size();
  }
  return size;
}

}  // namespace

/// One partition's share of the body.
class Placer::Share {
 public:
  Share(storage::PartitionRef ref, storage::RecordRules rules, Timestamp now)
      : ref_(std::move(ref)), rules_(rules), now_(now) {}

  Status add(const AppendRow& row) {
    if (rules_.needs_keys && !row.key) {
      return fail(ErrorCode::kInvalidArgument,
                  "it has no key, so it can't be compacted; give it one, or take compact out of "
                  "the topic's cleanup.policy");
    }
    const std::int64_t time = row.timestamp.value_or(now_.value());
    RUNNEL_TRY(check_time(time));
    const std::size_t most =
        std::min<std::size_t>(kBatchBytes, static_cast<std::size_t>(rules_.max_batch_bytes));
    if (builder_.count() > 0 && builder_.bytes() + size_of(row) > most) RUNNEL_TRY(finish_batch());
    builder_.add({Timestamp(time), row.key, row.value, row.headers});
    if (builder_.bytes() > static_cast<std::size_t>(rules_.max_batch_bytes)) {
      return fail(ErrorCode::kRecordTooLarge,
                  "it has " + std::to_string(builder_.bytes()) +
                      " bytes as a batch of its own, max.message.bytes of the topic is " +
                      std::to_string(rules_.max_batch_bytes));
    }
    ++records;
    return {};
  }
  Result<storage::AppendItem> finish() {
    RUNNEL_TRY(finish_batch());
    storage::AppendItem item{ref_, {}, std::move(dedup), std::nullopt};
    if (batches_.size() == 1) {
      item.batches = std::move(batches_.front());
      return item;
    }
    std::size_t bytes = 0;
    for (const Buffer& b : batches_) bytes += b.size();
    item.batches = Buffer::allocate(bytes);
    std::byte* to = item.batches.mutable_data();
    for (const Buffer& b : batches_) to = std::copy_n(b.data(), b.size(), to);
    return item;
  }

  std::int32_t records = 0;
  std::vector<storage::DedupEntry> dedup;

 private:
  Status check_time(std::int64_t time) const {
    if (rules_.log_append_time) return {};
    const std::int64_t now = now_.value();
    const bool old = time < now && now - time > rules_.timestamp_before_max_ms;
    const bool ahead = time > now && time - now > rules_.timestamp_after_max_ms;
    if (time >= 0 && !old && !ahead) return {};
    return fail(ErrorCode::kInvalidArgument,
                "its timestamp " + std::to_string(time) +
                    " is further from the broker's clock than the topic allows "
                    "(message.timestamp.before.max.ms and message.timestamp.after.max.ms)");
  }
  Status finish_batch() {
    RUNNEL_TRY_ASSIGN(auto batch, builder_.finish());
    batches_.push_back(std::move(batch));
    return {};
  }

  const storage::PartitionRef ref_;
  const storage::RecordRules rules_;
  const Timestamp now_;
  protocol::BatchBuilder builder_;
  std::vector<Buffer> batches_;
};

Result<storage::RecordRules> rules_of(storage::Store& store, const std::string& topic) {
  RUNNEL_TRY_ASSIGN(const auto first, store.partition(topic, PartitionIndex(0)));
  return store.record_rules(first);
}

Status pay_for_body(Call& call, std::size_t times) {
  const std::size_t bytes = call.request().body.size();
  MemoryLease lease;
  if (bytes > kSmallBodyBytes && !call.service().memory().try_take(times * bytes, lease)) {
    return fail(ErrorCode::kOverloaded,
                "the broker's memory is used up; nothing was stored. Try again later or raise its "
                "memory limit");
  }
  call.keep(std::move(lease));
  return {};
}

Placer::Placer(HttpService& service, Placing placing)
    : service_(service),
      placing_(std::move(placing)),
      schemas_(service.schemas(), placing_.topic, placing_.rules) {
  rest_ = placing_.idempotency
              ? protocol::partition_for_key(placing_.idempotency->key, placing_.count)
              : static_cast<std::int32_t>(service.next_turn() %
                                          static_cast<std::uint32_t>(placing_.count));
}

Placer::~Placer() = default;

Status Placer::add(AppendRow& row) {
  RUNNEL_TRY_ASSIGN(const auto refused, schemas_.why_refused(row.key, row.value));
  if (refused) return fail(ErrorCode::kInvalidArgument, *refused);
  const auto& idempotency = placing_.idempotency;
  if (row.dedup && idempotency) {
    return fail(ErrorCode::kInvalidArgument,
                "the request has an Idempotency-Key, so its records have no dedup");
  }
  if (row.dedup && dedups_ == storage::kMaxDedupEntries) {
    return fail(ErrorCode::kInvalidArgument, "too many records with dedup in one request");
  }
  RUNNEL_TRY_ASSIGN(const std::size_t at, share_of(partition_of(row)));
  Share& share = *shares_[at];
  const Placed placed{at, share.records, share.dedup.size(), row.dedup.has_value()};
  RUNNEL_TRY(share.add(row));
  if (row.dedup) {
    ++dedups_;
    const std::uint64_t hash = row.repeat_hash.value_or(hash_of(row.value.value_or("")));
    share.dedup.push_back({std::move(*row.dedup), hash, placed.index});
  } else if (idempotency && placed.index == 0) {
    share.dedup.push_back({{std::string(kIdempotencySource), placing_.topic,
                            std::string(idempotency->key) + ":" + std::to_string(at)},
                           idempotency->request_hash,
                           0});
  }
  out_.records.push_back(placed);
  return {};
}

Result<Prepared> Placer::finish() {
  if (dedups_ != 0 && dedups_ != out_.records.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "some of the request's records have dedup and some have none, so a repeat could "
                "not be told; send these two kinds in requests of their own");
  }
  std::vector<std::size_t> places(shares_.size());
  std::vector<std::int32_t> partitions;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    if (shares_[i]->records == 0) continue;  // all of them were refused
    places[i] = partitions.size();
    partitions.push_back(out_.partitions[i]);
    RUNNEL_TRY_ASSIGN(auto item, shares_[i]->finish());
    out_.commit.appends.push_back(std::move(item));
  }
  for (Placed& placed : out_.records) placed.append = places[placed.append];
  out_.partitions = std::move(partitions);
  return std::move(out_);
}

std::int32_t Placer::partition_of(const AppendRow& row) const {
  if (row.partition) return *row.partition;
  if (placing_.partition) return *placing_.partition;
  if (row.key) return protocol::partition_for_key(*row.key, placing_.count);
  if (row.dedup) return protocol::partition_for_key(row.dedup->source_id, placing_.count);
  return rest_;
}

Result<std::size_t> Placer::share_of(std::int32_t partition) {
  const auto known = places_.find(partition);
  if (known != places_.end()) return known->second;
  RUNNEL_TRY_ASSIGN(auto ref,
                    service_.store().partition(placing_.topic, PartitionIndex(partition)));
  const storage::RecordRules rules = service_.store().record_rules(ref);
  shares_.push_back(std::make_unique<Share>(std::move(ref), rules, service_.clock().now()));
  out_.partitions.push_back(partition);
  return places_[partition] = shares_.size() - 1;
}

}  // namespace runnel::broker::http
