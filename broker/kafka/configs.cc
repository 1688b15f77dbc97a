#include "broker/kafka/configs.h"

#include <charconv>
#include <chrono>

#include "broker/kafka/service.h"
#include "protocol/base/assert.h"

namespace runnel::broker {
namespace {

using protocol::kafka::ConfigSource;
using storage::ConfigMap;

constexpr std::string_view kBrokerPrefix = "kafka/config/broker/";
constexpr std::string_view kDefaultPrefix = "kafka/config/default/";
constexpr std::int64_t kMillisPerMinute = 60'000;
constexpr std::int64_t kMillisPerHour = 60 * kMillisPerMinute;

/// Names that set the same as `name`, the strongest first; `name` itself is the first.
std::vector<std::string_view> same_as(std::string_view name) {
  if (name == "log.retention.ms") return {name, "log.retention.minutes", "log.retention.hours"};
  if (name == "log.retention.minutes") return {name, "log.retention.hours"};
  if (name == "node.id") return {name, "broker.id"};
  if (name == "broker.id") return {name, "node.id"};
  return {name};
}

std::int64_t number_of(std::string_view text) {
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

/// The value in the unit of the topic config it is the default of.
std::string in_topic_unit(const ConfigOrigin& origin) {
  const std::int64_t factor = origin.name == "log.retention.minutes" ? kMillisPerMinute
                              : origin.name == "log.retention.hours" ? kMillisPerHour
                                                                     : 0;
  if (factor == 0) return origin.value;
  const std::int64_t n = number_of(origin.value);
  return std::to_string(n < 0 ? -1 : n * factor);
}

/// The value at the start: set, or the default.
std::string start_value(const ConfigMap& configs, std::string_view name) {
  for (const std::string_view same : same_as(name)) {
    if (const auto found = configs.find(same); found != configs.end()) return found->second;
  }
  const BrokerConfigRow* row = find_broker_config(name);
  RUNNEL_ASSERT(row != nullptr && row->default_value.has_value());
  return std::string(*row->default_value);
}

GroupConfig group_config_of(const ConfigMap& configs) {
  const auto millis = [&](std::string_view name) {
    return std::chrono::milliseconds(start_number(configs, name));
  };
  GroupConfig groups;
  groups.initial_rebalance_delay = millis("group.initial.rebalance.delay.ms");
  groups.min_session_timeout = millis("group.min.session.timeout.ms");
  groups.max_session_timeout = millis("group.max.session.timeout.ms");
  groups.max_size = static_cast<std::size_t>(start_number(configs, "group.max.size"));
  groups.consumer_session_timeout = millis("group.consumer.session.timeout.ms");
  groups.consumer_heartbeat_interval = millis("group.consumer.heartbeat.interval.ms");
  groups.consumer_max_size =
      static_cast<std::size_t>(start_number(configs, "group.consumer.max.size"));
  return groups;
}

}  // namespace

std::int64_t start_number(const ConfigMap& configs, std::string_view name) {
  return number_of(start_value(configs, name));
}

BrokerConfigs::BrokerConfigs(storage::Store& store, ConfigMap start)
    : store_(store), start_(std::move(start)) {}

Status BrokerConfigs::load() {
  const auto read = [this](std::string_view prefix) -> Result<ConfigMap> {
    RUNNEL_TRY_ASSIGN(auto entries, store_.read_state(prefix));
    ConfigMap known;
    for (auto& [key, value] : entries) {
      std::string name = key.substr(prefix.size());
      if (check_broker_config(name, value)) known.emplace(std::move(name), std::move(value));
    }
    return known;
  };
  RUNNEL_TRY_ASSIGN(ConfigMap broker, read(kBrokerPrefix));
  RUNNEL_TRY_ASSIGN(ConfigMap defaults, read(kDefaultPrefix));
  {
    MutexLock lock(mutex_);
    broker_ = std::move(broker);
    default_ = std::move(defaults);
  }
  return store_.set_topic_defaults(topic_defaults());
}

std::vector<ConfigOrigin> BrokerConfigs::origins(std::string_view name) const {
  std::vector<ConfigOrigin> found;
  const auto names = same_as(name);
  const auto add = [&](const ConfigMap& from, ConfigSource source) {
    for (const std::string_view same : names) {
      const auto value = from.find(same);
      if (value != from.end()) found.push_back({std::string(same), value->second, source});
    }
  };
  {
    MutexLock lock(mutex_);
    add(broker_, ConfigSource::kDynamicBroker);
    add(default_, ConfigSource::kDynamicDefaultBroker);
  }
  add(start_, ConfigSource::kStaticBroker);
  for (const std::string_view same : names) {
    const BrokerConfigRow* row = find_broker_config(same);
    if (row == nullptr || !row->default_value) continue;
    found.push_back({std::string(same), std::string(*row->default_value), ConfigSource::kDefault});
    break;
  }
  return found;
}

std::vector<ConfigOrigin> BrokerConfigs::topic_origins(const storage::TopicConfigRow& row) const {
  if (row.broker_name.empty()) return {};
  return origins(row.broker_name);
}

std::string BrokerConfigs::topic_default(const storage::TopicConfigRow& row) const {
  const auto from = topic_origins(row);
  return from.empty() ? std::string(row.default_value) : in_topic_unit(from.front());
}

ConfigMap BrokerConfigs::dynamic(Scope scope) const {
  MutexLock lock(mutex_);
  return scope == Scope::kBroker ? broker_ : default_;
}

/// Only what differs from the table has to be said.
ConfigMap BrokerConfigs::topic_defaults() const {
  ConfigMap defaults;
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    std::string value = topic_default(row);
    if (value != row.default_value) defaults.emplace(row.name, std::move(value));
  }
  return defaults;
}

Status BrokerConfigs::change(Scope scope, const Changes& changes) {
  storage::CommitRequest commit;
  const std::string_view prefix = scope == Scope::kBroker ? kBrokerPrefix : kDefaultPrefix;
  for (const auto& [name, value] : changes) {
    commit.state.push_back({std::string(prefix) + name, value});
  }
  if (commit.state.empty()) return {};
  const auto outcome = store_.commit_and_wait(std::move(commit));
  if (!outcome.result) return fail(outcome.result.error());
  {
    MutexLock lock(mutex_);
    ConfigMap& to = scope == Scope::kBroker ? broker_ : default_;
    for (const auto& [name, value] : changes) {
      if (value) {
        to.insert_or_assign(name, *value);
      } else {
        to.erase(name);
      }
    }
  }
  return store_.set_topic_defaults(topic_defaults());
}

void apply_configs(const ConfigMap& configs, KafkaOptions& to) {
  to.configs = configs;
  to.groups = group_config_of(configs);
  to.node_id = static_cast<std::int32_t>(start_number(configs, "node.id"));
  to.auto_create_topics = start_value(configs, "auto.create.topics.enable") == "true";
  to.delete_topics = start_value(configs, "delete.topic.enable") == "true";
  to.default_partitions = static_cast<std::int32_t>(start_number(configs, "num.partitions"));
  to.max_request_bytes =
      static_cast<std::uint32_t>(start_number(configs, "socket.request.max.bytes"));
  to.max_offset_metadata_bytes =
      static_cast<std::size_t>(start_number(configs, "offset.metadata.max.bytes"));
  to.max_listed_partitions =
      static_cast<std::int32_t>(start_number(configs, "max.request.partition.size.limit"));
  to.max_transaction_timeout =
      std::chrono::milliseconds(start_number(configs, "transaction.max.timeout.ms"));
  to.transactional_id_expiry =
      std::chrono::milliseconds(start_number(configs, "transactional.id.expiration.ms"));
}

}  // namespace runnel::broker
