// DescribeProducers: the idempotent producers that partitions remember.
#include <set>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "protocol/kafka/describe_producers.h"

namespace runnel::broker {
namespace {

using kafka::DescribeProducersRequest;
using kafka::DescribeProducersResponse;
using kafka::KafkaError;

void describe(Call& call, const std::string& topic, DescribeProducersResponse::Partition& to) {
  const auto refuse = [&to](const Error& error) {
    to.error = kafka_error(error);
    to.error_message = error.message();
  };
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
    producer.coordinator_epoch = -1;
    to.producers.push_back(producer);
  }
}

DescribeProducersResponse describe_all(Call& call, const DescribeProducersRequest& request) {
  DescribeProducersResponse response;
  std::set<std::pair<std::string_view, PartitionIndex>> seen;
  for (const auto& topic : request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    for (const PartitionIndex index : topic.partitions) {
      auto& partition = to.partitions.emplace_back();
      partition.index = index;
      if (seen.insert({topic.name, index}).second) {
        describe(call, topic.name, partition);
      } else {
        partition.error = KafkaError::kInvalidRequest;
        partition.error_message = "the partition stands in the request twice";
      }
    }
  }
  return response;
}

}  // namespace

void handle_describe_producers(const CallRef& call) {
  auto request = call->decode<DescribeProducersRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return describe_all(*call, request); },
      [call](const DescribeProducersResponse& response) { call->reply(response); });
}

}  // namespace runnel::broker
