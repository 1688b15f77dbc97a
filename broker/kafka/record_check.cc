#include "broker/kafka/record_check.h"

#include <algorithm>
#include <limits>

namespace runnel::broker {
namespace {

using protocol::BatchView;
using protocol::Record;
using protocol::RecordReader;
using protocol::kafka::KafkaError;
using storage::RecordRules;

/// What Kafka takes for "no timestamp", which is in no one's way.
constexpr Timestamp kUnstamped{-1};

/// Wraps, as Kafka's does, for the strangest of timestamps.
std::int64_t difference(Timestamp a, Timestamp b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a.value()) -
                                   static_cast<std::uint64_t>(b.value()));
}

bool in_range(Timestamp time, const RecordRules& rules, Timestamp now) {
  return difference(now, time) <= rules.timestamp_before_max_ms &&
         difference(time, now) <= rules.timestamp_after_max_ms;
}

/// What is wrong with one record.
KafkaError error_of(const Record& record, const BatchView& batch, const RecordRules& rules,
                    Timestamp now) {
  if (rules.needs_keys && !record.key) return KafkaError::kInvalidRecord;
  if (!rules.log_append_time && record.timestamp != kUnstamped) {
    return in_range(record.timestamp, rules, now) ? KafkaError::kNone
                                                  : KafkaError::kInvalidTimestamp;
  }
  return batch.is_log_append_time() ? KafkaError::kInvalidTimestamp : KafkaError::kNone;
}

std::string message_of(KafkaError error, const Record& record, const BatchView& batch,
                       const RecordRules& rules, Timestamp now) {
  if (error == KafkaError::kInvalidRecord) {
    return "a record without a key can't be compacted; give it one, or take compact out of the "
           "topic's cleanup.policy";
  }
  if (batch.is_log_append_time()) return "only the broker stamps the time of the append";
  const bool early = difference(now, record.timestamp) > rules.timestamp_before_max_ms;
  return "timestamp " + std::to_string(record.timestamp.value()) +
         " is more than message.timestamp." +
         (early ? "before.max.ms=" + std::to_string(rules.timestamp_before_max_ms) + " before"
                : "after.max.ms=" + std::to_string(rules.timestamp_after_max_ms) + " after") +
         " the broker's clock, which is at " + std::to_string(now.value());
}

}  // namespace

bool needs_walk(const BatchView& batch, const RecordRules& rules, Timestamp now) {
  if (batch.codec() == protocol::Codec::kNone) return true;
  constexpr auto kAny = std::numeric_limits<std::int64_t>::max();
  // The header knows the greatest timestamp, and nothing about the least and about keys.
  if (rules.needs_keys || batch.is_log_append_time()) return true;
  if (rules.log_append_time) return false;
  return rules.timestamp_before_max_ms != kAny ||
         (batch.max_timestamp() != kUnstamped && !in_range(batch.max_timestamp(), rules, now));
}

Result<CheckedRecords> check_records(Bytes bytes, const RecordRules& rules, Timestamp now) {
  const BatchView batch(bytes);
  RUNNEL_TRY_ASSIGN(auto reader, RecordReader::open(bytes));
  CheckedRecords checked;
  Timestamp latest = kUnstamped;
  for (std::int32_t index = 0;; ++index) {
    RUNNEL_TRY_ASSIGN(const Record* record, reader.next_in_place());
    if (record == nullptr) break;
    latest = std::max(latest, record->timestamp);
    const KafkaError error = error_of(*record, batch, rules, now);
    if (error == KafkaError::kNone) continue;
    // A wrong time is what the whole batch is refused for, wherever it stands.
    if (checked.error != KafkaError::kInvalidTimestamp) checked.error = error;
    if (checked.records.size() == kMaxRecordErrors) continue;
    std::string message = message_of(error, *record, batch, rules, now);
    if (checked.message.empty()) {
      checked.message = "record " + std::to_string(index) + " of the batch: " + message;
    }
    checked.records.push_back({index, std::move(message)});
  }
  const bool false_header = batch.max_timestamp() != latest || batch.is_log_append_time();
  if (!rules.log_append_time && false_header) checked.max_timestamp = latest;
  return checked;
}

Result<CheckedRecords> check_schemas(schemas::RecordCheck check, Bytes batch) {
  std::size_t room = protocol::kMaxDecompressedBytes;
  RUNNEL_TRY_ASSIGN(auto refused, check.refused_in(batch, kMaxRecordErrors, room));
  CheckedRecords checked;
  if (refused.empty()) return checked;
  checked.error = KafkaError::kInvalidRecord;
  const auto& first = refused.front();
  checked.message = "record " + std::to_string(first.index) + " of the batch: " + first.why;
  for (auto& each : refused) checked.records.push_back({each.index, std::move(each.why)});
  return checked;
}

}  // namespace runnel::broker
