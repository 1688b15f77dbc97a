// The REST proxy's produce: the records of a request are one commit, but for those that are refused
// one by one; each is answered.
#include "broker/http/proxy_produce.h"

#include <algorithm>

#include "broker/http/limits.h"
#include "broker/http/placer.h"
#include "broker/http/proxy_kinds.h"
#include "protocol/filter/json_text.h"
#include "protocol/text/time.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

/// Of v2: what a record was refused for.
constexpr int kNotRetriable = 1;
constexpr int kRetriable = 2;

/// A request on its way.
struct Produce {
  CallRef call;
  ProxyRecords records;
  std::vector<std::optional<Error>> refused;  ///< in the order of the records
  std::vector<std::int32_t> partitions;       ///< of the commit's appends
  std::vector<Placed> placed;                 ///< of those that are not refused
  std::int64_t now = 0;
  storage::CommitOutcome outcome{fail(ErrorCode::kInternal, "not answered"), {}};
};
using ProduceRef = std::shared_ptr<Produce>;

std::int64_t offset_of(const Produce& produce, const Placed& placed) {
  return produce.outcome.result->appends.at(placed.append).base_offset.value() + placed.index;
}

// ---------------------------------------------------------------- answers
std::string answer_v2(const Produce& produce) {
  std::string out = "{\"offsets\":[";
  std::size_t stored = 0;
  for (const auto& refused : produce.refused) {
    if (out.back() != '[') out += ',';
    if (refused) {
      const bool again = refused->action() == ErrorAction::kRetry;
      out += "{\"partition\":null,\"offset\":null,\"error_code\":" +
             std::to_string(again ? kRetriable : kNotRetriable) +
             ",\"error\":" + json_string(refused->message()) + "}";
      continue;
    }
    const Placed& placed = produce.placed[stored++];
    out += "{\"partition\":" + std::to_string(produce.partitions[placed.append]) +
           ",\"offset\":" + std::to_string(offset_of(produce, placed)) +
           ",\"error_code\":null,\"error\":null}";
  }
  return out + "],\"key_schema_id\":null,\"value_schema_id\":null}\n";
}

std::string data_of(std::string_view name, const ProxyData& data) {
  if (!data.bytes) return {};
  return ",\"" + std::string(name) + "\":{\"type\":\"" + std::string(data.type) +
         "\",\"size\":" + std::to_string(data.bytes->size()) + "}";
}

std::string answer_v3(Produce& produce, unsigned& status) {
  std::string out;
  std::size_t stored = 0;
  const Call& call = *produce.call;
  const std::string names = ",\"cluster_id\":" + json_string(cluster_id(call)) +
                            ",\"topic_name\":" + json_string(call.path("topic"));
  for (std::size_t i = 0; i < produce.refused.size(); ++i) {
    if (const auto& refused = produce.refused[i]) {
      const Refusal why = proxy_refusal(*refused, true);
      // Of a single record the status says it as well.
      if (produce.refused.size() == 1) status = why.status();
      out += "{\"error_code\":" + std::to_string(why.code) +
             ",\"message\":" + json_string(why.message) + "}\n";
      continue;
    }
    const Placed& placed = produce.placed[stored++];
    const ProxyRecord& record = produce.records.records()[i];
    const auto& append = produce.outcome.result->appends.at(placed.append);
    const std::int64_t time = append.append_time != kNoTimestamp
                                  ? append.append_time.value()
                                  : record.row.timestamp.value_or(produce.now);
    out += "{\"error_code\":200" + names +
           ",\"partition_id\":" + std::to_string(produce.partitions[placed.append]) +
           ",\"offset\":" + std::to_string(offset_of(produce, placed)) + ",\"timestamp\":\"" +
           protocol::format_time(time) + "\"" + data_of("key", record.key) +
           data_of("value", record.value) + "}\n";
  }
  return out;
}

void answer(Produce& produce) {
  Call& call = *produce.call;
  if (!produce.outcome.result) {
    return fail_proxy(produce.call, proxy_refusal(produce.outcome.result.error(), is_v3(call)));
  }
  Counters::add(call.service().counters().appended_records, produce.placed.size());
  unsigned status = 200;
  std::string body = is_v3(call) ? answer_v3(produce, status) : answer_v2(produce);
  call.reply(proxy_response(call, status, std::move(body)));
}

