// The one record of a control batch that ends a transaction in a partition.
//
//   key    offset 0, 2 bytes  version, 0
//          offset 2, 2 bytes  type
//   value  offset 0, 2 bytes  version, 0
//          offset 2, 4 bytes  coordinator epoch
// Integers are big-endian. Later versions may only add bytes behind.
//
// docs/formats/record-batch.md has a worked example.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"

namespace runnel::protocol {

/// Persisted; the numbers are Kafka's. Others exist; they end no transaction.
enum class ControlType : std::int16_t { kAbort = 0, kCommit = 1 };

struct EndTxnMarker {
  ControlType type = ControlType::kAbort;
  std::int32_t coordinator_epoch = 0;
  friend bool operator==(const EndTxnMarker&, const EndTxnMarker&) = default;
};

[[nodiscard]] std::string encode_control_key(ControlType type);
[[nodiscard]] std::string encode_control_value(std::int32_t coordinator_epoch);
/// Errors: kMalformed; kUnsupported for a control record of another type.
[[nodiscard]] Result<EndTxnMarker> decode_end_txn_marker(std::string_view key,
                                                         std::string_view value);

/// Bytes of every batch that end_txn_batch() makes are at most so many.
inline constexpr std::size_t kMaxEndTxnBatchBytes = 96;
/// The control batch with that marker; its base offset is 0.
[[nodiscard]] Buffer end_txn_batch(const EndTxnMarker& marker, ProducerId producer,
                                   ProducerEpoch epoch, Timestamp time);
/// The marker in a control batch whose structure is valid. Errors as decode_end_txn_marker().
[[nodiscard]] Result<EndTxnMarker> read_end_txn_batch(Bytes batch);

}  // namespace runnel::protocol
