// The four codecs of record batches, each bounded in what it may decompress to.
#pragma once

#include <string>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

/// Compresses `bytes`. `level` 0 is the codec's default. snappy is written in xerial framing (what
/// Kafka's Java clients write), lz4 as a frame. Errors: kInternal if the library refuses.
[[nodiscard]] Result<Buffer> compress(Codec codec, Bytes bytes, int level = 0);

/// Decompresses; never allocates more than `max_bytes` plus a codec's own small state, whatever the
/// input announces. snappy: raw or xerial. Errors: kMalformed, kRecordTooLarge.
[[nodiscard]] Result<Buffer> decompress(Codec codec, Bytes bytes, std::size_t max_bytes);

}  // namespace runnel::protocol
