// What one backup consists of: a file of JSON lines in a repository's backups/. The page is
// docs/formats/backup.md, with an example that a test reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "storage/snapshot.h"

namespace runnel::tools {

/// A stretch of a file; one that another backup has as well lies in the repository once.
struct BackupPart {
  std::uint64_t bytes = 0;
  std::string xxh3;  ///< XXH3-64 of them, 16 hex digits
  friend bool operator==(const BackupPart&, const BackupPart&) = default;
};

struct BackupFile {
  std::string name;               ///< relative to the data directory
  std::uint64_t size = 0;         ///< in the data directory: zeros follow the parts
  std::int64_t modified = 0;      ///< of the file that was copied, nanoseconds since 1970
  std::vector<BackupPart> parts;  ///< from the file's beginning, without gaps
  [[nodiscard]] std::uint64_t bytes() const;
  friend bool operator==(const BackupFile&, const BackupFile&) = default;
};

struct Backup {
  std::string id;
  std::string store;                                   ///< the store's id
  std::int64_t taken = 0;                              ///< milliseconds since 1970, broker's clock
  std::uint64_t added = 0;                             ///< bytes that were copied for it
  std::vector<BackupFile> files;                       ///< FORMAT among them
  std::vector<storage::SnapshotPartition> partitions;  ///< of that moment
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] const BackupFile* file(std::string_view name) const;
  friend bool operator==(const Backup&, const Backup&) = default;
};

[[nodiscard]] std::string backup_text(const Backup& backup);
/// kMalformed: the line that is wrong; a byte that changed anywhere is noticed. kFormatTooNew.
[[nodiscard]] Result<Backup> parse_backup(std::string_view text);

}  // namespace runnel::tools
