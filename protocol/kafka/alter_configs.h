// Configs are set: all of a resource at once, or one by one (incremental).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/describe_configs.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

enum class ConfigOperation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

struct AlterConfigsRequest : RequestOf<ApiKey::kAlterConfigs> {
  struct Config {
    std::string name;
    std::optional<std::string> value;
    void describe(Fields& f);
  };
  struct Resource {
    ConfigResource type = ConfigResource::kUnknown;
    std::string name;
    std::vector<Config> configs;
    void describe(Fields& f);
  };
  std::vector<Resource> resources;
  bool validate_only = false;
  void describe(Fields& f);
};

struct AlterConfigsResponse : ResponseOf<ApiKey::kAlterConfigs> {
  struct Resource {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    ConfigResource type = ConfigResource::kUnknown;
    std::string name;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> resources;
  void describe(Fields& f);
};

struct IncrementalAlterConfigsRequest : RequestOf<ApiKey::kIncrementalAlterConfigs> {
  struct Config {
    std::string name;
    ConfigOperation operation = ConfigOperation::kSet;
    std::optional<std::string> value;
    void describe(Fields& f);
  };
  struct Resource {
    ConfigResource type = ConfigResource::kUnknown;
    std::string name;
    std::vector<Config> configs;
    void describe(Fields& f);
  };
  std::vector<Resource> resources;
  bool validate_only = false;
  void describe(Fields& f);
};

struct IncrementalAlterConfigsResponse : ResponseOf<ApiKey::kIncrementalAlterConfigs> {
  struct Resource {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    ConfigResource type = ConfigResource::kUnknown;
    std::string name;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> resources;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
