// The one record of a control batch that ends a transaction in a partition.
//
//   key    offset 0, 2 bytes  version, 0
//          offset 2, 2 bytes  type
//   value  offset 0, 2 bytes  version, 0
//          offset 2, 4 bytes  coordinator epoch
// Integers are big-endian. Later versions may only add bytes behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::protocol::kafka {

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

}  // namespace runnel::protocol::kafka
