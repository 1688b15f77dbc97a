// A topic's configs as clients see them: what holds, and where it comes from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/kafka/configs.h"

namespace runnel::broker {

struct EffectiveConfig {
  const storage::TopicConfigRow* row;
  std::string value;
  protocol::kafka::ConfigSource source = protocol::kafka::ConfigSource::kDefault;
  std::vector<ConfigOrigin> origins;  ///< the strongest first
};

/// `set`: the topic's own configs.
[[nodiscard]] EffectiveConfig effective_config(const BrokerConfigs& configs,
                                               const storage::ConfigMap& set,
                                               const storage::TopicConfigRow& row);

/// A value that a client sets, as it is kept: without blanks around it or a list's items, booleans
/// in small letters. Kafka takes them all.
[[nodiscard]] std::string topic_config_value(std::string_view name, std::string_view value);

}  // namespace runnel::broker
