// ListTransactions and DescribeTransactions.
#include <algorithm>

#include "broker/kafka/handlers.h"
#include "protocol/kafka/transactions.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

constexpr std::string_view kStates[] = {
    "Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
    "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence",
};

}  // namespace

void handle_list_transactions(const CallRef& call) {
  const auto request = call->decode<kafka::ListTransactionsRequest>();
  if (!request) return;
  kafka::ListTransactionsResponse response;
  for (const std::string& state : request->state_filters) {
    if (std::find(std::begin(kStates), std::end(kStates), state) == std::end(kStates)) {
      response.unknown_state_filters.push_back(state);
    }
  }
  call->reply(response);
}

void handle_describe_transactions(const CallRef& call) {
  const auto request = call->decode<kafka::DescribeTransactionsRequest>();
  if (!request) return;
  kafka::DescribeTransactionsResponse response;
  for (const std::string& id : request->transactional_ids) {
    auto& to = response.transactions.emplace_back();
    to.transactional_id = id;
    to.error = id.empty() ? KafkaError::kInvalidRequest : KafkaError::kTransactionalIdNotFound;
  }
  call->reply(response);
}

}  // namespace runnel::broker
