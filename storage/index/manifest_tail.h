// RocksDB's MANIFEST after a power cut. RocksDB refuses to open when the last record of its
// MANIFEST was half written, although such a record was never acknowledged to anybody. The journal
// holds everything the index holds, so that record is cut off before RocksDB sees it.
//
// The file is a sequence of 32 KiB blocks of records:
//   0  4  masked CRC-32C of type and payload
//   4  2  payload length        little-endian
//   6  1  type                  1 whole, 2 first, 3 middle, 4 last
//   7     payload               never across a block; fewer than 7 bytes at a block's end are zero
#pragma once

#include <string>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

/// Whether cut_torn_manifest_tail() would cut something off. Changes nothing. Errors: kIo.
[[nodiscard]] Result<bool> has_torn_manifest_tail(FileSystem& fs, const std::string& directory);

/// Cuts an unfinished last record off the current MANIFEST in `directory`; true if it did. A bad
/// record with a good one behind it is damage, not a torn tail: it is left for RocksDB to report.
/// Nothing there: false. Errors: kIo.
[[nodiscard]] Result<bool> cut_torn_manifest_tail(FileSystem& fs, const std::string& directory);

}  // namespace runnel::storage
