// DescribeLogDirs and AlterReplicaLogDirs: there is one directory, and nothing moves.
#include "protocol/kafka/log_dirs.h"

#include <filesystem>
#include <map>
#include <set>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"

namespace runnel::broker {
namespace {

using kafka::AlterReplicaLogDirsRequest;
using kafka::AlterReplicaLogDirsResponse;
using kafka::DescribeLogDirsRequest;
using kafka::DescribeLogDirsResponse;
using kafka::KafkaError;

void add(DescribeLogDirsResponse::Topic& to, const storage::PartitionInfo& info) {
  to.partitions.push_back({info.index, static_cast<std::int64_t>(info.bytes), 0, false});
}

DescribeLogDirsResponse describe(Call& call, const DescribeLogDirsRequest& request) {
  DescribeLogDirsResponse response;
  auto& directory = response.directories.emplace_back();
  directory.path = call.service().options().log_directory;
  std::error_code error;
  const auto space = std::filesystem::space(directory.path, error);
  if (!error) {
    directory.total_bytes = static_cast<std::int64_t>(space.capacity);
    directory.usable_bytes = static_cast<std::int64_t>(space.available);
  }
  if (!request.topics) {
    for (const std::string& name : call.store().topic_names()) {
      const auto info = call.store().describe_topic(name);
      if (!info) continue;  // deleted meanwhile
      auto& topic = directory.topics.emplace_back();
      topic.name = name;
      for (const storage::PartitionInfo& partition : info->partitions) add(topic, partition);
    }
    return response;
  }
  // What is not here has no directory: it is left out.
  for (const auto& asked : *request.topics) {
    DescribeLogDirsResponse::Topic topic;
    topic.name = asked.name;
    for (const PartitionIndex index : asked.partitions) {
      const auto found = call.store().partition(asked.name, index);
      if (found) add(topic, call.store().partition_info(*found));
    }
    if (!topic.partitions.empty()) directory.topics.push_back(std::move(topic));
  }
  return response;
}

AlterReplicaLogDirsResponse alter(Call& call, const AlterReplicaLogDirsRequest& request) {
  std::map<std::string, std::map<PartitionIndex, KafkaError>> answers;
  for (const auto& directory : request.directories) {
    const bool here = directory.path == call.service().options().log_directory;
    for (const auto& topic : directory.topics) {
      for (const PartitionIndex index : topic.partitions) {
        KafkaError error = KafkaError::kNone;  // it lies there already
        if (!here) {
          error = KafkaError::kLogDirNotFound;
        } else if (const auto found = call.store().partition(topic.name, index); !found) {
          error = kafka_error(found.error());
        }
        answers[topic.name].emplace(index, error);
      }
    }
  }
  AlterReplicaLogDirsResponse response;
  for (const auto& [name, partitions] : answers) {
    auto& topic = response.topics.emplace_back();
    topic.name = name;
    for (const auto& [index, error] : partitions) topic.partitions.push_back({index, error});
  }
  return response;
}

}  // namespace

void handle_describe_log_dirs(const CallRef& call) {
  auto request = call->decode<DescribeLogDirsRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return describe(*call, request); },
      [call](const DescribeLogDirsResponse& response) { call->reply(response); });
}

void handle_alter_replica_log_dirs(const CallRef& call) {
  const auto request = call->decode<AlterReplicaLogDirsRequest>();
  if (!request) return;
  call->reply(alter(*call, *request));
}

}  // namespace runnel::broker
