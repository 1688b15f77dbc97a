// Writing one record of a batch.
#pragma once

#include "protocol/base/bytes.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

/// Adds a record to the uncompressed records of a batch.
void write_record(ByteWriter& to, const NewRecord& record, std::int64_t timestamp_delta,
                  std::int32_t offset_delta);

}  // namespace runnel::protocol
