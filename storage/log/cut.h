// Cutting the journal of a copied data directory off at a moment of the past.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/env/file_system.h"
#include "storage/segments/position.h"
#include "storage/snapshot.h"

namespace runnel::storage {

/// A partition is to end before an offset.
struct OffsetLimit {
  std::string topic;
  PartitionIndex partition;
  Offset offset;
  friend bool operator==(const OffsetLimit&, const OffsetLimit&) = default;
};

/// The first commit that passes any of these goes, and all that follow it.
struct CutOptions {
  std::string segments;          ///< the directory of the segments
  std::uint64_t frame_seed = 0;  ///< of the store
  Position from;  ///< a commit begins or the journal ends here; nothing before it is cut
  /// As of `from`: what the limits speak of.
  std::vector<SnapshotPartition> partitions;
  std::optional<Timestamp> time;  ///< commits made later go
  std::vector<OffsetLimit> limits;
};

struct CutReport {
  bool reached = false;                     ///< something was cut off
  std::uint64_t commits = 0;                ///< kept behind `from`
  Timestamp last = kNoTimestamp;            ///< of the last one of them
  Position end;                             ///< of the journal, if nothing was cut off
  std::vector<std::optional<Offset>> ends;  ///< of the partitions of the limits; nothing: unknown
  /// Commits that were cut off though they are dated before `time`: the clock was set back.
  std::uint64_t set_back = 0;
};

/// Segments behind the cut are deleted; all is durable when it returns. kIo, kMalformed for a
/// commit that can't be read although its checksum holds, kCorrupt where commits are missing before
/// the cut.
[[nodiscard]] Result<CutReport> cut_journal(FileSystem& fs, const CutOptions& options);

}  // namespace runnel::storage
