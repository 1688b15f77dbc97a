// What a topic's configs ask of each record that a producer brings, asked as Kafka does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/schemas/record_check.h"
#include "protocol/base/bytes.h"
#include "protocol/base/error.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/produce.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::broker {

/// Most records of a batch that are named with what is wrong with them. Kafka names all.
inline constexpr std::size_t kMaxRecordErrors = 100;

/// What was found in a batch that can be read.
struct CheckedRecords {
  protocol::kafka::KafkaError error = protocol::kafka::KafkaError::kNone;
  std::string message;
  std::vector<protocol::kafka::ProduceResponse::RecordError> records;
  /// What the header has to say where it says something else: the greatest timestamp.
  std::optional<Timestamp> max_timestamp;
};

/// False if the header of a compressed batch, believed, says that its records pass: who makes it
/// lie harms its own topic alone, and decompressing costs more than all the rest of a write.
[[nodiscard]] bool needs_walk(const protocol::BatchView& batch, const storage::RecordRules& rules,
                              Timestamp now);

/// Walks the records of one whole batch (validate_batch at kCrc passed), decompresses them if need
/// be. Errors, of a batch that can't be read: kMalformed, kRecordTooLarge.
[[nodiscard]] Result<CheckedRecords> check_records(Bytes batch, const storage::RecordRules& rules,
                                                   Timestamp now);

/// Whether the records of the batch have schemas of their topic. Blocks. Errors: kIo, kMalformed,
/// kRecordTooLarge.
[[nodiscard]] Result<CheckedRecords> check_schemas(schemas::RecordCheck check, Bytes batch);

}  // namespace runnel::broker
