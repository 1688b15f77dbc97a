// What a repair put aside. docs/formats/quarantine.md is the page.
//
// DIR/quarantine/NAME.txt, lines of text, each a word, a space and the rest:
//   runnel quarantine 1
//   file segments/0000000003.wal   or index
//   position 4096                  of the range in the file
//   length 812                     0: the whole file, which is missing or not what it should be
//   found 1763755200000            milliseconds since the epoch
//   reason the checksum of a record batch does not match
//   bytes NAME.bytes               a copy of the range, or none
//   lost orders 0 100 199          topic, partition, first and last offset; any number of lines
// NAME is the file's name without its directory, a dash and the position. Nothing in it is ever
// deleted by the store, and nothing but `runnel check` reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/env/file_system.h"
#include "storage/repair.h"

namespace runnel::storage {

/// All that is described in `directory`/quarantine, by name; nothing if there is none. Errors: kIo,
/// and kCorrupt for a description that can't be read.
[[nodiscard]] Result<std::vector<Quarantined>> read_quarantine(FileSystem& fs,
                                                               const std::string& directory);
/// Copies the range, and writes the description behind it, durably. What is there already stays;
/// `what` becomes the description of the same range if an interrupted repair has made it. Sets
/// `what.bytes`.
[[nodiscard]] Status put_into_quarantine(FileSystem& fs, const std::string& directory,
                                         Quarantined& what);
/// Moves all files of the index to `directory`/quarantine/index-<now>.
[[nodiscard]] Status quarantine_index(FileSystem& fs, const std::string& directory, Timestamp now,
                                      Quarantined& what);

[[nodiscard]] std::string encode(const Quarantined& what);
/// kCorrupt, saying which line.
[[nodiscard]] Result<Quarantined> decode_quarantined(std::string_view text);

}  // namespace runnel::storage
