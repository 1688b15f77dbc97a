// Partitions get a new leader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct ElectLeadersRequest : RequestOf<ApiKey::kElectLeaders> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  std::int8_t election_type = 0;             ///< 0: preferred, 1: unclean
  std::optional<std::vector<Topic>> topics;  ///< null: all
  std::int32_t timeout_ms = 60000;
  void describe(Fields& f);
};

struct ElectLeadersResponse : ResponseOf<ApiKey::kElectLeaders> {
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
  KafkaError error = KafkaError::kNone;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
