// Replicas move between brokers: asked for, and listed while they do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct AlterPartitionReassignmentsRequest : RequestOf<ApiKey::kAlterPartitionReassignments> {
  struct Partition {
    PartitionIndex index;
    std::optional<std::vector<std::int32_t>> replicas;  ///< null: cancel the one under way
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t timeout_ms = 60000;
  bool allow_replication_factor_change = true;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct AlterPartitionReassignmentsResponse : ResponseOf<ApiKey::kAlterPartitionReassignments> {
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  bool allow_replication_factor_change = true;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct ListPartitionReassignmentsRequest : RequestOf<ApiKey::kListPartitionReassignments> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  std::int32_t timeout_ms = 60000;
  std::optional<std::vector<Topic>> topics;  ///< null: all
  void describe(Fields& f);
};

struct ListPartitionReassignmentsResponse : ResponseOf<ApiKey::kListPartitionReassignments> {
  struct Partition {
    PartitionIndex index;
    std::vector<std::int32_t> replicas;
    std::vector<std::int32_t> adding_replicas;
    std::vector<std::int32_t> removing_replicas;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
