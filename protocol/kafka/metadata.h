// Brokers, topics and partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/common.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct MetadataRequest : RequestOf<ApiKey::kMetadata> {
  struct Topic {
    Uuid topic_id;
    std::optional<std::string> name;
    void describe(Fields& f);
  };
  std::optional<std::vector<Topic>> topics;  ///< null is all; in version 0 an empty list is
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;
  void describe(Fields& f);
};

struct MetadataResponse : ResponseOf<ApiKey::kMetadata> {
  struct Broker {
    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    void describe(Fields& f);
  };
  struct Partition {
    KafkaError error = KafkaError::kNone;
    PartitionIndex index;
    std::int32_t leader_id = -1;
    LeaderEpoch leader_epoch{-1};
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
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
  std::vector<Broker> brokers;
  std::optional<std::string> cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Topic> topics;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;
  KafkaError error = KafkaError::kNone;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
