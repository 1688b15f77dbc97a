// Append: a body becomes record batches, these one commit; each record is answered.
#include <xxhash.h>

#include <algorithm>
#include <map>

#include "broker/http/append_rows.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "broker/http/view_calls.h"
#include "protocol/filter/json_text.h"
#include "protocol/record_batch/partitioner.h"

namespace runnel::broker::http {
namespace {

constexpr std::string_view kIdempotencySource = "idempotency-key";
constexpr std::size_t kMaxIdempotencyKeyBytes = 200;
/// A request's hash says in its lowest bits how many partitions the topic had: a repeat has to go
/// where the first time went. Persisted.
constexpr int kCountBits = 17;
constexpr std::uint64_t kCountMask = (1u << kCountBits) - 1;
static_assert(storage::kMaxPartitionsPerTopic <= kCountMask);
/// Of one record in a batch, at most, besides its key, value and headers.
constexpr std::size_t kRecordOverhead = 64;
constexpr std::size_t kHeaderOverhead = 16;

/// Where a record of the body went.
struct Placed {
  std::size_t append = 0;  ///< of the commit's appends
  std::int32_t index = 0;  ///< within that
  std::size_t entry = 0;   ///< of its dedup entries, if it has a key of its own
  bool has_entry = false;
};

/// A body made ready for the store.
struct Prepared {
  storage::CommitRequest commit;
  std::vector<std::int32_t> partitions;  ///< of the appends
  std::vector<Placed> records;           ///< in the body's order
  std::vector<MemoryLease> leases;       ///< for what became more than the body
};

std::uint64_t hash_of(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}

/// What a request stores: two of the same hash store the same records in the same places.
std::uint64_t request_hash(const Call& call, std::int32_t count) {
  std::string form(media_type(*call.request().header("content-type")));
  for (const char* name : {"as", "key", "timestamp", "partition"}) {
    form += '\0';
    if (const auto value = call.query(name)) (form += '=') += *value;
  }
  const std::string& body = call.request().body;
  const std::uint64_t hash = XXH3_64bits_withSeed(body.data(), body.size(), hash_of(form));
  return (hash & ~kCountMask) | static_cast<std::uint64_t>(count);
}

std::size_t size_of(const AppendRow& row) {
  std::size_t size = kRecordOverhead + row.key.value_or("").size() + row.value.value_or("").size();
  for (const auto& h : row.headers) {
    size += kHeaderOverhead + h.key.size() + h.value.value_or("").size();
  }
  return size;
}

/// One partition's share of the body.
class Share {
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

/// Takes a request's rows to their partitions.
class Placer {
 public:
  Placer(Call& call, std::int32_t count, std::optional<std::string_view> idempotency_key)
      : call_(call), count_(count), idempotency_key_(idempotency_key) {
    if (idempotency_key) request_hash_ = request_hash(call, count);
    rest_ = idempotency_key ? protocol::partition_for_key(*idempotency_key, count)
                            : static_cast<std::int32_t>(call.service().next_turn() %
                                                        static_cast<std::uint32_t>(count));
    if (call.query("partition")) {
      given_ = static_cast<std::int32_t>(call.integer("partition", 0));
    }
  }

