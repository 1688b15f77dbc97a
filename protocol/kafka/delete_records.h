// Records below an offset are deleted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DeleteRecordsRequest : RequestOf<ApiKey::kDeleteRecords> {
  struct Partition {
    PartitionIndex index;
    Offset offset;  ///< -1: the high watermark
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  void describe(Fields& f);
};

struct DeleteRecordsResponse : ResponseOf<ApiKey::kDeleteRecords> {
  struct Partition {
    PartitionIndex index;
    Offset low_watermark{-1};
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
