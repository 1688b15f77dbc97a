// What Kafka's consumers say to a consumer group (KIP-848) and hear from it. Plain values; topics
// are named, not numbered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/native/messages.h"

namespace runnel::broker {

/// ConsumerGroupHeartbeat; nullopt: as before.
struct ConsumerHeartbeat {
  std::string group;
  std::string member_id;          ///< v0: empty to join, the reply has one
  std::int32_t member_epoch = 0;  ///< 0 joins, -1 leaves, -2 leaves for a while (static)
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::int32_t rebalance_timeout_ms = -1;  ///< -1: as before
  std::optional<std::vector<std::string>> topics;
  std::optional<std::string> regex;     ///< v1; matches whole names, syntax of RE2; "" is none
  std::optional<std::string> assignor;  ///< "uniform" or "range"
  std::optional<std::vector<protocol::native::TopicPartition>> owned;
  std::string client_id;
  bool brings_member_id = true;  ///< v1 and later
};
struct ConsumerHeartbeatReply {
  std::string member_id;
  std::int32_t member_epoch = 0;
  std::int32_t heartbeat_interval_ms = 0;
  /// nullopt: as the member knows it already.
  std::optional<std::vector<protocol::native::TopicPartition>> assignment;
};

struct ConsumerMember {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::int32_t member_epoch = 0;  ///< -2: away
  std::string client_id;
  std::string host;
  std::vector<std::string> topics;  ///< named by the member
  std::string regex;
  std::vector<protocol::native::TopicPartition> assignment;
  std::vector<protocol::native::TopicPartition> target;
};
struct ConsumerDescription {
  std::string group;
  std::string state;  ///< "Empty", "Reconciling" or "Stable"
  std::int32_t epoch = 0;
  std::int32_t assignment_epoch = 0;
  std::string assignor;
  std::vector<ConsumerMember> members;
};

}  // namespace runnel::broker
