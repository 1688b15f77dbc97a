// Append: a body becomes record batches, these one commit; each record is answered.
#include <xxhash.h>

#include <algorithm>
#include <map>

#include "broker/http/limits.h"
#include "broker/http/placer.h"
#include "broker/http/routes.h"
#include "broker/http/view_calls.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

constexpr std::size_t kMaxIdempotencyKeyBytes = 200;
/// A request's hash says in its lowest bits how many partitions the topic had: a repeat has to go
/// where the first time went. Persisted.
constexpr int kCountBits = 17;
constexpr std::uint64_t kCountMask = (1u << kCountBits) - 1;
static_assert(storage::kMaxPartitionsPerTopic <= kCountMask);

/// What a request stores: two of the same hash store the same records in the same places.
std::uint64_t request_hash(const Call& call, std::int32_t count) {
  std::string form(media_type(*call.request().header("content-type")));
  for (const char* name : {"as", "key", "timestamp", "partition"}) {
    form += '\0';
    if (const auto value = call.query(name)) (form += '=') += *value;
  }
  const std::string& body = call.request().body;
  const std::uint64_t hash =
      XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(form.data(), form.size()));
  return (hash & ~kCountMask) | static_cast<std::uint64_t>(count);
}

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
/// alone, if that is said. Blocks only where the topic asks for schemas.
Result<Prepared> prepare(Call& call, std::optional<std::int32_t> counted,
                         const storage::RecordRules& rules) {
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
  Placing placing{call.path("topic"), count, rules};
  if (call.query("partition")) {
    placing.partition = static_cast<std::int32_t>(call.integer("partition", 0));
  }
  if (key) placing.idempotency = {*key, request_hash(call, count)};
  Placer placer(call.service(), placing);
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
  const bool small =
      call->request().body.size() <= (grows ? kMaxInlineCsvBytes : kMaxInlineBodyBytes);
  const auto rules = rules_of(call->store(), call->path("topic"));
  if (!rules) return call->fail(rules.error());
  if (small && !rules->asks_for_schemas()) {
    return commit(call, prepare(*call, counted, *rules), again);
  }
  run_blocking(
      call, [call, counted, rules = *rules] { return prepare(*call, counted, rules); },
      [call, again](Result<Prepared> prepared) { commit(call, std::move(prepared), again); });
}

void append(const CallRef& call) {
  if (call->query("acks") == "applied") {
    if (views_of(call) == nullptr) return;
    if (const Status paid = call->pay_for_waiting(1); !paid) return call->fail(paid.error());
  }
  if (const Status paid = pay_for_body(*call, 2); !paid) return call->fail(paid.error());
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
