// Configs of topics, brokers and groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

enum class ConfigResource : std::int8_t {
  kUnknown = 0,
  kTopic = 2,
  kBroker = 4,
  kBrokerLogger = 8,
  kClientMetrics = 16,
  kGroup = 32,
};
/// Where a value comes from.
enum class ConfigSource : std::int8_t {
  kUnknown = 0,
  kTopic = 1,
  kDynamicBroker = 2,
  kDynamicDefaultBroker = 3,
  kStaticBroker = 4,
  kDefault = 5,
  kDynamicBrokerLogger = 6,
  kClientMetrics = 7,
  kGroup = 8,
};
enum class ConfigType : std::int8_t {
  kUnknown = 0,
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kShort = 4,
  kLong = 5,
  kDouble = 6,
  kList = 7,
  kClass = 8,
  kPassword = 9,
};

struct DescribeConfigsRequest : RequestOf<ApiKey::kDescribeConfigs> {
  struct Resource {
    ConfigResource type = ConfigResource::kUnknown;
    std::string name;
    std::optional<std::vector<std::string>> keys;  ///< null: all
    void describe(Fields& f);
  };
  std::vector<Resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;
  void describe(Fields& f);
};

struct DescribeConfigsResponse : ResponseOf<ApiKey::kDescribeConfigs> {
  struct Synonym {
    std::string name;
    std::optional<std::string> value;
    ConfigSource source = ConfigSource::kUnknown;
    void describe(Fields& f);
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;  ///< null if sensitive
    bool read_only = false;
    bool is_default = false;
    ConfigSource source = ConfigSource::kUnknown;
    bool is_sensitive = false;
    std::vector<Synonym> synonyms;
    ConfigType type = ConfigType::kUnknown;
    std::optional<std::string> documentation;
    void describe(Fields& f);
  };
  struct Resource {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    ConfigResource type = ConfigResource::kUnknown;
    std::string name;
    std::vector<Config> configs;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> resources;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
