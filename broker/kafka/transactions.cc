// What a producer asks about its transaction: AddPartitionsToTxn, AddOffsetsToTxn, EndTxn.
#include "broker/kafka/transactions.h"

#include "broker/kafka/handlers.h"
#include "protocol/kafka/add_offsets_to_txn.h"
#include "protocol/kafka/add_partitions_to_txn.h"
#include "protocol/kafka/end_txn.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

/// From this version on PRODUCER_FENCED is known: in all three.
constexpr std::int16_t kFirstWithFenced = 2;
/// From this version on EndTxn gives the producer another epoch (KIP-890).
constexpr std::int16_t kFirstWithNewEpoch = 5;

Timestamp now_of(Call& call) {
  return call.service().transaction_now();
}

/// From this version on AddOffsetsToTxn knows TRANSACTION_ABORTABLE.
constexpr std::int16_t kFirstOffsetsWithAbortable = 4;

KafkaError error_of(Call& call, const Status& status) {
  if (status) return KafkaError::kNone;
  return transaction_error(status.error().code(), call.version() >= kFirstWithFenced);
}

// ---------------------------------------------------------------- partitions
using AddResponse = kafka::AddPartitionsToTxnResponse;

/// Sets `error` in all partitions.
void fill(AddResponse& response, KafkaError error) {
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) partition.error = error;
  }
}

/// The partitions that are asked for. If one of them is unknown none is added: it has its error in
/// the answer, and the others that they were not attempted.
std::optional<std::vector<TopicPartition>> take_partitions(
    Call& call, const kafka::AddPartitionsToTxnRequest& request, AddResponse& response) {
  std::vector<TopicPartition> partitions;
  bool unknown = false;
  for (const auto& topic : request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const PartitionIndex index : topic.partitions) {
      const bool found = call.store().partition(topic.name, index).has_value();
      unknown = unknown || !found;
      to.partitions.push_back({index, found ? KafkaError::kOperationNotAttempted
                                            : KafkaError::kUnknownTopicOrPartition});
      partitions.push_back({topic.name, index});
    }
  }
  if (unknown) return std::nullopt;
  return partitions;
}

}  // namespace

KafkaError transaction_error(ErrorCode code, bool knows_fenced) noexcept {
  switch (code) {
    case ErrorCode::kProducerFenced:
      return knows_fenced ? KafkaError::kProducerFenced : KafkaError::kInvalidProducerEpoch;
    case ErrorCode::kTooManyPartitions:  // INVALID_TXN_STATE would be the producer's end
      return KafkaError::kPolicyViolation;
    default:
      return group_error(code);
  }
}

KafkaError participation_error(ErrorCode code, bool knows_abortable) noexcept {
  switch (code) {
    case ErrorCode::kInvalidTxnState:
    case ErrorCode::kTooManyPartitions:
      return knows_abortable ? KafkaError::kTransactionAbortable : KafkaError::kInvalidTxnState;
    default:
      return transaction_error(code, false);
  }
}

void handle_add_partitions_to_txn(const CallRef& call) {
  const auto request = call->decode<kafka::AddPartitionsToTxnRequest>();
  if (!request) return;
  const auto response = std::make_shared<AddResponse>();
  const auto partitions = take_partitions(*call, *request, *response);
  if (!partitions) return call->reply(*response);
  call->service().transactions().add_partitions(
      request->transactional_id, {request->producer_id, request->producer_epoch}, *partitions,
      now_of(*call), [call, response](const Status& status) {
        call->on_loop([call, response, status] {
          fill(*response, error_of(*call, status));
          call->reply(*response);
        });
      });
}

void handle_add_offsets_to_txn(const CallRef& call) {
  const auto request = call->decode<kafka::AddOffsetsToTxnRequest>();
  if (!request) return;
  const auto answer = [call](const Status& status) {
    kafka::AddOffsetsToTxnResponse response;
    response.error = error_of(*call, status);
    const bool too_many = !status && status.error().code() == ErrorCode::kTooManyPartitions;
    if (too_many && call->version() >= kFirstOffsetsWithAbortable) {
      response.error = KafkaError::kTransactionAbortable;
    }
    call->reply(response);
  };
  if (request->group_id.empty() || request->group_id.size() > kMaxGroupNameBytes) {
    return answer(fail(ErrorCode::kInvalidGroupId, "a group's name is missing or too long"));
  }
  call->service().transactions().add_group(
      request->transactional_id, {request->producer_id, request->producer_epoch}, request->group_id,
      now_of(*call), [call, answer](const Status& status) {
        call->on_loop([answer, status] { answer(status); });
      });
}

void handle_end_txn(const CallRef& call) {
  auto request = call->decode<kafka::EndTxnRequest>();
  if (!request) return;
  const bool bumps = call->version() >= kFirstWithNewEpoch;
  const bool blocks =
      bumps && call->service().transactions().end_may_block(request->transactional_id);
  const auto end = [call, bumps, request = std::move(*request)] {
    call->service().transactions().end(
        request.transactional_id, {request.producer_id, request.producer_epoch}, request.committed,
        bumps, now_of(*call), [call, bumps](const Result<storage::ProducerIdentity>& producer) {
          kafka::EndTxnResponse response;
          if (!producer) {
            response.error = error_of(*call, fail(producer.error()));
          } else if (bumps) {
            response.producer_id = producer->id;
            response.producer_epoch = producer->epoch;
          }
          call->on_loop([call, response] { call->reply(response); });
        });
    return true;
  };
  if (!blocks) {
    end();
    return;
  }
  call->service().workers().run(call->lane(), end);
}

}  // namespace runnel::broker
