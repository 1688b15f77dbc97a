// Offsets by time, or of a log's ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

// The timestamps with a meaning of their own.
inline constexpr Timestamp kLatestTimestamp{-1};
inline constexpr Timestamp kEarliestTimestamp{-2};
inline constexpr Timestamp kMaxTimestamp{-3};                    ///< v7
inline constexpr Timestamp kEarliestLocalTimestamp{-4};          ///< v8
inline constexpr Timestamp kLatestTieredTimestamp{-5};           ///< v9
inline constexpr Timestamp kEarliestPendingUploadTimestamp{-6};  ///< v11

struct ListOffsetsRequest : RequestOf<ApiKey::kListOffsets> {
  struct Partition {
    PartitionIndex index;
    LeaderEpoch current_leader_epoch{-1};  ///< -1: not checked
    Timestamp timestamp;                   ///< or one of the above
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t replica_id = -1;     ///< -1: a consumer
  std::int8_t isolation_level = 0;  ///< 1: committed transactions only
  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  void describe(Fields& f);
};

struct ListOffsetsResponse : ResponseOf<ApiKey::kListOffsets> {
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    Timestamp timestamp{-1};
    Offset offset{-1};
    LeaderEpoch leader_epoch{-1};
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
