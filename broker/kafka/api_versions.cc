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
  call->reply(response);
}

void answer_unknown_api_versions(const CallRef& call) {
  kafka::ApiVersionsResponse response;
  response.error = kafka::KafkaError::kUnsupportedVersion;
  response.apis.push_back(row(*find_kafka_api(kafka::ApiKey::kApiVersions)));
  call->reply_in_version(0, response);
}

}  // namespace runnel::broker
