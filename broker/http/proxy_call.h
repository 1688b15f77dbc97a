// What the paths of Confluent's REST proxy have in common: v2 at /topics and /consumers, v3 at
// /v3/clusters. Bodies, answers and error codes are theirs, so that its clients work as they are.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/json_in.h"
#include "broker/http/router.h"
#include "broker/schemas/types.h"

namespace runnel::broker::http {

using schemas::Refusal;
using schemas::refuse;
using schemas::Reply;

inline constexpr std::string_view kProxyJson = "application/vnd.kafka.v2+json";
inline constexpr std::string_view kProxyJsonAnyVersion = "application/vnd.kafka+json";
inline constexpr std::string_view kProxyOfJson = "application/vnd.kafka.json.v2+json";
inline constexpr std::string_view kProxyOfBinary = "application/vnd.kafka.binary.v2+json";
inline constexpr std::string_view kProxyOfJsonSchema = "application/vnd.kafka.jsonschema.v2+json";

/// The proxy's own codes; an HTTP status where it has none.
struct ProxyCode {
  enum Code : int {
    kTopicNotFound = 40401,
    kPartitionNotFound = 40402,
    kInstanceNotFound = 40403,
    kNotHosted = 40403,  ///< v3: topic or partition
    kFormatDiffers = 40601,
    kInstanceExists = 40902,
    kSubscriptionExists = 40903,
    kNotSubscribed = 40904,  ///< Confluent's proxy has 50002 for it, as if it had failed itself
    kInvalidSchema = 42205,
    kInvalidConfig = 42204,
    kKafka = 50002,
    kKafkaRetriable = 50003,
    kTopicExists = 40002,  ///< v3
  };
};

/// What the broker's error is to the proxy's clients. `v3`: of these paths.
[[nodiscard]] Refusal proxy_refusal(const Error& error, bool v3);
/// A body that is not what is asked for.
[[nodiscard]] Refusal bad_body(const Error& error);
[[nodiscard]] bool is_v3(const Call& call);

/// An answer in the type that the client rather takes.
[[nodiscard]] Response proxy_response(const Call& call, unsigned status, std::string body);
[[nodiscard]] Response proxy_response(const Call& call, const Refusal& refusal);
void fail_proxy(const CallRef& call, const Refusal& refusal);
/// Runs `work`, which makes the answer's body (empty: 204), where it may block; a Refusal becomes
/// {"error_code":...,"message":...}.
void answer_proxy(const CallRef& call, std::function<Reply<std::string>(Call&)> work,
                  unsigned status = 200);

/// "http://host:port", as the client has it.
[[nodiscard]] std::string base_of(const Call& call);
/// A whole number of a path, 0 to 2147483647.
[[nodiscard]] Reply<std::int32_t> partition_in_path(const Call& call);

/// A topic's partition in a body, and an offset where one is asked for.
struct ProxyPlace {
  std::string topic;
  PartitionIndex partition;
  Offset offset{-1};
};
/// {"partitions":[{"topic","partition"}]}, or {"offsets":[{"topic","partition","offset"}]}.
[[nodiscard]] Reply<std::vector<ProxyPlace>> read_places(const Call& call, std::string_view member);

/// A row with what all of them have. `answer`: the schema of what is answered; empty: nothing is.
[[nodiscard]] Route proxy_route(Method method, std::string_view pattern,
                                void (*handler)(const CallRef&), std::string_view id,
                                std::string_view summary, std::string_view answer);
[[nodiscard]] std::vector<Content> proxy_body(std::string_view schema);

[[nodiscard]] std::vector<Route> proxy_topic_routes();     ///< proxy_topics.cc
[[nodiscard]] std::vector<Route> proxy_cluster_routes();   ///< proxy_clusters.cc
[[nodiscard]] std::vector<Route> proxy_group_routes();     ///< proxy_groups.cc
[[nodiscard]] std::vector<Route> proxy_produce_routes();   ///< proxy_produce.cc
[[nodiscard]] std::vector<Route> proxy_consumer_routes();  ///< proxy_consumer_calls.cc
[[nodiscard]] std::vector<Route> proxy_fetch_routes();     ///< proxy_fetch.cc

}  // namespace runnel::broker::http
