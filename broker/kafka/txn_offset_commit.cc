// TxnOffsetCommit: positions of a group that take effect with a transaction.
#include "protocol/kafka/txn_offset_commit.h"

#include <algorithm>

#include "broker/kafka/handlers.h"
#include "broker/kafka/transactions.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::TxnOffsetCommitRequest;
using kafka::TxnOffsetCommitResponse;

/// From these versions on clients know TRANSACTION_ABORTABLE, and join groups to transactions by
/// this request.
constexpr std::int16_t kFirstWithAbortable = 4;
constexpr std::int16_t kFirstThatJoins = 5;

/// Sets `error` wherever there is none yet.
void refuse_rest(TxnOffsetCommitResponse& response, KafkaError error) {
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      if (partition.error == KafkaError::kNone) partition.error = error;
    }
  }
}

/// Takes over the positions that can be set; the others have their error in the answer.
std::vector<storage::OffsetCommit> take_offsets(Call& call, TxnOffsetCommitRequest& request,
                                                TxnOffsetCommitResponse& response) {
  const std::size_t most = call.service().options().max_offset_metadata_bytes;
  std::vector<storage::OffsetCommit> offsets;
  for (auto& topic : request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (auto& partition : topic.partitions) {
      auto& answer = to.partitions.emplace_back();
      answer.index = partition.index;
      std::string metadata = std::move(partition.metadata).value_or(std::string());
      if (const auto found = call.store().partition(topic.name, partition.index); !found) {
        answer.error = kafka_error(found.error());
      } else if (metadata.size() > most) {
        answer.error = KafkaError::kOffsetMetadataTooLarge;
      } else {
        // A position before the first record is none.
        offsets.push_back({request.group_id, topic.name, partition.index,
                           std::max(partition.committed_offset, kNoOffset),
                           partition.committed_leader_epoch, std::move(metadata)});
      }
    }
  }
  return offsets;
}

/// Calls `put` if who asks may commit now.
KafkaError commit_as(Call& call, const TxnOffsetCommitRequest& request,
                     const std::function<void()>& put) {
  if (request.group_id.empty() || request.group_id.size() > kMaxGroupNameBytes) {
    return KafkaError::kInvalidGroupId;
  }
  const ErrorCode checked = call.service().coordinator().commit_as(
      request.group_id, {request.member_id, request.group_instance_id, request.generation_id},
      {true, false}, call.service().clock().monotonic(), put);
  if (checked == ErrorCode::kUnknownGroup) return KafkaError::kIllegalGeneration;
  return group_error(checked);
}

}  // namespace

void handle_txn_offset_commit(const CallRef& call) {
  auto request = call->decode<TxnOffsetCommitRequest>();
  if (!request) return;
  const auto response = std::make_shared<TxnOffsetCommitResponse>();
  auto offsets = take_offsets(*call, *request, *response);
  if (offsets.empty()) return call->reply(*response);
  const KafkaError error = commit_as(*call, *request, [&] {
    call->service().transactions().put_offsets(
        request->transactional_id, {request->producer_id, request->producer_epoch},
        call->version() >= kFirstThatJoins, std::move(offsets), call->service().transaction_now(),
        [call, response](const Status& status) {
          if (!status) {
            refuse_rest(*response, participation_error(status.error().code(),
                                                       call->version() >= kFirstWithAbortable));
          }
          call->on_loop([call, response] { call->reply(*response); });
        });
  });
  if (error == KafkaError::kNone) return;  // put_offsets() answers
  refuse_rest(*response, error);
  call->reply(*response);
}

}  // namespace runnel::broker