  Status add(AppendRow& row) {
    const std::int32_t partition = partition_of(row);
    RUNNEL_TRY_ASSIGN(const std::size_t at, share_of(partition));
    Share& share = shares_[at];
    Placed placed{at, share.records, share.dedup.size(), row.dedup.has_value()};
    if (row.dedup) {
      if (idempotency_key_) {
        return fail(ErrorCode::kInvalidArgument,
                    "the request has an Idempotency-Key, so its records have no dedup");
      }
      if (++dedups_ > storage::kMaxDedupEntries) {
        return fail(ErrorCode::kInvalidArgument, "too many records with dedup in one request");
      }
      share.dedup.push_back(
          {std::move(*row.dedup), hash_of(row.value.value_or("")), share.records});
    } else if (idempotency_key_ && share.records == 0) {
      share.dedup.push_back({{std::string(kIdempotencySource), call_.path("topic"),
                              std::string(*idempotency_key_) + ":" + std::to_string(at)},
                             request_hash_,
                             0});
    }
    RUNNEL_TRY(share.add(row));
    out_.records.push_back(placed);
    return {};
  }
  Result<Prepared> finish() {
    if (dedups_ != 0 && dedups_ != out_.records.size()) {
      return fail(ErrorCode::kInvalidArgument,
                  "some of the request's records have dedup and some have none, so a repeat could "
                  "not be told; send these two kinds in requests of their own");
    }
    for (Share& share : shares_) {
      RUNNEL_TRY_ASSIGN(auto item, share.finish());
      out_.commit.appends.push_back(std::move(item));
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::int32_t partition_of(const AppendRow& row) const {
    if (row.partition) return *row.partition;
    if (given_) return *given_;
    if (row.key) return protocol::partition_for_key(*row.key, count_);
    if (row.dedup) return protocol::partition_for_key(row.dedup->source_id, count_);
    return rest_;
  }
  Result<std::size_t> share_of(std::int32_t partition) {
    const auto known = places_.find(partition);
    if (known != places_.end()) return known->second;
    RUNNEL_TRY_ASSIGN(auto ref,
                      call_.store().partition(call_.path("topic"), PartitionIndex(partition)));
    const storage::RecordRules rules = call_.store().record_rules(ref);
    shares_.emplace_back(std::move(ref), rules, call_.service().clock().now());
    out_.partitions.push_back(partition);
    return places_[partition] = shares_.size() - 1;
  }

  Call& call_;
  const std::int32_t count_;
  const std::optional<std::string_view> idempotency_key_;
  std::uint64_t request_hash_ = 0;
  std::int32_t rest_ = 0;
  std::optional<std::int32_t> given_;
  std::size_t dedups_ = 0;
  std::deque<Share> shares_;
  std::map<std::int32_t, std::size_t> places_;
  Prepared out_;
};

Result<std::optional<std::string_view>> idempotency_key_of(const Request& request) {
  const std::string* key = request.header("idempotency-key");
  if (key == nullptr) return std::optional<std::string_view>();
  if (!key->empty() && key->size() <= kMaxIdempotencyKeyBytes) {
    return std::optional<std::string_view>(*key);
  }
  return fail(ErrorCode::kInvalidArgument,
              "an Idempotency-Key has 1 to " + std::to_string(kMaxIdempotencyKeyBytes) + " bytes");
}

storage::Durability durability_of(std::string_view name) {
  if (name == "none") return storage::Durability::kNone;
  return name == "written" ? storage::Durability::kWritten : storage::Durability::kSynced;
}

std::string_view name_of(storage::Durability durability) {
  switch (durability) {
    case storage::Durability::kNone:
      return "none";
    case storage::Durability::kWritten:
      return "written";
    case storage::Durability::kSynced:
      return "synced";
  }
  return "";
}

/// The whole way from the body to the commit, as if the topic had its first `counted` partitions
/// alone, if that is said. Blocks nowhere.
Result<Prepared> prepare(Call& call, std::optional<std::int32_t> counted) {
  RUNNEL_TRY_ASSIGN(const auto key, idempotency_key_of(call.request()));
  RUNNEL_TRY_ASSIGN(std::int32_t count, call.service().partition_count(call.path("topic")));
  if (counted) count = std::min(*counted, count);
  AppendForm form;
  form.type = media_type(*call.request().header("content-type"));
  form.as_values = call.query("as") == "values";
  form.key = call.query("key").value_or("");
  form.timestamp = call.query("timestamp").value_or("");
  std::vector<MemoryLease> leases;
  form.pay = [&](std::size_t bytes) {
    return call.service().memory().try_take(bytes, leases.emplace_back());
  };
  AppendRows rows;
  RUNNEL_TRY(rows.read(call.request().body, form));
  Placer placer(call, count, key);
  for (std::size_t i = 0; i < rows.rows().size(); ++i) {
    const Status added = placer.add(rows.rows()[i]);
    if (!added) return fail(added.error().within("record " + std::to_string(i)));
  }
  RUNNEL_TRY_ASSIGN(auto prepared, placer.finish());
  prepared.leases = std::move(leases);
  prepared.commit.durability = durability_of(call.query("durability").value_or("synced"));
  return prepared;
}

/// What the store's callback and the answer need.
struct Pending {
  CallRef call;
  std::vector<std::int32_t> partitions;
  std::vector<Placed> records;
  bool waits = false;    ///< until the views have the records, too
  bool counted = false;  ///< prepared for the partitions that there were the first time
  storage::CommitOutcome outcome{fail(ErrorCode::kInternal, "not answered"), {}};
};

Offset offset_of(const storage::AppendResult& result, const Placed& placed) {
  if (!result.duplicate) return result.base_offset + placed.index;
  if (placed.has_entry) return result.dedup_offsets.at(placed.entry);
  const Offset first = result.dedup_offsets.empty() ? result.base_offset : result.dedup_offsets[0];
  return first + placed.index;
}

/// Where the record is: a duplicate may be in another partition than it was sent to now.
std::int32_t partition_of(const Pending& pending, const Placed& placed) {
  const auto& places = pending.outcome.result->appends.at(placed.append).dedup_partitions;
  if (places.empty()) return pending.partitions[placed.append];
  return places.at(placed.has_entry ? placed.entry : 0).value();
}

Problem problem_of(const Pending& pending) {
  Problem out = problem(pending.outcome.result.error());
  if (pending.outcome.duplicates.empty()) return out;
  if (pending.call->request().header("idempotency-key") != nullptr) {
    return problem(Error(ErrorCode::kPartialDuplicate,
                         "the request with this Idempotency-Key was stored, and some of its "
                         "records were removed since, so that it can't be told where they were; "
                         "nothing was stored now. Do not send it again"));
  }
  out.more = ",\"duplicates\":[";
  for (const storage::PartialDuplicate& d : pending.outcome.duplicates) {
    for (std::size_t i = 0; i < pending.records.size(); ++i) {
      const Placed& placed = pending.records[i];
      if (placed.append != d.append || !placed.has_entry || placed.entry != d.entry) continue;
      if (out.more.back() != '[') out.more += ',';
      out.more += "{\"record\":" + std::to_string(i) +
                  ",\"partition\":" + std::to_string(d.partition.value()) +
                  ",\"offset\":" + std::to_string(d.offset.value()) + "}";
    }
  }
  out.more += ']';
  return out;
}

/// `applied`: the views have the records, too; of who waits for that.
void answer(const Pending& pending, bool applied) {
  const storage::CommitResult& result = *pending.outcome.result;
  const std::string durability(name_of(result.durability));
  std::string body = "{\"records\":[";
  body.reserve(pending.records.size() * 80 + 32);
  for (const Placed& placed : pending.records) {
    const storage::AppendResult& append = result.appends.at(placed.append);
    if (body.back() != '[') body += ',';
    body += "{\"partition\":";
    body += std::to_string(partition_of(pending, placed));
    body += ",\"offset\":";
    body += std::to_string(offset_of(append, placed).value());
    body += ",\"durability\":\"";
    body += durability;
    body += append.duplicate ? "\",\"duplicate\":true}" : "\",\"duplicate\":false}";
  }
  body += ']';
  if (pending.waits) body += applied ? ",\"applied\":true" : ",\"applied\":false";
  body += "}\n";
  Counters::add(pending.call->service().counters().appended_records, pending.records.size());
  pending.call->reply(json(std::move(body)));
}

void begin(const CallRef& call, std::optional<std::int32_t> counted);

/// How many partitions the topic had when this very request was stored, if there are more now.
std::optional<std::int32_t> counted_then(const Pending& pending) {
  const auto& known = pending.outcome.conflict;
  if (pending.counted || !known || known->key.source != kIdempotencySource) return std::nullopt;
  if (pending.call->request().header("idempotency-key") == nullptr) return std::nullopt;
  const auto count = static_cast<std::int32_t>(known->payload_hash & kCountMask);
  if (count == 0 || request_hash(*pending.call, count) != known->payload_hash) return std::nullopt;
  return count;
}

/// The records are stored, whatever becomes of the wait for the views.
void stored(const std::shared_ptr<Pending>& pending) {
  Call& call = *pending->call;
  if (const auto count = counted_then(*pending)) return begin(pending->call, count);
  if (!pending->outcome.result) return call.fail(problem_of(*pending));
  if (!pending->waits || call.service().views() == nullptr) return answer(*pending, false);
  std::map<std::int32_t, Offset> ends;
  for (const Placed& placed : pending->records) {
    const auto& append = pending->outcome.result->appends.at(placed.append);
    Offset& end = ends[partition_of(*pending, placed)];
    end = std::max(end, offset_of(append, placed) + 1);
  }
  std::vector<storage::views::Position> positions;
  for (const auto& [partition, end] : ends) {
    positions.push_back({call.path("topic"), PartitionIndex(partition), end});
  }
  call.on_cancel([pending] { answer(*pending, false); });
  call.service().views()->when_applied(
      "", std::move(positions), deadline_of(call), [pending](const Status& there) {
        pending->call->on_loop([pending, applied = there.has_value()] {
          if (pending->call->answered()) return;
          pending->call->on_cancel({});
          answer(*pending, applied);
        });
      });
}

void commit(const CallRef& call, Result<Prepared> prepared, bool counted) {
  if (!prepared) return call->fail(prepared.error());
  for (MemoryLease& lease : prepared->leases) call->keep(std::move(lease));
  auto pending = std::make_shared<Pending>();
  pending->call = call;
  pending->partitions = std::move(prepared->partitions);
  pending->records = std::move(prepared->records);
  pending->waits = call->query("acks") == "applied";
  pending->counted = counted;
  call->store().queue_commit(std::move(prepared->commit),
                             [pending](storage::CommitOutcome outcome) {
                               pending->outcome = std::move(outcome);
                               pending->call->on_loop([pending] { stored(pending); });
                             });
}

void begin(const CallRef& call, std::optional<std::int32_t> counted) {
  const bool again = counted.has_value();
  const bool grows = media_type(*call->request().header("content-type")) == kCsv;
  if (call->request().body.size() <= (grows ? kMaxInlineCsvBytes : kMaxInlineBodyBytes)) {
    return commit(call, prepare(*call, counted), again);
  }
  run_blocking(
      call, [call, counted] { return prepare(*call, counted); },
      [call, again](Result<Prepared> prepared) { commit(call, std::move(prepared), again); });
}

void append(const CallRef& call) {
  if (call->query("acks") == "applied") {
    if (views_of(call) == nullptr) return;
    if (const Status paid = call->pay_for_waiting(1); !paid) return call->fail(paid.error());
  }
  const std::size_t bytes = call->request().body.size();
  MemoryLease lease;
  // What the batches take, and what reading the body needs.
  if (bytes > kSmallBodyBytes && !call->service().memory().try_take(2 * bytes, lease)) {
    return call->fail(Error(ErrorCode::kOverloaded,
                            "the broker's memory is used up; nothing was stored. Try again later "
                            "or raise its memory limit"));
  }
  call->keep(std::move(lease));
  begin(call, std::nullopt);
}

}  // namespace

std::vector<Route> append_routes() {
  return {
      {.method = Method::kPost,
       .pattern = "/api/v1/topics/{topic}/records",
       .handler = append,
       .id = "appendRecords",
       .tag = "records",
       .summary = "Appends records: all of the request, or nothing",
       .description =
           "One record or an array of them as JSON, one a line as NDJSON, or CSV with a header "
           "line, whose rows become JSON objects; application/octet-stream is one record's value, "
           "any "
           "bytes. A record without a partition goes where Kafka's "
           "clients would send its key. With Idempotency-Key, or with dedup in each record, a "
           "repeat stores nothing and is answered with the first offsets.",
       .query = {{.name = "durability",
                  .kind = Param::Kind::kChoice,
                  .text = "What is waited for: synced (if left out), written (in the operating "
                          "system's hands) or none.",
                  .choices = "none|written|synced"},
                 {.name = "acks",
                  .kind = Param::Kind::kChoice,
                  .text = "applied also waits until every running view of the topic has the "
                          "records: who reads a view then sees them. stored (if left out) does "
                          "not.",
                  .choices = "stored|applied"},
                 {.name = "timeout_ms",
                  .kind = Param::Kind::kInteger,
                  .text = "Longest wait for the views, in milliseconds; 30000 if left out. When it "
                          "is over the answer says applied: false, and the records are stored.",
                  .min = 1,
                  .max = std::chrono::milliseconds(kMaxQueryTime).count()},
                 {.name = "partition",
                  .kind = Param::Kind::kInteger,
                  .text = "Of the records that name none.",
                  .max = storage::kMaxPartitionsPerTopic - 1},
                 {.name = "as",
                  .kind = Param::Kind::kChoice,
                  .text = "Whether the elements or lines of the body are records (if left out) or "
                          "just their values.",
                  .choices = "records|values"},
                 {.name = "key",
                  .text = "Of values: the JSON path or CSV column of the key. Of bytes: the key.",
                  .example = ".id"},
                 {.name = "timestamp",
                  .text = "Of values: the JSON path or CSV column of the time, in milliseconds or "
                          "as 2026-11-21T05:00:00Z. Of bytes: the time.",
                  .example = ".at"}},
       .headers = {{.name = "Idempotency-Key",
                    .text = "Makes a repeat of the same request store nothing."}},
       .bodies = {{kJson, "Records"}, {kNdjson}, {kCsv}, {kBytes}},
       .answers = {{200,
                    "Where each record is, in the order of the request.",
                    {{kJson, "Appended"}}}}},
  };
}

}  // namespace runnel::broker::http
