// Directories that hold partitions: described, and partitions moved between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct AlterReplicaLogDirsRequest : RequestOf<ApiKey::kAlterReplicaLogDirs> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  struct Directory {
    std::string path;
    std::vector<Topic> topics;
    void describe(Fields& f);
  };
  std::vector<Directory> directories;
  void describe(Fields& f);
};

struct AlterReplicaLogDirsResponse : ResponseOf<ApiKey::kAlterReplicaLogDirs> {
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

struct DescribeLogDirsRequest : RequestOf<ApiKey::kDescribeLogDirs> {
  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    void describe(Fields& f);
  };
  std::optional<std::vector<Topic>> topics;  ///< null: all
  void describe(Fields& f);
};

struct DescribeLogDirsResponse : ResponseOf<ApiKey::kDescribeLogDirs> {
  struct Partition {
    PartitionIndex index;
    std::int64_t size_bytes = 0;
    std::int64_t offset_lag = 0;
    bool is_future = false;  ///< on its way to this directory
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    void describe(Fields& f);
  };
  struct Directory {
    KafkaError error = KafkaError::kNone;
    std::string path;
    std::vector<Topic> topics;
    std::int64_t total_bytes = -1;  ///< of the volume; -1: not known
    std::int64_t usable_bytes = -1;
    bool is_cordoned = false;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::vector<Directory> directories;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