// ---------------------------------------------------------------- the way to the store
/// A record that names a schema has to fit it, whether its topic asks for that or not.
Status check_schema(Produce& produce, const ProxyRecord& record) {
  storage::RecordRules rules;
  rules.key_schemas = record.key.has_schema;
  rules.value_schemas = record.value.has_schema;
  if (!rules.asks_for_schemas()) return {};
  schemas::RecordCheck check(produce.call->service().schemas(), produce.call->path("topic"), rules);
  RUNNEL_TRY_ASSIGN(const auto why, check.why_refused(record.row.key, record.row.value));
  return why ? Status(fail(ErrorCode::kInvalidArgument, *why)) : Status();
}

Reply<Prepared> prepare(Produce& produce) {
  Call& call = *produce.call;
  const bool v3 = is_v3(call);
  if (v3) RUNNEL_ANSWER(check_cluster(call));
  const auto refusal = [&](const Error& error) {
    return tl::unexpected<Refusal>(proxy_refusal(error, v3));
  };
  const std::string& body = call.request().body;
  const std::string type = media_type(*call.request().header("content-type"));
  const Status read = v3 ? produce.records.read_v3(body) : produce.records.read_v2(body, type);
  if (!read) return tl::unexpected<Refusal>(Refusal{v3 ? 400 : 422, read.error().message()});
  const auto count = call.service().partition_count(call.path("topic"));
  if (!count) return refusal(count.error());
  const auto rules = rules_of(call.store(), call.path("topic"));
  if (!rules) return refusal(rules.error());
  Placing placing{call.path("topic"), *count, *rules};
  if (call.route().pattern.ends_with("{partition}")) {
    RUNNEL_ANSWER_ASSIGN(placing.partition, partition_in_path(call));
    if (*placing.partition >= *count) {
      return refuse(ProxyCode::kPartitionNotFound, "Partition not found.");
    }
  }
  Placer placer(call.service(), placing);
  for (ProxyRecord& record : produce.records.records()) {
    Status added = check_schema(produce, record);
    if (added) added = placer.add(record.row);
    const bool whole = !added && added.error().code() == ErrorCode::kRecordTooLarge;
    if (whole) return refusal(added.error());
    produce.refused.push_back(added ? std::nullopt : std::optional(added.error()));
  }
  auto prepared = placer.finish();
  if (!prepared) return refusal(prepared.error());
  produce.now = call.service().clock().now().value();
  return std::move(*prepared);
}

void commit(const ProduceRef& produce, Reply<Prepared> prepared) {
  if (!prepared) return fail_proxy(produce->call, prepared.error());
  produce->partitions = std::move(prepared->partitions);
  produce->placed = std::move(prepared->records);
  if (produce->placed.empty()) {  // all of them were refused
    produce->outcome.result = storage::CommitResult{};
    return answer(*produce);
  }
  produce->call->store().queue_commit(std::move(prepared->commit),
                                      [produce](storage::CommitOutcome outcome) {
                                        produce->outcome = std::move(outcome);
                                        produce->call->on_loop([produce] { answer(*produce); });
                                      });
}

void handle_produce(const CallRef& call) {
  if (const Status paid = pay_for_body(*call, 3); !paid) {
    return fail_proxy(call, {503, paid.error().message()});
  }
  auto produce = std::make_shared<Produce>();
  produce->call = call;
  run_blocking(
      call, [produce] { return prepare(*produce); },
      [produce](Reply<Prepared> prepared) { commit(produce, std::move(prepared)); });
}

}  // namespace

std::vector<Route> proxy_produce_routes() {
  using enum Method;
  const std::vector<Content> bodies{{kProxyOfJson, "ProxyRecords"},
                                    {kProxyOfBinary, "ProxyRecords"},
                                    {kProxyOfJsonSchema, "ProxyRecords"}};
  std::vector<Route> out{
      proxy_route(kPost, "/topics/{topic}", handle_produce, "proxyProduce",
                  "Stores records, each where its key belongs", "ProxyProduced"),
      proxy_route(kPost, "/topics/{topic}/partitions/{partition}", handle_produce,
                  "proxyProduceToPartition", "Stores records in a partition", "ProxyProduced"),
      proxy_route(kPost, "/v3/clusters/{cluster}/topics/{topic}/records", handle_produce,
                  "v3Produce", "Stores records, given one behind the other", "ProxyRecordAnswer"),
  };
  out[0].bodies = out[1].bodies = bodies;
  out[2].bodies = {{kJson, "ProxyRecord"}};
  for (Route& route : out) {
    route.description =
        "What is stored of a request is one commit, on stable storage when it is answered. A "
        "record that is refused has its error in the answer, and the others are stored.";
  }
  return out;
}

}  // namespace runnel::broker::http
