// ApiVersions: what is offered.
#include <algorithm>

#include "broker/kafka/dispatch.h"
#include "broker/kafka/handlers.h"
#include "protocol/kafka/api_versions.h"

namespace runnel::broker {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Letters and digits, with '-' and '.' between them.
bool is_software_name(std::string_view name) {
  if (name.empty() || !is_alphanumeric(name.front()) || !is_alphanumeric(name.back())) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

/// Up to this version clients do not take a feature whose least version is 0.
constexpr std::int16_t kLastWithoutZero = 3;
struct Feature {
  const char* name;
  std::int16_t level;
};
constexpr Feature kFeatures[] = {
    {"group.version", 1},        // KIP-848
    {"transaction.version", 2},  // KIP-890: an epoch for each, partitions join by being written to
};

/// There is one set of features, for good, so the epoch never moves.
void add_features(std::int16_t version, kafka::ApiVersionsResponse& response) {
  response.finalized_features_epoch = 0;
  for (const auto& [name, level] : kFeatures) {
    if (version > kLastWithoutZero) response.supported_features.push_back({name, 0, level});
    response.finalized_features.push_back({name, level, level});
  }
}

kafka::ApiVersionsResponse::Api row(const KafkaApi& api) {
  return {static_cast<std::int16_t>(api.key), api.min_version, api.max_version};
}

}  // namespace

void handle_api_versions(const CallRef& call) {
  const auto request = call->decode<kafka::ApiVersionsRequest>();
  if (!request) return;
  kafka::ApiVersionsResponse response;
  if (call->version() >= 3 && !(is_software_name(request->client_software_name) &&
                                is_software_name(request->client_software_version))) {
    response.error = kafka::KafkaError::kInvalidRequest;
    return call->reply(response);
  }
  for (const KafkaApi& api : kafka_apis()) response.apis.push_back(row(api));
  add_features(call->version(), response);
  call->reply(response);
}

void answer_unknown_api_versions(const CallRef& call) {
  kafka::ApiVersionsResponse response;
  response.error = kafka::KafkaError::kUnsupportedVersion;
  response.apis.push_back(row(*find_kafka_api(kafka::ApiKey::kApiVersions)));
  call->reply_in_version(0, response);
}

}  // namespace runnel::broker
