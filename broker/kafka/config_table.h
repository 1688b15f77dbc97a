// The broker's configs: Kafka's names, types and defaults, and what they mean here. --help, the
// checks of `runnel serve --set`, DescribeConfigs and AlterConfigs all go by this one table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/kafka/describe_configs.h"
#include "storage/store.h"

namespace runnel::broker {

/// How a config may be changed.
enum class ConfigChange : std::uint8_t {
  kNever,    ///< only shown
  kAtStart,  ///< `runnel serve --set`; read-only for clients
  kAnyTime,  ///< also AlterConfigs, in force at once
};

struct BrokerConfigRow {
  std::string_view name;
  protocol::kafka::ConfigType type;
  std::optional<std::string_view> default_value;  ///< nullopt: none
  std::int64_t min = 0;                           ///< of numbers
  std::int64_t max = 0;
  ConfigChange change = ConfigChange::kAtStart;
  /// The topic config that this is the default of; it also checks the values. Empty: none.
  std::string_view topic_config;
  std::string text;
};

/// By ascending name. Lives as long as the program.
[[nodiscard]] std::span<const BrokerConfigRow> broker_config_table();
/// nullptr: there is none.
[[nodiscard]] const BrokerConfigRow* find_broker_config(std::string_view name);

/// What is wrong with a value. kInvalidConfig: the config, the value and what is allowed; for a
/// name that is in no row the nearest one.
[[nodiscard]] Status check_broker_config(std::string_view name, std::string_view value);
/// Each config as at the start, and that they fit together.
[[nodiscard]] Status check_start_configs(const storage::ConfigMap& configs);

/// "long" -> kLong and so on.
[[nodiscard]] protocol::kafka::ConfigType config_type(std::string_view name);

/// The page docs/reference/broker-configuration.md, whole.
[[nodiscard]] std::string broker_config_page();

}  // namespace runnel::broker
