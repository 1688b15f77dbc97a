// The four codecs of record batches, each bounded in what it may decompress to.
#pragma once

#include <string>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

/// Compresses `bytes`. `level` 0 is the codec's default. snappy is written in xerial framing (what
/// Kafka's Java clients write), lz4 as a frame; snappy has no levels, lz4 and zstd bring a
/// level into their range. Errors: kInvalidArgument (a gzip level not 0 to 9), kRecordTooLarge
/// (over 1 GiB), kInternal (the library refuses).
[[nodiscard]] Result<Buffer> compress(Codec codec, Bytes bytes, int level = 0);

/// Decompresses into at most `max_bytes`, whatever the input announces. gzip may have several
/// members, lz4 and zstd several frames; snappy is raw or xerial. While the output grows the old
/// and the new buffer are both held: less than 2 * `max_bytes` at the peak. The codec's own state
/// comes on top: gzip and snappy under 1 MiB, lz4 under 9 MiB, zstd its window of at most 8 MiB or
/// `max_bytes` rounded up to a power of two, whichever is more, and never more than 128 MiB.
/// Errors: kMalformed, kRecordTooLarge (also for a larger zstd window).
[[nodiscard]] Result<Buffer> decompress(Codec codec, Bytes bytes, std::size_t max_bytes);

/// Whether `bytes` begin as every Kafka client can read: gzip's and zstd's magic, a block's or
/// xerial's head of snappy, and of lz4 a frame of independent blocks without a dictionary, the only
/// ones Java reads. Well under a microsecond; says nothing about what follows. Errors: kMalformed.
[[nodiscard]] Status check_compressed_head(Codec codec, Bytes bytes);

}  // namespace runnel::protocol
