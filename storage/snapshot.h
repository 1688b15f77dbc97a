// Snapshots: a store's files, held in place while it goes on, for whoever copies them.
//
// DIR/snapshots/NAME/ holds links to the files of one moment, in the places that they have in the
// data directory, under a name that is never used again, and
//   LOCK      held (flock) by whoever reads them
//   SNAPSHOT  lines of text:
//               runnel snapshot
//               taken MILLISECONDS                   since 1970, by the store's clock
//               file BYTES SIZE NAME                 "segments/0000000001.wal"
//               partition ID INDEX START END TOPIC
//               end
// Of each file the first BYTES count; made SIZE long with zeros, all of them are a data directory
// of that moment. docs/formats/data-directory.md has an example.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

struct SnapshotFile {
  std::string name;         ///< relative to the data directory
  std::uint64_t bytes = 0;  ///< of that moment; what the file may hold behind them does not count
  std::uint64_t size = 0;   ///< that it has in a data directory, at least `bytes`
  friend bool operator==(const SnapshotFile&, const SnapshotFile&) = default;
};

struct SnapshotPartition {
  PartitionId id;
  PartitionIndex index;
  Offset start;
  Offset end;  ///< after its last record
  std::string topic;
  friend bool operator==(const SnapshotPartition&, const SnapshotPartition&) = default;
};

struct Snapshot {
  std::string directory;  ///< where the files are held
  Timestamp taken;
  std::vector<SnapshotFile> files;
  std::vector<SnapshotPartition> partitions;
};

[[nodiscard]] std::string snapshot_text(const Snapshot& snapshot);
/// Without `directory`. kMalformed names the line.
[[nodiscard]] Result<Snapshot> parse_snapshot(std::string_view text);
/// What DIRECTORY/SNAPSHOT says. kNotFound, kMalformed, kIo.
[[nodiscard]] Result<Snapshot> read_snapshot(FileSystem& fs, const std::string& directory);

}  // namespace runnel::storage
