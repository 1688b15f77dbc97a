#include "storage/log/topic_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "protocol/base/assert.h"

namespace runnel::storage {
namespace {

constexpr std::int64_t kInt = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kLong = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::string_view kTopicNameStrategy =
    "io.confluent.kafka.serializers.subject.TopicNameStrategy";

// Configs that say "No effect here" are stored and shown, because tools and clients set them by
// habit and lose nothing by it. A value that promises what is not kept is refused.
constexpr std::array kTable = {
    TopicConfigRow{"cleanup.policy", "list", "delete",
                   "What happens to old records: delete removes them by time and size, compact "
                   "removes those whose key has a newer one. A record without a key is refused "
                   "where compact is set, if it comes by Kafka's protocol; one that is there "
                   "already stays. An empty value removes nothing.",
                   "log.cleanup.policy", 0, 0, "compact|delete"},
    TopicConfigRow{"compression.gzip.level", "int", "-1",
                   "No effect here: the codec's usual level is taken where batches are compressed "
                   "anew.",
                   "compression.gzip.level", -1, 9},
    TopicConfigRow{"compression.lz4.level", "int", "9",
                   "No effect here: the codec's usual level is taken where batches are compressed "
                   "anew.",
                   "compression.lz4.level", 1, 17},
    TopicConfigRow{"compression.type", "string", "producer",
                   "Codec of stored batches: producer keeps the producer's; uncompressed, gzip, "
                   "snappy, lz4 and zstd compress anew where it differs.",
                   "compression.type", 0, 0, "uncompressed|zstd|lz4|snappy|gzip|producer"},
    TopicConfigRow{"compression.zstd.level", "int", "3",
                   "No effect here: the codec's usual level is taken where batches are compressed "
                   "anew.",
                   "compression.zstd.level", -131072, 22},
    TopicConfigRow{"confluent.key.schema.validation", "boolean", "false",
                   "Whether a record is refused whose key does not name a schema of the subject "
                   "TOPIC-key by its id, or does not fit that JSON Schema. Records without a key "
                   "pass."},
    TopicConfigRow{"confluent.key.subject.name.strategy", "string", kTopicNameStrategy,
                   "Which subject a key's schema belongs to: only TOPIC-key is known.", "", 0, 0,
                   kTopicNameStrategy},
    TopicConfigRow{"confluent.value.schema.validation", "boolean", "false",
                   "Whether a record is refused whose value does not name a schema of the subject "
                   "TOPIC-value by its id, or does not fit that JSON Schema. Records without a "
                   "value, which delete a key, pass."},
    TopicConfigRow{"confluent.value.subject.name.strategy", "string", kTopicNameStrategy,
                   "Which subject a value's schema belongs to: only TOPIC-value is known.", "", 0,
                   0, kTopicNameStrategy},
    TopicConfigRow{"delete.retention.ms", "long", "86400000",
                   "Milliseconds that compaction keeps a record without a value, which deletes "
                   "its key, and a transaction's end, counted from when it first could go.",
                   "log.cleaner.delete.retention.ms", 0, kLong},
    TopicConfigRow{"file.delete.delay.ms", "long", "60000",
                   "No effect here: a segment's file goes when nothing in it is needed.",
                   "log.segment.delete.delay.ms", 0, kLong},
    TopicConfigRow{"flush.messages", "long", "9223372036854775807",
                   "No effect here: whatever is acknowledged with acks=all was synced before.",
                   "log.flush.interval.messages", 1, kLong},
    TopicConfigRow{"flush.ms", "long", "9223372036854775807",
                   "No effect here: whatever is acknowledged with acks=all was synced before.",
                   "log.flush.interval.ms", 0, kLong},
    TopicConfigRow{"follower.replication.throttled.replicas", "list", "",
                   "No effect here: there are no followers."},
    TopicConfigRow{"index.interval.bytes", "int", "4096",
                   "No effect here: the index is made another way.", "log.index.interval.bytes", 0,
                   kInt},
    TopicConfigRow{"leader.replication.throttled.replicas", "list", "",
                   "No effect here: there are no followers."},
    TopicConfigRow{"local.retention.bytes", "long", "-2",
                   "No effect here: all records are local, retention.bytes says how long.",
                   "log.local.retention.bytes", -2, kLong},
    TopicConfigRow{"local.retention.ms", "long", "-2",
                   "No effect here: all records are local, retention.ms says how long.",
                   "log.local.retention.ms", -2, kLong},
    TopicConfigRow{"max.compaction.lag.ms", "long", "9223372036854775807",
                   "Milliseconds after which a record is compacted at the latest, however little "
                   "there is to gain.",
                   "log.cleaner.max.compaction.lag.ms", 1, kLong},
    TopicConfigRow{"max.message.bytes", "int", "1048588",
                   "Largest record batch that is accepted, in bytes as it arrives and as it is "
                   "stored.",
                   "message.max.bytes", 0, kLargestMaxMessageBytes},
    TopicConfigRow{
        "message.timestamp.after.max.ms", "long", "3600000",
        "How many milliseconds after the broker's clock a record's timestamp may lie that "
        "comes by Kafka's protocol; others are refused. Not looked at with "
        "message.timestamp.type=LogAppendTime.",
        "log.message.timestamp.after.max.ms", 0, kLong},
    TopicConfigRow{
        "message.timestamp.before.max.ms", "long", "9223372036854775807",
        "How many milliseconds before the broker's clock a record's timestamp may lie that "
        "comes by Kafka's protocol; others are refused. Not looked at with "
        "message.timestamp.type=LogAppendTime.",
        "log.message.timestamp.before.max.ms", 0, kLong},
    TopicConfigRow{"message.timestamp.type", "string", "CreateTime",
                   "CreateTime keeps the producer's timestamps, LogAppendTime stamps the broker's.",
                   "log.message.timestamp.type", 0, 0, "CreateTime|LogAppendTime"},
    TopicConfigRow{"min.cleanable.dirty.ratio", "double", "0.5",
                   "How large a part of a partition's bytes must be new before it is compacted.",
                   "log.cleaner.min.cleanable.ratio", 0, 1},
    TopicConfigRow{"min.compaction.lag.ms", "long", "0",
                   "Milliseconds during which a record is not compacted.",
                   "log.cleaner.min.compaction.lag.ms", 0, kLong},
    TopicConfigRow{"min.insync.replicas", "int", "1", "There is one node: only 1 is accepted.",
                   "min.insync.replicas", 1, 1},
    TopicConfigRow{"preallocate", "boolean", "false",
                   "No effect here: segments are always allocated ahead.", "log.preallocate"},
    TopicConfigRow{"remote.log.copy.disable", "boolean", "false",
                   "No effect here: there is no remote storage."},
    TopicConfigRow{"remote.log.delete.on.disable", "boolean", "false",
                   "No effect here: there is no remote storage."},
    TopicConfigRow{"remote.storage.enable", "boolean", "false",
                   "No effect here: there is no remote storage, and only false is accepted.", "", 0,
                   0, "false"},
    TopicConfigRow{
        "retention.bytes", "long", "-1",
        "Bytes of record batches a partition keeps; older ones are removed. -1: no limit.",
        "log.retention.bytes", -1, kLong},
    TopicConfigRow{"retention.ms", "long", "604800000",
                   "Milliseconds a record is kept after its timestamp. -1: no limit.",
                   "log.retention.ms", -1, kLong},
    TopicConfigRow{"segment.bytes", "int", "1073741824",
                   "No effect here: segments are shared by all topics, `--segment-bytes` is their "
                   "size.",
                   "log.segment.bytes", kMiB, kInt},
    TopicConfigRow{"segment.index.bytes", "int", "10485760",
                   "No effect here: the index is made another way.", "log.index.size.max.bytes", 4,
                   kInt},
    TopicConfigRow{"segment.jitter.ms", "long", "0",
                   "No effect here: segments are shared by all topics and not cut by time.",
                   "log.roll.jitter.ms", 0, kLong},
    TopicConfigRow{"segment.ms", "long", "604800000",
                   "No effect here: retention is exact to the batch, whenever a segment ends.",
                   "log.roll.ms", 1, kLong},
    TopicConfigRow{"unclean.leader.election.enable", "boolean", "false",
                   "No effect here: one node leads everything.", "unclean.leader.election.enable"},
};

constexpr std::size_t kMaxListBytes = 32u << 10;
constexpr std::size_t kShownBytes = 100;  ///< of a value in a message

tl::unexpected<Error> bad(std::string_view name, std::string_view value, std::string_view allowed) {
  value = value.substr(0, kShownBytes);
  return fail(ErrorCode::kInvalidConfig, std::string(name) + "=" + std::string(value) +
                                             " is not allowed: " + std::string(allowed));
}

std::optional<std::int64_t> parse_number(std::string_view value) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return n;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::string in_words(std::string_view choices) {
  std::string out;
  const auto all = split(choices, '|');
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) out += i + 1 == all.size() ? " or " : ", ";
    out += all[i];
  }
  return out;
}

