// Appends record batches to partitions. Names and records are views: see codec.h.
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

struct ProduceRequest : RequestOf<ApiKey::kProduce> {
  struct Partition {
    PartitionIndex index;
    std::optional<Bytes> records;  ///< record batches
    void describe(Fields& f);
  };
  struct Topic {
    std::string_view name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::optional<std::string> transactional_id;
  std::int16_t acks = 0;  ///< 0: no response, 1 or -1: once the leader or all replicas have it
  std::int32_t timeout_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

struct ProduceResponse : ResponseOf<ApiKey::kProduce> {
  struct RecordError {
    std::int32_t batch_index = 0;  ///< the record's place in its batch
    std::optional<std::string> message;
    void describe(Fields& f);
  };
  struct Partition {
    PartitionIndex index;
    KafkaError error = KafkaError::kNone;
    Offset base_offset{-1};         ///< of the first record
    Timestamp log_append_time{-1};  ///< -1: the producer's own times were kept
    Offset log_start_offset{-1};
    std::vector<RecordError> record_errors;
    std::optional<std::string> error_message;
    LeaderAndEpoch current_leader;
    void describe(Fields& f);
  };
  struct Topic {
    std::string_view name;
    Uuid topic_id;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::vector<Topic> topics;
  std::int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
