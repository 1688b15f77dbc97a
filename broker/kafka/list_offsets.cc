// ListOffsets and OffsetForLeaderEpoch.
#include "protocol/kafka/list_offsets.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/partitions.h"
#include "protocol/kafka/offset_for_leader_epoch.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::ListOffsetsRequest;
using kafka::ListOffsetsResponse;
using Query = storage::OffsetQuery;

constexpr std::int16_t kFirstWithMaxTimestamp = 7;
constexpr std::int16_t kFirstWithLocal = 8;
constexpr std::int16_t kFirstWithTiered = 9;
constexpr std::int8_t kReadCommitted = 1;

struct Meaning {
  KafkaError error = KafkaError::kNone;
  bool nothing = false;  ///< the answer is "none"
  Query query;
};

Meaning meaning_of(Timestamp asked, std::int16_t version) {
  if (asked >= Timestamp(0)) return {KafkaError::kNone, false, {Query::Kind::kTime, asked}};
  if (asked == kafka::kLatestTimestamp) return {KafkaError::kNone, false, {Query::Kind::kLatest}};
  if (asked == kafka::kEarliestTimestamp) {
    return {KafkaError::kNone, false, {Query::Kind::kEarliest}};
  }
  if (asked == kafka::kMaxTimestamp && version >= kFirstWithMaxTimestamp) {
    return {KafkaError::kNone, false, {Query::Kind::kMaxTimestamp}};
  }
  if (asked == kafka::kEarliestLocalTimestamp && version >= kFirstWithLocal) {
    return {KafkaError::kNone, false, {Query::Kind::kEarliest}};  // nothing lies elsewhere
  }
  if (asked == kafka::kLatestTieredTimestamp && version >= kFirstWithTiered) {
    return {KafkaError::kNone, true, {}};
  }
  return {KafkaError::kUnsupportedVersion, true, {}};
}

void find(Call& call, const std::string& topic, const ListOffsetsRequest::Partition& asked,
          bool committed_only, ListOffsetsResponse::Partition& answer) {
  answer.index = asked.index;
  Meaning meaning = meaning_of(asked.timestamp, call.version());
  answer.error = meaning.error;
  if (answer.error != KafkaError::kNone) return;
  const auto found = call.store().partition(topic, asked.index);
  if (!found) {
    answer.error = kafka_error(found.error());
    return;
  }
  answer.error = check_epoch(asked.current_leader_epoch);
  if (answer.error != KafkaError::kNone || meaning.nothing) return;
  meaning.query.committed_only = committed_only;
  const auto offset = call.store().find_offset(*found, meaning.query);
  if (!offset) {
    answer.error = kafka_error(offset.error());
    return;
  }
  answer.offset = offset->offset;
  const bool by_time =
      meaning.query.kind == Query::Kind::kTime || meaning.query.kind == Query::Kind::kMaxTimestamp;
  if (by_time) answer.timestamp = offset->timestamp;
  if (offset->offset >= Offset(0)) answer.leader_epoch = kKafkaLeaderEpoch;
}

ListOffsetsResponse find_all(Call& call, const ListOffsetsRequest& request) {
  ListOffsetsResponse response;
  const bool committed_only = request.isolation_level == kReadCommitted;
  for (const auto& topic : request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const auto& partition : topic.partitions) {
      find(call, topic.name, partition, committed_only, to.partitions.emplace_back());
    }
  }
  return response;
}

}  // namespace

void handle_list_offsets(const CallRef& call) {
  auto request = call->decode<ListOffsetsRequest>();
  if (!request) return;
  // Looking for a time reads from the disk.
  run_blocking(
      call, [call, request = std::move(*request)] { return find_all(*call, request); },
      [call](const ListOffsetsResponse& response) { call->reply(response); });
}

void handle_offset_for_leader_epoch(const CallRef& call) {
  const auto request = call->decode<kafka::OffsetForLeaderEpochRequest>();
  if (!request) return;
  kafka::OffsetForLeaderEpochResponse response;
  for (const auto& topic : request->topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const auto& asked : topic.partitions) {
      auto& answer = to.partitions.emplace_back();
      answer.index = asked.index;
      const auto found = call->store().partition(topic.name, asked.index);
      answer.error = found ? check_epoch(asked.current_leader_epoch) : kafka_error(found.error());
      if (answer.error != KafkaError::kNone) continue;
      if (asked.leader_epoch == LeaderEpoch(-1) || asked.leader_epoch > kKafkaLeaderEpoch) continue;
      const storage::PartitionInfo info = call->store().partition_info(*found);
      answer.leader_epoch = asked.leader_epoch;
      // An epoch before the first ended where the first began.
      answer.end_offset =
          asked.leader_epoch == kKafkaLeaderEpoch ? info.high_watermark : info.log_start;
    }
  }
  call->reply(response);
}

}  // namespace runnel::broker
