#include "storage/log/topic_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace runnel::storage {
namespace {

constexpr std::array kTable = {
    TopicConfigRow{"cleanup.policy", "list", "delete",
                   "What happens to old records: delete removes them by time and size."},
    TopicConfigRow{"compression.type", "string", "producer",
                   "Codec of stored batches: producer keeps the producer's; uncompressed, gzip, "
                   "snappy, lz4 and zstd compress anew where it differs."},
    TopicConfigRow{
        "max.message.bytes", "int", "1048588",
        "Largest record batch that is accepted, in bytes as it arrives and as it is stored."},
    TopicConfigRow{
        "message.timestamp.type", "string", "CreateTime",
        "CreateTime keeps the producer's timestamps, LogAppendTime stamps the broker's."},
    TopicConfigRow{"min.insync.replicas", "int", "1", "There is one node: only 1 is accepted."},
    TopicConfigRow{
        "retention.bytes", "long", "-1",
        "Bytes of record batches a partition keeps; older ones are removed. -1: no limit."},
    TopicConfigRow{"retention.ms", "long", "604800000",
                   "Milliseconds a record is kept after its timestamp. -1: no limit."},
};

tl::unexpected<Error> bad(std::string_view name, std::string_view value, std::string_view allowed) {
  return fail(ErrorCode::kInvalidConfig, std::string(name) + "=" + std::string(value) +
                                             " is not allowed: " + std::string(allowed));
}

Result<std::int64_t> number(std::string_view name, std::string_view value, std::int64_t least,
                            std::int64_t most) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (error != std::errc() || end != value.data() + value.size() || n < least || n > most) {
    return bad(name, value,
               "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return n;
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
  const auto* nearest = std::min_element(
      kTable.begin(), kTable.end(), [&](const TopicConfigRow& a, const TopicConfigRow& b) {
        return edit_distance(name, a.name) < edit_distance(name, b.name);
      });
  return fail(ErrorCode::kInvalidConfig, "unknown topic config '" + std::string(name) +
                                             "'; the nearest known one is '" +
                                             std::string(nearest->name) + "'");
}

Status read_one(std::string_view name, std::string_view value, TopicConfig& to) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (name == "retention.ms") {
    RUNNEL_TRY_ASSIGN(to.retention_ms, number(name, value, -1, kMax));
  } else if (name == "retention.bytes") {
    RUNNEL_TRY_ASSIGN(to.retention_bytes, number(name, value, -1, kMax));
  } else if (name == "max.message.bytes") {
    RUNNEL_TRY_ASSIGN(const auto n, number(name, value, 0, kLargestMaxMessageBytes));
    to.max_message_bytes = static_cast<std::int32_t>(n);
  } else if (name == "min.insync.replicas") {
    RUNNEL_TRY(number(name, value, 1, 1));
  } else if (name == "cleanup.policy") {
    if (value != "delete") return bad(name, value, "only delete; compaction is not offered yet");
  } else if (name == "message.timestamp.type") {
    if (value != "CreateTime" && value != "LogAppendTime") {
      return bad(name, value, "CreateTime or LogAppendTime");
    }
    to.log_append_time = value == "LogAppendTime";
  } else if (name == "compression.type") {
    if (value == "producer") return {};
    auto codec = protocol::codec_named(value == "uncompressed" ? "none" : value);
    if (!codec || value == "none") {
      return bad(name, value, "producer, uncompressed, gzip, snappy, lz4 or zstd");
    }
    to.codec = *codec;
  } else {
    return unknown(name);
  }
  return {};
}

}  // namespace

std::span<const TopicConfigRow> topic_config_table() {
  return kTable;
}

Result<TopicConfig> read_topic_config(const ConfigMap& configs) {
  TopicConfig config;
  for (const auto& [name, value] : configs) RUNNEL_TRY(read_one(name, value, config));
  return config;
}

std::string default_of(std::string_view name) {
  for (const TopicConfigRow& row : kTable) {
    if (row.name == name) return std::string(row.default_value);
  }
  return {};
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
