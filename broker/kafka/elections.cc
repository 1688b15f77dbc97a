// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments: with one node every leader
// is where it should be, and nothing is on its way. The answers are those of a Kafka of one node.
#include <algorithm>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "protocol/kafka/elect_leaders.h"
#include "protocol/kafka/reassignments.h"

namespace runnel::broker {
namespace {

using kafka::AlterPartitionReassignmentsRequest;
using kafka::AlterPartitionReassignmentsResponse;
using kafka::ElectLeadersRequest;
using kafka::ElectLeadersResponse;
using kafka::KafkaError;

constexpr std::int8_t kUncleanElection = 1;

void elect(Call& call, const std::string& topic, ElectLeadersResponse::Partition& to) {
  if (const auto found = call.store().partition(topic, to.index); !found) {
    to.error = kafka_error(found.error());
    to.error_message = found.error().message();
    return;
  }
  to.error = KafkaError::kElectionNotNeeded;
  to.error_message = "this broker, the only one, leads the partition";
}

void reassign(Call& call, const std::string& topic,
              const AlterPartitionReassignmentsRequest::Partition& asked,
              AlterPartitionReassignmentsResponse::Partition& to) {
  const auto refuse = [&](KafkaError error, std::string message) {
    to.error = error;
    to.error_message = std::move(message);
  };
  if (const auto found = call.store().partition(topic, asked.index); !found) {
    return refuse(kafka_error(found.error()), found.error().message());
  }
  if (!asked.replicas) {
    return refuse(KafkaError::kNoReassignmentInProgress, "the partition is not being reassigned");
  }
  const std::int32_t node = call.service().options().node_id;
  if (asked.replicas->empty()) {
    return refuse(KafkaError::kInvalidReplicaAssignment, "a partition has at least one replica");
  }
  if (std::any_of(asked.replicas->begin(), asked.replicas->end(),
                  [&](std::int32_t replica) { return replica != node; })) {
    return refuse(KafkaError::kInvalidReplicaAssignment,
                  "there is one broker here, number " + std::to_string(node));
  }
  if (asked.replicas->size() > 1) {
    return refuse(KafkaError::kInvalidReplicaAssignment, "a broker stands in the list twice");
  }
}

}  // namespace

void handle_elect_leaders(const CallRef& call) {
  const auto request = call->decode<ElectLeadersRequest>();
  if (!request) return;
  ElectLeadersResponse response;
  const bool nothing = request->topics && request->topics->empty();
  if (!nothing && (request->election_type < 0 || request->election_type > kUncleanElection)) {
    response.error = KafkaError::kInvalidRequest;
    if (!request->topics) return call->reply(response);
    for (const auto& topic : *request->topics) {
      auto& to = response.topics.emplace_back();
      to.name = topic.name;
      for (const PartitionIndex index : topic.partitions) {
        auto& partition = to.partitions.emplace_back();
        partition.index = index;
        partition.error = KafkaError::kInvalidRequest;
        partition.error_message = "there is no such kind of election";
      }
    }
    return call->reply(response);
  }
  // Asked for all: those that need no election are left out, which is every one.
  if (request->topics) {
    for (const auto& topic : *request->topics) {
      auto& to = response.topics.emplace_back();
      to.name = topic.name;
      for (const PartitionIndex index : topic.partitions) {
        auto& partition = to.partitions.emplace_back();
        partition.index = index;
        elect(*call, topic.name, partition);
      }
    }
  }
  call->reply(response);
}

void handle_alter_partition_reassignments(const CallRef& call) {
  const auto request = call->decode<AlterPartitionReassignmentsRequest>();
  if (!request) return;
  AlterPartitionReassignmentsResponse response;
  response.allow_replication_factor_change = request->allow_replication_factor_change;
  for (const auto& topic : request->topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const auto& asked : topic.partitions) {
      auto& partition = to.partitions.emplace_back();
      partition.index = asked.index;
      reassign(*call, topic.name, asked, partition);
    }
  }
  call->reply(response);
}

void handle_list_partition_reassignments(const CallRef& call) {
  if (!call->decode<kafka::ListPartitionReassignmentsRequest>()) return;
  call->reply(kafka::ListPartitionReassignmentsResponse());
}

}  // namespace runnel::broker
