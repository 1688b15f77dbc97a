// A group's positions, forgotten.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct OffsetDeleteRequest : RequestOf<ApiKey::kOffsetDelete> {
  struct Partition {
    PartitionIndex index;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::string group_id;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct OffsetDeleteResponse : ResponseOf<ApiKey::kOffsetDelete> {
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  KafkaError error = KafkaError::kNone;
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
