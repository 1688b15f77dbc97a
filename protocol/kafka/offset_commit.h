// A group's positions, stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct OffsetCommitRequest : RequestOf<ApiKey::kOffsetCommit> {
  struct Partition {
    PartitionIndex index;
    Offset committed_offset;
    LeaderEpoch committed_leader_epoch{-1};
    std::optional<std::string> metadata;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::string group_id;
  std::int32_t generation_or_member_epoch = -1;  ///< -1: no member
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::int64_t retention_time_ms = -1;  ///< -1: the broker's own
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct OffsetCommitResponse : ResponseOf<ApiKey::kOffsetCommit> {
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
