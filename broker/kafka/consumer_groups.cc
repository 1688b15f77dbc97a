// Groups whose partitions are shared out here (KIP-848): ConsumerGroupHeartbeat and
// ConsumerGroupDescribe. Clients number topics, the coordinator names them.
#include <map>

#include "broker/kafka/answer_room.h"
#include "broker/kafka/groups.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "protocol/kafka/consumer_group_describe.h"
#include "protocol/kafka/consumer_group_heartbeat.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using protocol::native::TopicPartition;
using Described = kafka::ConsumerGroupDescribeResponse;

/// From this version on a member brings its own id.
constexpr std::int16_t kFirstWithOwnIds = 1;
/// ConsumerGroupDescribe's word for a member that speaks this protocol.
constexpr std::int8_t kConsumerMember = 1;

struct PartitionsOfTopic {
  Uuid id;
  std::vector<PartitionIndex> partitions;
};
/// By topic. A topic that went in the meantime is left out: it has no id any more.
std::map<std::string, PartitionsOfTopic, std::less<>> with_ids(
    storage::Store& store, const std::vector<TopicPartition>& partitions) {
  std::map<std::string, PartitionsOfTopic, std::less<>> topics;
  for (const TopicPartition& p : partitions) topics[p.topic].partitions.push_back(p.partition);
  for (auto topic = topics.begin(); topic != topics.end();) {
    const auto info = store.describe_topic(topic->first);
    if (info) topic->second.id = info->id;
    topic = info ? std::next(topic) : topics.erase(topic);
  }
  return topics;
}

// ---------------------------------------------------------------- heartbeat
/// Partitions of topics that are gone are nobody's, so owning them says nothing.
std::vector<TopicPartition> with_names(storage::Store& store,
                                       const std::vector<kafka::TopicIdPartitions>& topics) {
  std::vector<TopicPartition> partitions;
  for (const auto& topic : topics) {
    const auto name = store.topic_name(topic.topic_id);
    if (!name) continue;
    for (const PartitionIndex index : topic.partitions) partitions.push_back({*name, index});
  }
  return partitions;
}

ConsumerHeartbeat heartbeat_of(Call& call, kafka::ConsumerGroupHeartbeatRequest& request) {
  ConsumerHeartbeat heartbeat;
  heartbeat.group = std::move(request.group_id);
  heartbeat.member_id = std::move(request.member_id);
  heartbeat.member_epoch = request.member_epoch;
  heartbeat.instance_id = std::move(request.instance_id);
  heartbeat.rack_id = std::move(request.rack_id);
  heartbeat.rebalance_timeout_ms = request.rebalance_timeout_ms;
  heartbeat.topics = std::move(request.subscribed_topic_names);
  heartbeat.regex = std::move(request.subscribed_topic_regex);
  heartbeat.assignor = std::move(request.server_assignor);
  if (request.topic_partitions) {
    heartbeat.owned = with_names(call.store(), *request.topic_partitions);
  }
  heartbeat.client_id = call.client_id();
  heartbeat.brings_member_id = call.version() >= kFirstWithOwnIds;
  return heartbeat;
}

void answer_heartbeat(Call& call, const Result<ConsumerHeartbeatReply>& reply) {
  kafka::ConsumerGroupHeartbeatResponse response;
  if (!reply) {
    response.error = group_error(reply.error().code());
    response.error_message = reply.error().message();
    return call.reply(response);
  }
  response.member_id = reply->member_id;
  response.member_epoch = reply->member_epoch;
  response.heartbeat_interval_ms = reply->heartbeat_interval_ms;
  if (reply->assignment) {
    auto& assignment = response.assignment.emplace();
    for (auto& [name, topic] : with_ids(call.store(), *reply->assignment)) {
      assignment.topic_partitions.push_back({topic.id, std::move(topic.partitions)});
    }
  }
  call.reply(response);
}

// ---------------------------------------------------------------- describe
Described::Assignment assignment_of(storage::Store& store,
                                    const std::vector<TopicPartition>& partitions) {
  Described::Assignment assignment;
  for (auto& [name, topic] : with_ids(store, partitions)) {
    assignment.topic_partitions.push_back({topic.id, name, std::move(topic.partitions)});
  }
  return assignment;
}

