#include "broker/kafka/config_table.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "broker/groups/limits.h"

namespace runnel::broker {
namespace {

using protocol::kafka::ConfigType;

constexpr std::int64_t kIntMax = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMillisPerHour = 3'600'000;

std::vector<BrokerConfigRow> group_rows() {
  using enum ConfigType;
  using enum ConfigChange;
  return {
      {"group.consumer.heartbeat.interval.ms", kInt, "5000", 100, 15'000, kAtStart, "",
       "How often members whose partitions are assigned by the broker are told to report."},
      {"group.consumer.max.size", kInt, "1000", 1, static_cast<std::int64_t>(kMaxGroupMembers),
       kAtStart, "", "Members of a group whose partitions are assigned by the broker, at most."},
      {"group.consumer.session.timeout.ms", kInt, "45000", 1000, 30 * 60'000, kAtStart, "",
       "A member whose partitions are assigned by the broker and that reports nothing for this "
       "long is put out of its group."},
      {"group.initial.rebalance.delay.ms", kInt, "3000", 0, 5 * 60'000, kAtStart, "",
       "How long the first member of an empty group waits for others to join."},
      {"group.max.session.timeout.ms", kInt, "1800000", 1, 30 * 60'000, kAtStart, "",
       "The longest session timeout that a member may ask for."},
      {"group.max.size", kInt, "10000", 1, static_cast<std::int64_t>(kMaxClassicMembers), kAtStart,
       "", "Members of a group at most."},
      {"group.min.session.timeout.ms", kInt, "6000", 1, 30 * 60'000, kAtStart, "",
       "The shortest session timeout that a member may ask for."},
  };
}

/// Those that are neither about groups nor a topic config's default.
std::vector<BrokerConfigRow> own_rows() {
  using enum ConfigType;
  using enum ConfigChange;
  return {
      {"auto.create.topics.enable", kBoolean, "true", 0, 0, kAtStart, "",
       "Whether a topic that a producer or consumer asks for is created if it is not there."},
      {"broker.id", kInt, "1", 0, kIntMax, kAtStart, "", "The same as node.id."},
      {"connections.max.idle.ms", kLong, "600000", 1000, 30LL * 24 * kMillisPerHour, kAtStart, "",
       "A connection that sends nothing for this long is closed. The option idle-timeout by "
       "Kafka's name; this one wins."},
      {"default.replication.factor", kInt, "1", 1, 1, kAtStart, "",
       "Copies of a new topic's partitions. There is one node: only 1 is accepted."},
      {"delete.topic.enable", kBoolean, "true", 0, 0, kAtStart, "",
       "Whether Kafka's clients may delete topics."},
      {"log.dirs", kList, std::nullopt, 0, 0, kNever, "",
       "The directory that holds everything the broker stores. Set with the option data."},
      {"log.retention.check.interval.ms", kLong, "300000", 1, kIntMax, kAtStart, "",
       "How often retention.ms is looked at: a record that is older when it is written can be read "
       "until then. retention.bytes holds at once, and so does retention.ms when space is short."},
      {"log.retention.hours", kInt, "168", -1, kIntMax, kAtStart, "",
       "Hours a record is kept after its timestamp, where neither log.retention.minutes nor "
       "log.retention.ms is set. -1: no limit."},
      {"log.retention.minutes", kInt, std::nullopt, -1, kIntMax, kAtStart, "",
       "Minutes a record is kept after its timestamp, where log.retention.ms is not set. -1: no "
       "limit."},
      {"max.request.partition.size.limit", kInt, "2000", 1, 100'000, kAtStart, "",
       "Partitions that one page of a listing of topics holds at most."},
      {"node.id", kInt, "1", 0, kIntMax, kAtStart, "",
       "The number under which clients know this broker."},
      {"num.partitions", kInt, "1", 1, storage::kMaxPartitionsPerTopic, kAtStart, "",
       "Partitions of a new topic whose creator leaves the number to the broker."},
      {"offset.metadata.max.bytes", kInt, "4096", 0,
       static_cast<std::int64_t>(storage::kMaxOffsetMetadataBytes), kAtStart, "",
       "Bytes of text that a consumer may store with an offset, at most."},
      {"offsets.retention.minutes", kInt, "10080", 1, kIntMax, kAtStart, "",
       "Minutes the offsets of a group are kept, counted from when the group became empty. The "
       "option offsets-retention by Kafka's name; this one wins."},
      {"producer.id.expiration.ms", kInt, "86400000", 1000, kIntMax, kAtStart, "",
       "How long the sequence of an idempotent producer is remembered after its last record. The "
       "option producer-expiry by Kafka's name; this one wins."},
      {"socket.request.max.bytes", kInt, "104857600", 1024, kIntMax, kAtStart, "",
       "Bytes of one request at most; never more than a quarter of the memory limit."},
      {"transaction.max.timeout.ms", kInt, "900000", 1, kIntMax, kAtStart, "",
       "The longest timeout that a transactional producer may ask for."},
      {"transactional.id.expiration.ms", kInt, "604800000", 1, kIntMax, kAtStart, "",
       "How long a transactional id is remembered after its last transaction."},
  };
}

/// Kafka has no value of its own for these: it falls back on another name or unit.
bool has_no_default(std::string_view broker_name) {
  return broker_name == "log.retention.ms" || broker_name == "log.roll.ms" ||
         broker_name == "log.roll.jitter.ms" || broker_name == "log.flush.interval.ms";
}

std::vector<BrokerConfigRow> all_rows() {
  std::vector<BrokerConfigRow> rows = own_rows();
  for (BrokerConfigRow& row : group_rows()) rows.push_back(std::move(row));
  for (const storage::TopicConfigRow& topic : storage::topic_config_table()) {
    if (topic.broker_name.empty()) continue;
    BrokerConfigRow row;
    row.name = topic.broker_name;
    row.type = config_type(topic.type);
    if (!has_no_default(topic.broker_name)) row.default_value = topic.default_value;
    row.min = topic.min;
    row.max = topic.max;
    row.change = ConfigChange::kAnyTime;
    row.topic_config = topic.name;
    row.text = "What topics have that do not set " + std::string(topic.name) + ". " +
               std::string(topic.text);
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(),
            [](const BrokerConfigRow& a, const BrokerConfigRow& b) { return a.name < b.name; });
  return rows;
}

constexpr std::size_t kShownBytes = 100;  ///< of a value in a message

tl::unexpected<Error> bad(std::string_view name, std::string_view value, std::string_view allowed) {
  value = value.substr(0, kShownBytes);
  return fail(ErrorCode::kInvalidConfig, std::string(name) + "=" + std::string(value) +
                                             " is not allowed: " + std::string(allowed));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

struct ForeignName {
  std::string_view name;
  std::string_view what;
};
constexpr std::string_view kNoCounterpart =
    "is a config of Kafka's that has no counterpart here; leave it out";
/// What stands in many a server.properties and is an option here, or nothing.
constexpr ForeignName kForeignNames[] = {
    {"listeners", "is the option --listen here"},
    {"advertised.listeners", "is the option --advertise here"},
    {"log.dir", "is the option --data here"},
    {"num.network.threads", "is the option --loops here"},
    {"num.io.threads", kNoCounterpart},
    {"num.recovery.threads.per.data.dir", kNoCounterpart},
    {"process.roles", kNoCounterpart},
    {"controller.quorum.voters", kNoCounterpart},
    {"controller.quorum.bootstrap.servers", kNoCounterpart},
    {"controller.listener.names", kNoCounterpart},
    {"zookeeper.connect", kNoCounterpart},
    {"inter.broker.listener.name", kNoCounterpart},
    {"listener.security.protocol.map", kNoCounterpart},
    {"security.inter.broker.protocol", kNoCounterpart},
    {"broker.rack", kNoCounterpart},
    {"socket.send.buffer.bytes", kNoCounterpart},
    {"socket.receive.buffer.bytes", kNoCounterpart},
    {"socket.request.max.bytes", kNoCounterpart},
    {"offsets.topic.replication.factor", kNoCounterpart},
    {"transaction.state.log.replication.factor", kNoCounterpart},
    {"transaction.state.log.min.isr", kNoCounterpart},
};

tl::unexpected<Error> unknown(std::string_view name) {
  name = name.substr(0, storage::kMaxNameBytes);
  for (const ForeignName& foreign : kForeignNames) {
    if (foreign.name != name) continue;
    return fail(ErrorCode::kInvalidConfig,
                "'" + std::string(name) + "' " + std::string(foreign.what));
  }
  std::string_view nearest;
  std::size_t least = name.size() / 3 + 1;  // what is farther away is no slip of the pen
  for (const BrokerConfigRow& row : broker_config_table()) {
    const std::size_t distance = edit_distance(name, row.name);
    if (distance > least) continue;
    least = distance;
    nearest = row.name;
  }
  std::string text = "unknown broker config '" + std::string(name) + "'";
  if (!nearest.empty()) text += "; the nearest known one is '" + std::string(nearest) + "'";
  return fail(ErrorCode::kInvalidConfig, text);
}

std::string_view type_name(ConfigType type) {
  switch (type) {
    case ConfigType::kBoolean:
      return "boolean";
    case ConfigType::kInt:
      return "int";
    case ConfigType::kLong:
      return "long";
    case ConfigType::kDouble:
      return "double";
    case ConfigType::kList:
      return "list";
    default:
      return "string";
  }
}

std::int64_t number_or(const storage::ConfigMap& configs, std::string_view name) {
  const auto found = configs.find(name);
  const std::string_view text = found != configs.end()
                                    ? std::string_view(found->second)
                                    : find_broker_config(name)->default_value.value_or("0");
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

}  // namespace

std::span<const BrokerConfigRow> broker_config_table() {
  static const std::vector<BrokerConfigRow> rows = all_rows();
  return rows;
}

const BrokerConfigRow* find_broker_config(std::string_view name) {
  const auto rows = broker_config_table();
  const auto found = std::lower_bound(
      rows.begin(), rows.end(), name,
      [](const BrokerConfigRow& row, std::string_view wanted) { return row.name < wanted; });
  return found != rows.end() && found->name == name ? &*found : nullptr;
}

ConfigType config_type(std::string_view name) {
  for (const ConfigType type : {ConfigType::kBoolean, ConfigType::kInt, ConfigType::kLong,
                                ConfigType::kDouble, ConfigType::kList}) {
    if (type_name(type) == name) return type;
  }
  return ConfigType::kString;
}

Status check_broker_config(std::string_view name, std::string_view value) {
  const BrokerConfigRow* row = find_broker_config(name);
  if (row == nullptr) return unknown(name);
  if (row->change == ConfigChange::kNever) return bad(name, value, row->text);
  if (!row->topic_config.empty()) {
    const Status valid =
        storage::validate_topic_configs({{std::string(row->topic_config), std::string(value)}});
    if (valid) return {};
    const std::string& why = valid.error().message();
    const std::size_t at = why.find("=");
    return fail(ErrorCode::kInvalidConfig, std::string(name) + why.substr(at));
  }
  if (row->type == ConfigType::kBoolean) {
    return value == "true" || value == "false" ? Status() : bad(name, value, "true or false");
  }
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (error == std::errc() && end == value.data() + value.size() && n >= row->min &&
      n <= row->max) {
    return {};
  }
  return bad(name, value,
             row->min == row->max ? "only " + std::to_string(row->min)
                                  : "a whole number from " + std::to_string(row->min) + " to " +
                                        std::to_string(row->max));
}

Status check_start_configs(const storage::ConfigMap& configs) {
  for (const auto& [name, value] : configs) RUNNEL_TRY(check_broker_config(name, value));
  const auto broker = configs.find("broker.id");
  const auto node = configs.find("node.id");
  if (broker != configs.end() && node != configs.end() && broker->second != node->second) {
    return fail(ErrorCode::kInvalidConfig, "broker.id=" + broker->second + " and node.id=" +
                                               node->second + " name one thing; give one of them");
  }
  if (number_or(configs, "group.min.session.timeout.ms") >
      number_or(configs, "group.max.session.timeout.ms")) {
    return fail(ErrorCode::kInvalidConfig,
                "group.min.session.timeout.ms is greater than group.max.session.timeout.ms");
  }
  if (number_or(configs, "group.consumer.heartbeat.interval.ms") >=
      number_or(configs, "group.consumer.session.timeout.ms")) {
    return fail(ErrorCode::kInvalidConfig,
                "group.consumer.heartbeat.interval.ms must be less than "
                "group.consumer.session.timeout.ms");
  }
  return {};
}

std::string broker_config_page() {
  std::string out =
      "# Broker configs under Kafka's names\n\n"
      "Made by `runnel config reference --broker` from the program's table; do not edit.\n\n"
      "`runnel serve --set num.partitions=3` sets one (several: repeat it), so does a table "
      "`[kafka]` in the configuration file and "
      "`RUNNEL_SET=num.partitions=3,log.retention.hours=24` "
      "in the environment; for each config the command line wins over the environment, and that "
      "over the file. Those marked *at any time* are also changed by `kafka-configs --alter "
      "--entity-type brokers` (`--entity-name` this broker, or `--entity-default`): stored, in "
      "force at once, stronger than what was set at the start.\n\n"
      "| Config | Type | Default | Changed | Meaning |\n|---|---|---|---|---|\n";
  for (const BrokerConfigRow& row : broker_config_table()) {
    const std::string_view changed = row.change == ConfigChange::kAnyTime   ? "at any time"
                                     : row.change == ConfigChange::kAtStart ? "at the start"
                                                                            : "-";
    out += "| `" + std::string(row.name) + "` | " + std::string(type_name(row.type)) + " | " +
           std::string(row.default_value.value_or("none")) + " | " + std::string(changed) + " | " +
           row.text + " |\n";
  }
  return out;
}

}  // namespace runnel::broker
