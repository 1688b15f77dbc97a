// DescribeTopicPartitions: topics and their partitions, page by page.
#include <algorithm>
#include <limits>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/partitions.h"
#include "protocol/kafka/describe_topic_partitions.h"

namespace runnel::broker {
namespace {

using kafka::DescribeTopicPartitionsRequest;
using kafka::DescribeTopicPartitionsResponse;
using kafka::KafkaError;

/// The names that are asked for and not before the cursor, in order, each once.
std::vector<std::string> names_of(Call& call, const DescribeTopicPartitionsRequest& request) {
  std::vector<std::string> names;
  if (request.topics.empty()) names = call.store().topic_names();
  for (const auto& topic : request.topics) names.push_back(topic.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (request.cursor) {
    names.erase(names.begin(), std::lower_bound(names.begin(), names.end(), request.cursor->topic));
  }
  return names;
}

DescribeTopicPartitionsResponse::Topic refused(std::string name, KafkaError error) {
  DescribeTopicPartitionsResponse::Topic topic;
  topic.name = std::move(name);
  topic.error = error;
  return topic;
}

/// Up to `room` partitions from `first` on. Gives where the rest begins; nothing if there is none.
std::optional<PartitionIndex> add_topic(Call& call, const storage::TopicInfo& info,
                                        std::size_t first, std::size_t room,
                                        DescribeTopicPartitionsResponse& to) {
  const std::int32_t node = call.service().options().node_id;
  auto& topic = to.topics.emplace_back();
  topic.name = info.name;
  topic.topic_id = info.id;
  topic.authorized_operations = kAllTopicOperations;
  const std::size_t total = info.partitions.size();
  const std::size_t end = first >= total ? total : first + std::min(room, total - first);
  for (std::size_t i = first; i < end; ++i) {
    auto& partition = topic.partitions.emplace_back();
    partition.index = info.partitions[i].index;
    partition.leader_id = node;
    partition.leader_epoch = kKafkaLeaderEpoch;
    partition.replica_nodes = {node};
    partition.isr_nodes = {node};
    partition.eligible_leader_replicas.emplace();
    partition.last_known_eligible.emplace();
  }
  if (end == total) return std::nullopt;
  return PartitionIndex(static_cast<std::int32_t>(end));
}

DescribeTopicPartitionsResponse page(Call& call, const DescribeTopicPartitionsRequest& request) {
  DescribeTopicPartitionsResponse response;
  auto room = static_cast<std::size_t>(std::max(
      1,
      std::min(request.response_partition_limit, call.service().options().max_listed_partitions)));
  for (const std::string& name : names_of(call, request)) {
    if (room == 0) {
      response.next_cursor = kafka::TopicCursor{name, PartitionIndex(0)};
      break;
    }
    const auto info = call.store().describe_topic(name);
    if (!info) {
      const bool valid = storage::validate_topic_name(name).has_value();
      response.topics.push_back(
          refused(name, valid ? kafka_error(info.error()) : KafkaError::kInvalidTopicException));
      response.topics.back().authorized_operations = kAllTopicOperations;
      continue;
    }
    const bool resumed = request.cursor && request.cursor->topic == name;
    const std::size_t first =
        resumed ? static_cast<std::size_t>(request.cursor->partition.value()) : 0;
    const auto rest = add_topic(call, *info, first, room, response);
    room -= response.topics.back().partitions.size();
    if (!rest) continue;
    response.next_cursor = kafka::TopicCursor{name, *rest};
    break;
  }
  return response;
}

}  // namespace

void handle_describe_topic_partitions(const CallRef& call) {
  const auto request = call->decode<DescribeTopicPartitionsRequest>();
  if (!request) return;
  const auto is_cursors = [&](const auto& topic) { return topic.name == request->cursor->topic; };
  const bool astray = request->cursor &&
                      (request->cursor->partition < PartitionIndex(0) ||
                       (!request->topics.empty() &&
                        std::none_of(request->topics.begin(), request->topics.end(), is_cursors)));
  if (astray) {
    DescribeTopicPartitionsResponse response;
    for (const auto& topic : request->topics) {
      response.topics.push_back(refused(topic.name, KafkaError::kInvalidRequest));
    }
    return call->reply(response);
  }
  call->reply(page(*call, *request));
}

}  // namespace runnel::broker
