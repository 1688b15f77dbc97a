// Reads record batches. Names and records are views: see codec.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/kafka/common.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct FetchRequest : RequestOf<ApiKey::kFetch> {
  struct ReplicaState {
    std::int32_t replica_id = -1;
    std::int64_t replica_epoch = -1;
    void describe(Fields& f);
    friend bool operator==(const ReplicaState&, const ReplicaState&) = default;
  };
  struct Partition {
    PartitionIndex index;
    LeaderEpoch current_leader_epoch{-1};  ///< -1: not checked
    Offset fetch_offset;
    LeaderEpoch last_fetched_epoch{-1};
    Offset log_start_offset{-1};  ///< of a follower
    std::int32_t max_bytes = 0;
    Uuid replica_directory_id;
    Offset high_watermark{INT64_MAX};
    void describe(Fields& f);
  };
  struct Topic {
    std::string_view name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  struct ForgottenTopic {
    std::string_view name;
    Uuid topic_id;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  std::optional<std::string> cluster_id;
  std::int32_t replica_id = -1;  ///< -1: a consumer
  ReplicaState replica_state;
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = INT32_MAX;
  std::int8_t isolation_level = 0;  ///< 1: committed transactions only
  std::int32_t session_id = 0;      ///< 0: none
  std::int32_t session_epoch = -1;
  std::vector<Topic> topics;
  std::vector<ForgottenTopic> forgotten_topics;  ///< leave the session
  std::string_view rack_id;
  void describe(Fields& f);
};

struct FetchResponse : ResponseOf<ApiKey::kFetch> {
  struct EpochEnd {
    LeaderEpoch epoch{-1};
    Offset end_offset{-1};
    void describe(Fields& f);
    friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
  };
  struct Snapshot {
    Offset end_offset{-1};
    LeaderEpoch epoch{-1};
    void describe(Fields& f);
    friend bool operator==(const Snapshot&, const Snapshot&) = default;
  };
  struct AbortedTransaction {
    ProducerId producer_id;
    Offset first_offset;
    void describe(Fields& f);
  };
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    Offset high_watermark{-1};
    Offset last_stable_offset{-1};
    Offset log_start_offset{-1};
    EpochEnd diverging_epoch;
    LeaderAndEpoch current_leader;
    Snapshot snapshot;
    std::optional<std::vector<AbortedTransaction>>
        aborted_transactions;  ///< null unless only committed was asked for
    std::int32_t preferred_read_replica = -1;
    Records records;
    void describe(Fields& f);
  };
  struct Topic {
    std::string_view name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::int32_t session_id = 0;
  std::vector<Topic> topics;
  std::vector<NodeEndpoint> node_endpoints;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
