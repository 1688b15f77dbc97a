// ListTransactions and DescribeTransactions.
#include <re2/re2.h>

#include <algorithm>

#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "protocol/kafka/transactions.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

constexpr std::string_view kStates[] = {
    "Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
    "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence",
};

bool is_state(const std::string& name) {
  return std::find(std::begin(kStates), std::end(kStates), name) != std::end(kStates);
}

/// Null: it is no expression.
std::unique_ptr<RE2> compile(const std::optional<std::string>& pattern) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kMaxRegexMemoryBytes);
  auto compiled = std::make_unique<RE2>(pattern.value_or(""), options);
  if (!compiled->ok() || pattern.value_or("").size() > kMaxRegexBytes) return nullptr;
  return compiled;
}

template <class T>
bool passes(const std::vector<T>& filter, const T& value) {
  return filter.empty() || std::find(filter.begin(), filter.end(), value) != filter.end();
}

kafka::ListTransactionsResponse list(Call& call, const kafka::ListTransactionsRequest& request) {
  kafka::ListTransactionsResponse response;
  const auto pattern = compile(request.transactional_id_pattern);
  if (!pattern) {
    response.error = KafkaError::kInvalidRegularExpression;
    return response;
  }
  for (const std::string& state : request.state_filters) {
    if (!is_state(state)) response.unknown_state_filters.push_back(state);
  }
  const Timestamp now = call.service().transaction_now();
  for (const auto& found : call.service().transactions().list()) {
    const std::string state(name_of(found.state));
    const bool old_enough =
        request.duration_filter_ms < 0 || now - found.start > request.duration_filter_ms;
    const bool named =
        request.transactional_id_pattern.value_or("").empty() || RE2::FullMatch(found.id, *pattern);
    if (!old_enough || !named || !passes(request.state_filters, state) ||
        !passes(request.producer_id_filters, found.producer.id)) {
      continue;
    }
    response.transactions.push_back({found.id, found.producer.id, state});
  }
  return response;
}

kafka::DescribeTransactionsResponse::Transaction describe(Call& call, const std::string& id,
                                                          bool named_before) {
  kafka::DescribeTransactionsResponse::Transaction to;
  to.transactional_id = id;
  if (id.empty() || named_before) {
    to.error = KafkaError::kInvalidRequest;
    return to;
  }
  const auto found = call.service().transactions().describe(id);
  if (!found) {
    to.error = KafkaError::kTransactionalIdNotFound;
    return to;
  }
  to.state = name_of(found->state);
  to.timeout_ms = found->timeout_ms;
  to.start_time = found->start;
  to.producer_id = found->producer.id;
  to.producer_epoch = found->producer.epoch;
  for (const TopicPartition& of : found->partitions) {
    if (to.topics.empty() || to.topics.back().name != of.topic) {
      to.topics.emplace_back().name = of.topic;
    }
    to.topics.back().partitions.push_back(of.partition);
  }
  return to;
}

kafka::DescribeTransactionsResponse describe_all(
    Call& call, const kafka::DescribeTransactionsRequest& request) {
  kafka::DescribeTransactionsResponse response;
  NamedBefore<std::string_view> named_before;
  for (const std::string& id : request.transactional_ids) {
    response.transactions.push_back(describe(call, id, named_before(id)));
  }
  return response;
}

}  // namespace

void handle_list_transactions(const CallRef& call) {
  auto request = call->decode<kafka::ListTransactionsRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return list(*call, request); },
      [call](const kafka::ListTransactionsResponse& response) { call->reply(response); });
}

void handle_describe_transactions(const CallRef& call) {
  auto request = call->decode<kafka::DescribeTransactionsRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return describe_all(*call, request); },
      [call](const kafka::DescribeTransactionsResponse& response) { call->reply(response); });
}

}  // namespace runnel::broker
