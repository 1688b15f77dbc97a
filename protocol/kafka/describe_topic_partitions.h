// Topics and partitions, page by page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/common.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

/// Where the next page begins.
struct TopicCursor {
  std::string topic;
  PartitionIndex partition;
  void describe(Fields& f);
  friend bool operator==(const TopicCursor&, const TopicCursor&) = default;
};

struct DescribeTopicPartitionsRequest : RequestOf<ApiKey::kDescribeTopicPartitions> {
  struct Topic {
    std::string name;
    void describe(Fields& f);
  };
  std::vector<Topic> topics;  ///< empty: all
  std::int32_t response_partition_limit = 2000;
  std::optional<TopicCursor> cursor;
  void describe(Fields& f);
};

struct DescribeTopicPartitionsResponse : ResponseOf<ApiKey::kDescribeTopicPartitions> {
  struct Partition {
    KafkaError error = KafkaError::kNone;
    PartitionIndex index;
    std::int32_t leader_id = -1;
    LeaderEpoch leader_epoch{-1};
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    std::optional<std::vector<std::int32_t>> eligible_leader_replicas;
    std::optional<std::vector<std::int32_t>> last_known_eligible;
    std::vector<std::int32_t> offline_replicas;
    void describe(Fields& f);
  };
  struct Topic {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> name;
    Uuid topic_id;
    bool is_internal = false;
    std::vector<Partition> partitions;
    std::int32_t authorized_operations = kOperationsNotAsked;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  std::optional<TopicCursor> next_cursor;  ///< null: this was the last page
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
