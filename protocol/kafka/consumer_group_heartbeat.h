// A member of a group whose partitions the broker assigns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

/// Partitions of one topic.
struct TopicIdPartitions {
  Uuid topic_id;
  std::vector<PartitionIndex> partitions;
  void describe(Fields& f);
  friend bool operator==(const TopicIdPartitions&, const TopicIdPartitions&) = default;
};

struct ConsumerGroupHeartbeatRequest : RequestOf<ApiKey::kConsumerGroupHeartbeat> {
  std::string group_id;
  std::string member_id;
  std::int32_t member_epoch = 0;  ///< 0: joins, -1: leaves, -2: leaves but comes back (static)
  std::optional<std::string> instance_id;  ///< null: as before, like all that follow
  std::optional<std::string> rack_id;
  std::int32_t rebalance_timeout_ms = -1;  ///< -1: as before
  std::optional<std::vector<std::string>> subscribed_topic_names;
  std::optional<std::string> subscribed_topic_regex;
  std::optional<std::string> server_assignor;
  std::optional<std::vector<TopicIdPartitions>> topic_partitions;  ///< what the member owns
  void describe(Fields& f);
};

struct ConsumerGroupHeartbeatResponse : ResponseOf<ApiKey::kConsumerGroupHeartbeat> {
  struct Assignment {
    std::vector<TopicIdPartitions> topic_partitions;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::optional<std::string> member_id;
  std::int32_t member_epoch = 0;
  std::int32_t heartbeat_interval_ms = 0;
  std::optional<Assignment> assignment;  ///< null: as before
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
