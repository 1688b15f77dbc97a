// The broker configs in force, where each comes from, and how they change while the broker runs.
//
// What clients set is kept in the store's state map, one entry each
// (docs/formats/broker-configs.md):
//
//   Key                             Value
//   kafka/config/broker/NAME        set for this broker
//   kafka/config/default/NAME       set for every broker
//
// NAME is Kafka's, the value is the text that was given. An entry whose name or value is not known
// (any more) is passed over.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/kafka/config_table.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/kafka/describe_configs.h"
#include "storage/store.h"

namespace runnel::broker {

struct KafkaOptions;

/// One of the places a value comes from.
struct ConfigOrigin {
  std::string name;  ///< may be another name that sets the same
  std::string value;
  protocol::kafka::ConfigSource source = protocol::kafka::ConfigSource::kDefault;
};

/// Thread safe.
class BrokerConfigs {
 public:
  enum class Scope : std::uint8_t { kBroker, kDefault };
  /// A value to set, or nothing to take it back.
  using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;

  /// `start`: what was set at the start, checked. `store` outlives this.
  BrokerConfigs(storage::Store& store, storage::ConfigMap start);
  /// Reads what clients have set, and gives the topics their defaults. Before clients come.
  [[nodiscard]] Status load() RUNNEL_EXCLUDES(mutex_);

  /// Where a config's value comes from, the strongest first; the first one holds. Empty: no value.
  [[nodiscard]] std::vector<ConfigOrigin> origins(std::string_view name) const
      RUNNEL_EXCLUDES(mutex_);
  /// The same for what a topic has that does not set `row`; the first value holds, in its unit.
  [[nodiscard]] std::vector<ConfigOrigin> topic_origins(const storage::TopicConfigRow& row) const;
  /// What holds for a topic that does not set `row`.
  [[nodiscard]] std::string topic_default(const storage::TopicConfigRow& row) const;
  /// What clients have set.
  [[nodiscard]] storage::ConfigMap dynamic(Scope scope) const RUNNEL_EXCLUDES(mutex_);

  /// Sets checked values, durably and at once. Blocking. Callers hold altering().
  [[nodiscard]] Status change(Scope scope, const Changes& changes) RUNNEL_EXCLUDES(mutex_);
  /// Held from reading configs to changing them, also of topics, so that of two requests at a time
  /// neither is lost. Other protocols only set values and don't take it: beside them an append to a
  /// list starts from the list that was read.
  [[nodiscard]] Mutex& altering() { return altering_; }

 private:
  [[nodiscard]] storage::ConfigMap topic_defaults() const;

  storage::Store& store_;
  const storage::ConfigMap start_;
  Mutex altering_;
  mutable Mutex mutex_;
  storage::ConfigMap broker_ RUNNEL_GUARDED_BY(mutex_);
  storage::ConfigMap default_ RUNNEL_GUARDED_BY(mutex_);
};

/// Puts what `configs` (checked) say, and the defaults of the rest, into the options.
void apply_configs(const storage::ConfigMap& configs, KafkaOptions& to);
/// A number at the start: set, or the default. `name` is in the table and has a default.
[[nodiscard]] std::int64_t start_number(const storage::ConfigMap& configs, std::string_view name);

}  // namespace runnel::broker