Described::Member member_of(storage::Store& store, const ConsumerMember& from) {
  Described::Member member;
  member.member_id = from.member_id;
  member.instance_id = from.instance_id;
  member.rack_id = from.rack_id;
  member.member_epoch = from.member_epoch;
  member.client_id = from.client_id;
  member.client_host = shown_host(from.host);
  member.subscribed_topic_names = from.topics;
  member.subscribed_topic_regex = from.regex;
  member.assignment = assignment_of(store, from.assignment);
  member.target_assignment = assignment_of(store, from.target);
  member.member_type = kConsumerMember;
  return member;
}

std::uint64_t bytes_of(const Described::Assignment& assignment) {
  std::uint64_t bytes = 0;
  for (const auto& topic : assignment.topic_partitions) {
    bytes +=
        sizeof(topic) + topic.topic_name.size() + topic.partitions.size() * sizeof(PartitionIndex);
  }
  return bytes;
}

std::uint64_t bytes_of(const Described::Member& member) {
  std::uint64_t bytes = sizeof(member) + kMemberOverheadBytes +
                        member.subscribed_topic_regex.value_or("").size() +
                        bytes_of(member.assignment) + bytes_of(member.target_assignment);
  for (const std::string& topic : member.subscribed_topic_names) {
    bytes += sizeof(topic) + topic.size();
  }
  return bytes;
}

void refuse(Described::Group& group, KafkaError error, std::string_view why) {
  group.error = error;
  group.error_message = why;
}

Described::Group describe_one(const CallRef& call, bool with_operations, const std::string& name,
                              AnswerRoom& room) {
  Described::Group group;
  group.group_id = name;
  const auto found = call->service().coordinator().describe_consumer(name);
  if (!found) {
    refuse(group, group_error(found.error().code()), found.error().message());
    return group;
  }
  group.state = found->state;
  group.group_epoch = found->epoch;
  group.assignment_epoch = found->assignment_epoch;
  group.assignor_name = found->assignor;
  std::uint64_t bytes = 0;
  for (const ConsumerMember& member : found->members) {
    group.members.push_back(member_of(call->store(), member));
    bytes += bytes_of(group.members.back());
  }
  if (with_operations) group.authorized_operations = kAllGroupOperations;
  const bool too_large = room.is_too_small_for(bytes);
  if (!too_large && room.take(bytes)) return group;
  Described::Group refused;
  refused.group_id = name;
  if (too_large) {
    refuse(refused, KafkaError::kInvalidRequest, kTooLargeText);
  } else {
    refuse(refused, kNoRoomForGroup, kNoRoomText);
  }
  return refused;
}

Described describe(const CallRef& call, const kafka::ConsumerGroupDescribeRequest& request) {
  Described response;
  NamedBefore<std::string_view> named_before;
  AnswerRoom room(*call);
  for (const std::string& name : request.groups) {
    Described::Group group;
    group.group_id = name;
    if (name.empty()) {
      refuse(group, KafkaError::kInvalidGroupId, "a group has a name");
    } else if (named_before(name)) {
      refuse(group, KafkaError::kInvalidRequest, named_twice("the group"));
    } else if (room.full()) {
      refuse(group, kNoRoomForGroup, kNoRoomText);
    } else {
      group = describe_one(call, request.include_authorized_operations, name, room);
    }
    response.groups.push_back(std::move(group));
  }
  return response;
}

}  // namespace

void handle_consumer_group_heartbeat(const CallRef& call) {
  auto request = call->decode<kafka::ConsumerGroupHeartbeatRequest>();
  if (!request) return;
  call->service().coordinator().consumer_heartbeat(
      heartbeat_of(*call, *request), call->remote().host, call->service().clock().monotonic(),
      [call](Result<ConsumerHeartbeatReply> reply) {
        call->on_loop([call, reply = std::move(reply)] { answer_heartbeat(*call, reply); });
      });
}

void handle_consumer_group_describe(const CallRef& call) {
  auto request = call->decode<kafka::ConsumerGroupDescribeRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return describe(call, request); },
      [call](const Described& response) { call->reply(response); });
}

}  // namespace runnel::broker
