// From the topics of a request to partitions of the store.
#pragma once

#include <string>
#include <string_view>

#include "broker/kafka/call.h"
#include "broker/kafka/errors.h"

namespace runnel::broker {

/// One node leads everything, always.
inline constexpr LeaderEpoch kKafkaLeaderEpoch{0};

/// What a client may do with a topic where nobody is refused anything: bits of Kafka's operation
/// numbers.
inline constexpr std::int32_t kAllTopicOperations = 0b1101'1111'1000;

/// A topic as a request names it: by its id in versions that have ids, else by its name.
struct NamedTopic {
  std::string name;
  kafka::KafkaError error = kafka::KafkaError::kNone;
};
[[nodiscard]] inline NamedTopic named_topic(Call& call, std::string_view name, const Uuid& id,
                                            bool by_id) {
  if (!by_id) return {std::string(name), kafka::KafkaError::kNone};
  auto found = call.store().topic_name(id);
  if (!found) return {{}, kafka::KafkaError::kUnknownTopicId};
  return {std::move(*found), kafka::KafkaError::kNone};
}

/// What a client that knows another leader epoch is told. -1: it does not check.
[[nodiscard]] inline kafka::KafkaError check_epoch(LeaderEpoch known) {
  if (known == LeaderEpoch(-1) || known == kKafkaLeaderEpoch) return kafka::KafkaError::kNone;
  return known < kKafkaLeaderEpoch ? kafka::KafkaError::kFencedLeaderEpoch
                                   : kafka::KafkaError::kUnknownLeaderEpoch;
}

}  // namespace runnel::broker