bool is_choice(std::string_view choices, std::string_view value) {
  const auto all = split(choices, '|');
  return std::find(all.begin(), all.end(), value) != all.end();
}

Status check_list(const TopicConfigRow& row, std::string_view value) {
  if (value.size() > kMaxListBytes) {
    return bad(row.name, value, "at most " + std::to_string(kMaxListBytes) + " bytes");
  }
  if (row.choices.empty() || value.empty()) return {};
  auto items = split(value, ',');
  for (const std::string_view item : items) {
    if (!is_choice(row.choices, item)) {
      return bad(row.name, value, in_words(row.choices) + ", or several, separated by commas");
    }
  }
  std::sort(items.begin(), items.end());
  if (std::adjacent_find(items.begin(), items.end()) == items.end()) return {};
  return bad(row.name, value, "each once");
}

Status check_value(const TopicConfigRow& row, std::string_view value) {
  if (row.type == "int" || row.type == "long") {
    const auto n = parse_number(value);
    if (n && *n >= row.min && *n <= row.max) return {};
    if (row.min == row.max) return bad(row.name, value, "only " + std::to_string(row.min));
    return bad(row.name, value,
               "a whole number from " + std::to_string(row.min) + " to " + std::to_string(row.max));
  }
  if (row.type == "double") {
    double n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    const bool fine = error == std::errc() && end == value.data() + value.size() &&
                      n >= static_cast<double>(row.min) && n <= static_cast<double>(row.max);
    return fine ? Status() : bad(row.name, value, "a number from 0 to 1");
  }
  if (row.type == "list") return check_list(row, value);
  const std::string_view choices =
      row.type == "boolean" && row.choices.empty() ? "true|false" : row.choices;
  return is_choice(choices, value) ? Status() : bad(row.name, value, in_words(choices));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

tl::unexpected<Error> unknown(std::string_view name) {
  name = name.substr(0, kMaxNameBytes);
  const auto* nearest = std::min_element(
      kTable.begin(), kTable.end(), [&](const TopicConfigRow& a, const TopicConfigRow& b) {
        return edit_distance(name, a.name) < edit_distance(name, b.name);
      });
  return fail(ErrorCode::kInvalidConfig, "unknown topic config '" + std::string(name) +
                                             "'; the nearest known one is '" +
                                             std::string(nearest->name) + "'");
}

/// Values were checked.
void take(std::string_view name, std::string_view value, TopicConfig& to, bool& removes) {
  if (name == "retention.ms") {
    to.retention_ms = *parse_number(value);
  } else if (name == "retention.bytes") {
    to.retention_bytes = *parse_number(value);
  } else if (name == "max.message.bytes") {
    to.max_message_bytes = static_cast<std::int32_t>(*parse_number(value));
  } else if (name == "cleanup.policy") {
    removes = value.find("delete") != std::string_view::npos;
    to.compact = to.records.needs_keys = value.find("compact") != std::string_view::npos;
  } else if (name == "delete.retention.ms") {
    to.delete_retention_ms = *parse_number(value);
  } else if (name == "min.compaction.lag.ms") {
    to.min_compaction_lag_ms = *parse_number(value);
  } else if (name == "max.compaction.lag.ms") {
    to.max_compaction_lag_ms = *parse_number(value);
  } else if (name == "min.cleanable.dirty.ratio") {
    std::from_chars(value.data(), value.data() + value.size(), to.min_dirty_ratio);
  } else if (name == "confluent.key.schema.validation") {
    to.records.key_schemas = value == "true";
  } else if (name == "confluent.value.schema.validation") {
    to.records.value_schemas = value == "true";
  } else if (name == "message.timestamp.type") {
    to.records.log_append_time = value == "LogAppendTime";
  } else if (name == "message.timestamp.before.max.ms") {
    to.records.timestamp_before_max_ms = *parse_number(value);
  } else if (name == "message.timestamp.after.max.ms") {
    to.records.timestamp_after_max_ms = *parse_number(value);
  } else if (name == "compression.type") {
    to.codec.reset();
    if (value == "producer") return;
    const auto codec = protocol::codec_named(value == "uncompressed" ? "none" : value);
    RUNNEL_ASSERT(codec.has_value());
    to.codec = *codec;
  }
}

}  // namespace

