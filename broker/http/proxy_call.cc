#include "broker/http/proxy_call.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {

using protocol::json_string;

namespace {

constexpr std::array<std::string_view, 5> kTypes{kProxyJson, kProxyJsonAnyVersion, kJson,
                                                 kProxyOfJson, kProxyOfBinary};

}  // namespace

bool is_v3(const Call& call) {
  return call.route().pattern.starts_with("/v3/");
}

Refusal proxy_refusal(const Error& error, bool v3) {
  const auto code = [&]() -> int {
    switch (error.code()) {
      case ErrorCode::kUnknownTopic:
        return v3 ? ProxyCode::kNotHosted : ProxyCode::kTopicNotFound;
      case ErrorCode::kUnknownPartition:
        return v3 ? ProxyCode::kNotHosted : ProxyCode::kPartitionNotFound;
      case ErrorCode::kTopicExists:
        return ProxyCode::kTopicExists;
      case ErrorCode::kUnknownGroup:
      case ErrorCode::kNotFound:
        return 404;
      case ErrorCode::kRecordTooLarge:
        return 413;
      case ErrorCode::kInvalidArgument:
      case ErrorCode::kInvalidConfig:
      case ErrorCode::kInvalidTopicName:
      case ErrorCode::kInvalidGroupId:
      case ErrorCode::kOffsetOutOfRange:
        return v3 ? 400 : 422;
      case ErrorCode::kOverloaded:
      case ErrorCode::kShuttingDown:
        return 503;
      case ErrorCode::kRebalancing:
      case ErrorCode::kNotAvailable:
      case ErrorCode::kTimeout:
        return ProxyCode::kKafkaRetriable;
      default:
        return ProxyCode::kKafka;
    }
  }();
  return {code, error.message()};
}

Refusal bad_body(const Error& error) {
  return {error.code() == ErrorCode::kInvalidArgument ? 400 : ProxyCode::kKafka, error.message()};
}

Response proxy_response(const Call& call, unsigned status, std::string body) {
  if (body.empty()) return {status, {}, {}, {}};
  const std::string* accept = call.request().header("accept");
  std::string_view type = is_v3(call) ? kJson : kProxyJson;
  for (const std::string_view each : kTypes) {
    if (is_v3(call) || accept == nullptr || !accepts(*accept, each)) continue;
    type = each;
    break;
  }
  return {status, std::string(type), std::move(body), {}};
}

Response proxy_response(const Call& call, const Refusal& refusal) {
  return proxy_response(call, refusal.status(),
                        "{\"error_code\":" + std::to_string(refusal.code) +
                            ",\"message\":" + json_string(refusal.message) + "}\n");
}

void fail_proxy(const CallRef& call, const Refusal& refusal) {
  Counters::add(call->service().counters().failures, 1);
  call->reply(proxy_response(*call, refusal));
}

void answer_proxy(const CallRef& call, std::function<Reply<std::string>(Call&)> work,
                  unsigned status) {
  answer_blocking(call, [call, status, work = std::move(work)] {
    auto body = work(*call);
    if (body && body->empty()) return proxy_response(*call, 204, {});
    if (body) return proxy_response(*call, status, std::move(*body) + "\n");
    Counters::add(call->service().counters().failures, 1);
    return proxy_response(*call, body.error());
  });
}

std::string base_of(const Call& call) {
  const std::string* host = call.request().header("host");
  return "http://" + (host != nullptr ? *host : std::string("localhost"));
}

Reply<std::int32_t> partition_in_path(const Call& call) {
  const std::string& text = call.path("partition");
  std::int32_t out = -1;
  const char* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, out);
  if (failed == std::errc() && at == end && out >= 0) return out;
  return refuse(is_v3(call) ? ProxyCode::kNotHosted : ProxyCode::kPartitionNotFound,
                "Partition not found: a partition is a whole number from 0 on");
}

Reply<std::vector<ProxyPlace>> read_places(const Call& call, std::string_view member) {
  JsonReader in(call.request().body);
  std::vector<ProxyPlace> out;
  const auto read_one = [&]() -> Status {
    ProxyPlace& place = out.emplace_back();
    if (out.size() > kMaxListed) return fail(ErrorCode::kInvalidArgument, "too many partitions");
    std::int64_t partition = -1;
    const Status read = in.object("a partition", [&](std::string_view name) -> Status {
      if (name == "topic") {
        RUNNEL_TRY_ASSIGN(place.topic, in.text("topic"));
      } else if (name == "partition") {
        RUNNEL_TRY_ASSIGN(partition, in.integer("partition"));
      } else if (name == "offset") {
        RUNNEL_TRY_ASSIGN(const auto offset, in.integer("offset"));
        place.offset = Offset(offset);
      } else {
        RUNNEL_TRY(in.raw("a member"));  // such as metadata
      }
      return {};
    });
    RUNNEL_TRY(read);
    if (!place.topic.empty() && partition >= 0 && partition < storage::kMaxPartitionsPerTopic) {
      place.partition = PartitionIndex(static_cast<std::int32_t>(partition));
      return {};
    }
    return fail(ErrorCode::kInvalidArgument, "a place needs a topic and a partition");
  };
  Status read = in.object("the body", [&](std::string_view name) -> Status {
    if (name != member) return in.unknown(name, member);
    return in.array(member, read_one);
  });
  if (read) read = in.end();
  if (!read) return tl::unexpected<Refusal>(bad_body(read.error()));
  return out;
}

// ---------------------------------------------------------------- rows
std::vector<Content> proxy_body(std::string_view schema) {
  std::vector<Content> out;
  for (const std::string_view type : kTypes) out.push_back({type, schema});
  return out;
}

Route proxy_route(Method method, std::string_view pattern, void (*handler)(const CallRef&),
                  std::string_view id, std::string_view summary, std::string_view answer) {
  const bool v3 = pattern.starts_with("/v3/");
  Route out;
  out.method = method;
  out.pattern = pattern;
  out.handler = handler;
  out.id = id;
  out.tag = v3 ? "REST proxy v3" : "REST proxy v2";
  out.summary = summary;
  out.lenient = true;
  const auto contents = [&](std::string_view schema) {
    return v3 ? std::vector<Content>{{kJson, schema}} : proxy_body(schema);
  };
  if (answer.empty()) {
    out.answers = {{204, "It is so."}};
  } else {
    out.answers = {{200, "It is so.", contents(answer)}};
  }
  constexpr std::array<std::pair<unsigned, std::string_view>, 9> kRefusals{
      {{400, "The body or a parameter is not what is asked for."},
       {404, "There is no such thing: error_code 404xx."},
       {406, "The instance has another format: error_code 40601."},
       {409, "It is there already, or in another state: error_code 409xx."},
       {413, "A record is larger than its topic allows."},
       {415, "The body is of another type."},
       {422, "A value is none: error_code 422xx."},
       {500, "The broker could not do it: error_code 50002, or 50003: try again."},
       {503, "The broker is shutting down, or has no memory; try again."}}};
  for (const auto& [status, text] : kRefusals) {
    auto errors = contents("RegistryError");
    errors.push_back({kProblemJson, "Problem"});
    out.answers.push_back({status, text, std::move(errors)});
  }
  return out;
}

std::vector<Route> proxy_routes() {
  std::vector<Route> all;
  for (const auto part : {proxy_topic_routes, proxy_cluster_routes, proxy_group_routes,
                          proxy_produce_routes, proxy_consumer_routes, proxy_fetch_routes}) {
    auto routes = part();
    std::move(routes.begin(), routes.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace runnel::broker::http
