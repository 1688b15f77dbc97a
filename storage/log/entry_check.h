// Whether the batches of an index entry are what was written there.
#pragma once

#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "storage/env/file_system.h"
#include "storage/log/records.h"

namespace runnel::storage {

/// Checks all of an entry's bytes: lengths, checksums and offsets of its batches, and in a data
/// segment, where batches may have gaps between them, their heads. kCorrupt, kMalformed.
[[nodiscard]] Status check_entry(const IndexEntry& entry, Bytes bytes);

/// Reads an entry's batches and checks them. The entry has bytes; `file` is its segment.
[[nodiscard]] Result<Buffer> read_entry(const IndexEntry& entry, const File& file);

/// What can still be read of an entry: entries that follow each other from its first offset to its
/// last, each sound or lost. `bytes` is what the file has of it, perhaps less than it should.
[[nodiscard]] std::vector<IndexEntry> salvage_entry(const IndexEntry& entry, Bytes bytes);

/// The entry that stands for records that are lost.
[[nodiscard]] IndexEntry lost_entry(Offset first, Offset last, std::uint64_t bytes_before);

}  // namespace runnel::storage