std::span<const TopicConfigRow> topic_config_table() {
  return kTable;
}

bool has_effect(const TopicConfigRow& row) {
  return !row.text.starts_with("No effect here");
}

const TopicConfigRow* find_topic_config(std::string_view name) {
  const auto* const row = std::find_if(kTable.begin(), kTable.end(),
                                       [&](const TopicConfigRow& r) { return r.name == name; });
  return row == kTable.end() ? nullptr : row;
}

Status validate_topic_configs(const ConfigMap& configs) {
  for (const auto& [name, value] : configs) {
    const TopicConfigRow* row = find_topic_config(name);
    if (row == nullptr) return unknown(name);
    RUNNEL_TRY(check_value(*row, value));
  }
  return {};
}

Result<TopicConfig> read_topic_config(const ConfigMap& configs, const ConfigMap& defaults) {
  RUNNEL_TRY(validate_topic_configs(defaults));
  RUNNEL_TRY(validate_topic_configs(configs));
  TopicConfig config;
  bool removes = true;
  for (const auto& [name, value] : defaults) take(name, value, config, removes);
  for (const auto& [name, value] : configs) take(name, value, config, removes);
  if (!removes) config.retention_ms = config.retention_bytes = -1;
  return config;
}

std::string default_of(std::string_view name) {
  const TopicConfigRow* row = find_topic_config(name);
  return row == nullptr ? std::string() : std::string(row->default_value);
}

Status validate_topic_name(std::string_view name) {
  const auto bad_name = [&](const std::string& why) {
    return fail(ErrorCode::kInvalidTopicName,
                "'" + std::string(name.substr(0, 300)) + "' can't be a topic's name: " + why);
  };
  if (name.empty()) return bad_name("it is empty");
  if (name == "." || name == "..") return bad_name("'.' and '..' are reserved");
  if (name.size() > kMaxTopicNameBytes) {
    return bad_name("it is longer than " + std::to_string(kMaxTopicNameBytes) + " bytes");
  }
  for (const char c : name) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
    if (!ok) return bad_name("only letters, digits, '.', '_' and '-' are allowed");
  }
  return {};
}

}  // namespace runnel::storage
