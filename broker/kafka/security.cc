// ACLs, quotas and SCRAM users, as a Kafka answers that has none of them.
#include <map>
#include <set>

#include "broker/kafka/handlers.h"
#include "protocol/kafka/acls.h"
#include "protocol/kafka/client_quotas.h"
#include "protocol/kafka/scram_credentials.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

constexpr std::string_view kNoAuthorizer = "there are no access rules: everybody may do everything";
constexpr std::int8_t kMatchExact = 0;
constexpr std::int8_t kMatchAny = 2;

/// One answer each for `count` rules that are neither made nor deleted.
template <class Response>
Response refused(std::size_t count) {
  Response response;
  response.results.resize(count);
  for (auto& result : response.results) {
    result.error = KafkaError::kSecurityDisabled;
    result.error_message = std::string(kNoAuthorizer);
  }
  return response;
}

}  // namespace

void handle_describe_acls(const CallRef& call) {
  if (!call->decode<kafka::DescribeAclsRequest>()) return;
  kafka::DescribeAclsResponse response;
  response.error = KafkaError::kSecurityDisabled;
  response.error_message = std::string(kNoAuthorizer);
  call->reply(response);
}

void handle_create_acls(const CallRef& call) {
  const auto request = call->decode<kafka::CreateAclsRequest>();
  if (request) call->reply(refused<kafka::CreateAclsResponse>(request->acls.size()));
}

void handle_delete_acls(const CallRef& call) {
  const auto request = call->decode<kafka::DeleteAclsRequest>();
  if (request) call->reply(refused<kafka::DeleteAclsResponse>(request->filters.size()));
}

void handle_describe_client_quotas(const CallRef& call) {
  const auto request = call->decode<kafka::DescribeClientQuotasRequest>();
  if (!request) return;
  kafka::DescribeClientQuotasResponse response;
  const auto refuse = [&](KafkaError error, std::string message) {
    response.error = error;
    response.error_message = std::move(message);
  };
  std::set<std::string_view> types;
  for (const auto& component : request->components) {
    const std::string& type = component.entity_type;
    if (type.empty() || !types.insert(type).second) {
      refuse(KafkaError::kInvalidRequest, "a component has no type or a twin");
      break;
    }
    if (type != "user" && type != "client-id" && type != "ip") {
      refuse(KafkaError::kUnsupportedVersion, "there are no quotas of type '" + type + "'");
      break;
    }
    const bool exact = component.match_type == kMatchExact;
    if (component.match_type < kMatchExact || component.match_type > kMatchAny ||
        exact != component.match.has_value()) {
      refuse(KafkaError::kInvalidRequest, "a component has an unknown or incomplete match");
      break;
    }
  }
  const bool mixed =
      types.contains("ip") && (types.contains("user") || types.contains("client-id"));
  if (response.error == KafkaError::kNone && mixed) {
    refuse(KafkaError::kInvalidRequest, "addresses have quotas of their own, without users");
  }
  if (response.error == KafkaError::kNone) response.entries.emplace();
  call->reply(response);
}

void handle_describe_user_scram_credentials(const CallRef& call) {
  const auto request = call->decode<kafka::DescribeUserScramCredentialsRequest>();
  if (!request) return;
  kafka::DescribeUserScramCredentialsResponse response;
  std::map<std::string_view, int> times;
  if (request->users) {
    for (const auto& user : *request->users) ++times[user.name];
  }
  for (const auto& [name, count] : times) {
    auto& to = response.results.emplace_back();
    to.user = name;
    to.error = count > 1 ? KafkaError::kDuplicateResource : KafkaError::kResourceNotFound;
    to.error_message = count > 1 ? "the user stands in the request twice" : "there is no such user";
  }
  call->reply(response);
}

}  // namespace runnel::broker
