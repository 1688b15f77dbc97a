// Making a batch anew with some of its records, as compaction does.
#pragma once

#include <functional>
#include <optional>

#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

/// Called for each record in order; false leaves it out.
using KeepRecord = std::function<bool(const Record&)>;

/// What became of a batch.
struct FilteredBatch {
  enum class Outcome {
    kUnchanged,  ///< `bytes` is empty; the old ones hold
    kChanged,
    kEmpty,  ///< no record is left
  };
  Outcome outcome = Outcome::kUnchanged;
  Buffer bytes;
};

/// Leaves out records of a whole, valid batch. What stays keeps its offset and time, the batch its
/// base offset, last offset, producer, codec and attributes; its greatest timestamp is that of the
/// records that stayed, unless it is their append time. With `horizon` that becomes its delete
/// horizon, if it has none yet. Needs about three times the bytes that come out of the codec, of
/// which `max_bytes` are allowed. Errors: those of RecordReader, before the first record is looked
/// at, and compress().
[[nodiscard]] Result<FilteredBatch> filter_batch(Bytes batch, const KeepRecord& keep,
                                                 std::optional<Timestamp> horizon = std::nullopt,
                                                 std::size_t max_bytes = kMaxDecompressedBytes);

}  // namespace runnel::protocol
