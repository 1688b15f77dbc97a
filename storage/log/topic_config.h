// Topic configs: Kafka's names, checked when they are set, read as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::storage {

/// A topic's effective configs.
struct TopicConfig {
  std::int64_t retention_ms = 7LL * 24 * 3600 * 1000;     ///< -1: no limit
  std::int64_t retention_bytes = -1;                      ///< per partition; -1: no limit
  bool compact = false;                                   ///< keep the last record of each key
  std::int64_t delete_retention_ms = 24LL * 3600 * 1000;  ///< of deletion marks
  std::int64_t min_compaction_lag_ms = 0;
  std::int64_t max_compaction_lag_ms = std::numeric_limits<std::int64_t>::max();
  double min_dirty_ratio = 0.5;
  std::int32_t max_message_bytes = 1'048'588;  ///< of one batch, as it arrives and as it is stored
  RecordRules records;
  /// Batches with another codec are compressed anew; nullopt: kept as the producer made them.
  std::optional<protocol::Codec> codec;
};

/// Checks names and values. kInvalidConfig names the config, the value and what is allowed;
/// an unknown name names the nearest known one.
/// `defaults` hold where `configs` say nothing.
[[nodiscard]] Result<TopicConfig> read_topic_config(const ConfigMap& configs,
                                                    const ConfigMap& defaults = {});

/// The default of a config; empty for a name that is not known.
[[nodiscard]] std::string default_of(std::string_view name);

}  // namespace runnel::storage
