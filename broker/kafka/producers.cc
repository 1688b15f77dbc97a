// DescribeProducers: the idempotent producers that partitions remember. WriteTxnMarkers: ends
// transactions without their coordinator, which is how an admin gets rid of one that hangs. Epochs
// that nobody was given are refused: a marker of one would lock its producer out.
#include <future>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "protocol/kafka/describe_producers.h"
#include "protocol/kafka/write_txn_markers.h"

namespace runnel::broker {
namespace {

using kafka::DescribeProducersRequest;
using kafka::DescribeProducersResponse;
using kafka::KafkaError;
using kafka::WriteTxnMarkersRequest;
using kafka::WriteTxnMarkersResponse;

void describe(Call& call, const std::string& topic, DescribeProducersResponse::Partition& to) {
  const auto refuse = [&to](const Error& error) {
    to.error = kafka_error(error);
    to.error_message = error.message();
  };
  if (const Status valid = storage::validate_topic_name(topic); !valid) {
    return refuse(valid.error());
  }
  const auto partition = call.store().partition(topic, to.index);
  if (!partition) return refuse(partition.error());
  const auto producers = call.store().producers(*partition);
  if (!producers) return refuse(producers.error());
  for (const storage::ProducerInfo& info : *producers) {
    DescribeProducersResponse::Producer producer;
    producer.producer_id = info.id;
    producer.producer_epoch = info.epoch.value();
    producer.last_sequence = info.last_sequence;
    producer.last_timestamp = info.last_seen;
    producer.coordinator_epoch = info.coordinator_epoch;
    producer.current_txn_start_offset = info.transaction_first;
    to.producers.push_back(producer);
  }
}

DescribeProducersResponse describe_all(Call& call, const DescribeProducersRequest& request) {
  DescribeProducersResponse response;
  NamedBefore<std::pair<std::string_view, PartitionIndex>> named_before;
  for (const auto& topic : request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const PartitionIndex index : topic.partitions) {
      auto& partition = to.partitions.emplace_back();
      partition.index = index;
      if (named_before({topic.name, index})) {
        partition.error = KafkaError::kInvalidRequest;
        partition.error_message = named_twice("the partition");
      } else {
        describe(call, topic.name, partition);
      }
    }
  }
  return response;
}

/// An epoch that the partition has not seen yet comes from the coordinator alone, and a coordinator
/// that was followed by another one has no say any more.
KafkaError check_marker(Call& call, const storage::PartitionRef& partition,
                        const WriteTxnMarkersRequest::Marker& asked) {
  const auto known = call.store().producer(partition, asked.producer_id);
  if (!known) return kafka_error(known.error());
  if (!*known) return KafkaError::kUnknownProducerId;
  // An epoch that is too old is refused where the marker is written.
  if (asked.producer_epoch > (*known)->epoch) return KafkaError::kInvalidProducerEpoch;
  if (asked.producer_epoch < (*known)->epoch) return KafkaError::kNone;
  return asked.coordinator_epoch < (*known)->coordinator_epoch
             ? KafkaError::kTransactionCoordinatorFenced
             : KafkaError::kNone;
}

/// Each partition is a commit of its own: one that fails does not keep the others from ending.
WriteTxnMarkersResponse write_all(Call& call, const WriteTxnMarkersRequest& request) {
  WriteTxnMarkersResponse response;
  std::vector<std::pair<std::future<KafkaError>, KafkaError*>> pending;
  response.markers.reserve(request.markers.size());
  for (const auto& asked : request.markers) {
    if (asked.topics.empty()) continue;  // Kafka, too, says nothing about it
    auto& marker = response.markers.emplace_back();
    marker.producer_id = asked.producer_id;
    marker.topics.reserve(asked.topics.size());
    for (const auto& topic : asked.topics) {
      auto& to = marker.topics.emplace_back();
      to.name = topic.name;
      to.partitions.reserve(topic.partitions.size());
      for (const PartitionIndex index : topic.partitions) {
        auto& partition = to.partitions.emplace_back();
        partition.index = index;
        auto found = call.store().partition(topic.name, index);
        if (!found) {
          partition.error = kafka_error(found.error());
          continue;
        }
        const storage::ProducerIdentity producer{asked.producer_id, asked.producer_epoch};
        partition.error = check_marker(call, *found, asked);
        if (partition.error != KafkaError::kNone) continue;
        storage::CommitRequest commit;
        commit.markers.push_back(
            {std::move(*found), producer, asked.committed, asked.coordinator_epoch});
        auto done = std::make_shared<std::promise<KafkaError>>();
        pending.emplace_back(done->get_future(), &partition.error);
        call.store().commit(std::move(commit), [done](const storage::CommitOutcome& outcome) {
          done->set_value(outcome.result ? KafkaError::kNone : kafka_error(outcome.result.error()));
        });
      }
    }
  }
  for (auto& [result, error] : pending) *error = result.get();
  return response;
}

}  // namespace

void handle_write_txn_markers(const CallRef& call) {
  auto request = call->decode<WriteTxnMarkersRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return write_all(*call, request); },
      [call](const WriteTxnMarkersResponse& response) { call->reply(response); });
}

void handle_describe_producers(const CallRef& call) {
  auto request = call->decode<DescribeProducersRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return describe_all(*call, request); },
      [call](const DescribeProducersResponse& response) { call->reply(response); });
}

}  // namespace runnel::broker
