// The configs that a topic can have, and the rules for its name.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::storage {

/// Configs by Kafka's names; only what was set.
using ConfigMap = std::map<std::string, std::string, std::less<>>;

/// Greatest max.message.bytes a topic can have: a batch must fit into one answer of any protocol.
inline constexpr std::uint32_t kLargestMaxMessageBytes = 32u << 20;

/// One topic config: its name, default and meaning. The whole table: topic_config_table().
struct TopicConfigRow {
  std::string_view name;
  std::string_view type;  ///< "long", "int", "double", "string", "boolean", "list"
  std::string_view default_value;
  std::string_view text;
  /// The name under which Kafka's brokers have the default of this config; empty: none.
  std::string_view broker_name = {};
  std::int64_t min = 0;  ///< of numbers
  std::int64_t max = 0;
  std::string_view choices = {};  ///< of text and of a list's items, separated by '|'; empty: any
};
[[nodiscard]] std::span<const TopicConfigRow> topic_config_table();
/// False for configs that are only stored and shown; their text says so.
[[nodiscard]] bool has_effect(const TopicConfigRow& row);
/// nullptr: there is no such config.
[[nodiscard]] const TopicConfigRow* find_topic_config(std::string_view name);
/// Names and values. kInvalidConfig says which config, and what is allowed.
[[nodiscard]] Status validate_topic_configs(const ConfigMap& configs);
/// kInvalidTopicName with the reason, or ok.
[[nodiscard]] Status validate_topic_name(std::string_view name);

}  // namespace runnel::storage
