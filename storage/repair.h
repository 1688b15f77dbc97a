// Repair of a damaged directory that no process has open: what is damaged is put aside and known to
// be lost, everything else is served.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/check.h"
#include "storage/env/clock.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

/// Records that are no more: offsets `first` to `last`.
struct LostRange {
  std::string topic;
  PartitionIndex partition;
  Offset first;
  Offset last;
  friend bool operator==(const LostRange&, const LostRange&) = default;
  /// "orders[0] offsets 100 to 199"
  [[nodiscard]] std::string to_string() const;
};

/// A range of a file that is not used any more.
struct Quarantined {
  std::string file;  ///< "segments/0000000003.wal", "index"; relative to the directory
  std::uint64_t position = 0;
  std::uint64_t length = 0;  ///< 0: the file is missing, or not what it should be
  std::string reason;
  Timestamp found;
  std::string bytes;  ///< name of the copy in DIR/quarantine; empty: there was nothing to copy
  std::vector<LostRange> lost = {};
};

struct RepairReport {
  CheckReport found;                     ///< before
  std::vector<Quarantined> quarantined;  ///< one a damage
  std::vector<LostRange> lost;           ///< all of it, by topic, partition and offset
  bool index_rebuilt = false;
  std::vector<std::string> notes;  ///< what else was lost, as far as that is known
};

struct RepairOptions {
  bool dry_run = false;  ///< changes nothing, and says what it would do
  Clock* clock = &Clock::system();
  /// Called with (bytes done, bytes in all) of the check that comes first.
  std::function<void(std::uint64_t, std::uint64_t)> progress = {};
};

/// Nothing is done where nothing is damaged. Damaged ranges are copied to DIR/quarantine and stay
/// where they are; the index then says which records are lost, and a fetch of one answers kCorrupt,
/// naming the range. May be interrupted at any time and begun again. Errors: kLocked, kIo,
/// kLowSpace, and kCorrupt where only a backup helps: FORMAT, or an index that can't be rebuilt
/// because the oldest segments are not there any more.
[[nodiscard]] Result<RepairReport> repair_directory(const std::string& directory, FileSystem& fs,
                                                    const RepairOptions& options = {});

}  // namespace runnel::storage
