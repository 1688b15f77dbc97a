// Topics are made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct CreateTopicsRequest : RequestOf<ApiKey::kCreateTopics> {
  struct Assignment {
    PartitionIndex index;
    std::vector<std::int32_t> broker_ids;
    void describe(Fields& f);
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::int32_t partitions = -1;  ///< -1: the broker's default, as is the next
    std::int16_t replication_factor = -1;
    std::vector<Assignment> assignments;
    std::vector<Config> configs;
    void describe(Fields& f);
  };
  std::vector<Topic> topics;
  std::int32_t timeout_ms = 60000;
  bool validate_only = false;
  void describe(Fields& f);
};

struct CreateTopicsResponse : ResponseOf<ApiKey::kCreateTopics> {
  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    std::int8_t source = -1;  ///< see describe_configs.h
    bool is_sensitive = false;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    KafkaError config_error = KafkaError::kNone;  ///< why there are no configs
    std::int32_t partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
