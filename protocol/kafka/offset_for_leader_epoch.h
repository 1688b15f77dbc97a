// Where the records of a leader epoch end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct OffsetForLeaderEpochRequest : RequestOf<ApiKey::kOffsetForLeaderEpoch> {
  struct Partition {
    PartitionIndex index;
    LeaderEpoch current_leader_epoch{-1};  ///< -1: not checked
    LeaderEpoch leader_epoch;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t replica_id = -2;  ///< -1: a consumer
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct OffsetForLeaderEpochResponse : ResponseOf<ApiKey::kOffsetForLeaderEpoch> {
  struct Partition {
    KafkaError error = KafkaError::kNone;
    PartitionIndex index;
    LeaderEpoch leader_epoch{-1};
    Offset end_offset{-1};
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
