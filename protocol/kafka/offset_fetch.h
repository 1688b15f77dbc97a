// A group's positions, read: one group until version 7, any number from 8 on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct OffsetFetchRequest : RequestOf<ApiKey::kOffsetFetch> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct GroupTopic {
    std::string name;
    Uuid topic_id;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct Group {
    std::string group_id;
    std::optional<std::string> member_id;
    std::int32_t member_epoch = -1;
    std::optional<std::vector<GroupTopic>> topics;  ///< null: all of the group's
    void describe(Fields& f);
  };
  std::string group_id;
  std::optional<std::vector<Topic>> topics;  ///< null: all of the group's
  std::vector<Group> groups;
  bool require_stable = false;  ///< not while a transaction is about to change them
  void describe(Fields& f);
};

struct OffsetFetchResponse : ResponseOf<ApiKey::kOffsetFetch> {
  struct Partition {
    PartitionIndex index;
    Offset committed_offset{-1};
    LeaderEpoch committed_leader_epoch{-1};
    std::optional<std::string> metadata;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  struct GroupTopic {
    std::string name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  struct Group {
    std::string group_id;
    std::vector<GroupTopic> topics;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  KafkaError error = KafkaError::kNone;
  std::vector<Group> groups;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
