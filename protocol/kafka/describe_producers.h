// Producers that write to partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DescribeProducersRequest : RequestOf<ApiKey::kDescribeProducers> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct DescribeProducersResponse : ResponseOf<ApiKey::kDescribeProducers> {
  struct Producer {
    ProducerId producer_id;
    std::int32_t producer_epoch = 0;
    std::int32_t last_sequence = -1;
    Timestamp last_timestamp{-1};
    std::int32_t coordinator_epoch = 0;
    Offset current_txn_start_offset{-1};  ///< -1: no transaction is open
    void describe(Fields& f);
  };
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::vector<Producer> producers;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
