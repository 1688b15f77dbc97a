// A group's positions, stored by a transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct TxnOffsetCommitRequest : RequestOf<ApiKey::kTxnOffsetCommit> {
  struct Partition {
    PartitionIndex index;
    Offset committed_offset;
    LeaderEpoch committed_leader_epoch{-1};
    std::optional<std::string> metadata;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::string transactional_id;
  std::string group_id;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  std::int32_t generation_id = -1;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct TxnOffsetCommitResponse : ResponseOf<ApiKey::kTxnOffsetCommit> {
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
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
