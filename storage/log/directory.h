// The data directory: who may use it and what it holds. docs/formats/data-directory.md.
#pragma once

#include <memory>
#include <string>

#include "protocol/base/error.h"
#include "protocol/base/uuid.h"
#include "storage/env/file_system.h"
#include "storage/env/random.h"

namespace runnel::storage {

/// Greatest format this version reads and the one it writes.
inline constexpr int kDataFormat = 1;

struct DirectoryPaths {
  explicit DirectoryPaths(const std::string& root)
      : lock(root + "/LOCK"),
        format(root + "/FORMAT"),
        anchor(root + "/anchor"),
        ballast(root + "/ballast"),
        segments(root + "/segments"),
        index(root + "/index"),
        snapshots(root + "/snapshots"),
        quarantine(root + "/quarantine") {}
  std::string lock;
  std::string format;
  std::string anchor;
  std::string ballast;
  std::string segments;
  std::string index;
  std::string snapshots;
  std::string quarantine;
};

/// What FORMAT says.
struct DirectoryFormat {
  Uuid id;                       ///< shown to clients
  std::uint64_t frame_seed = 0;  ///< of the checksums of frames; never leaves the directory
};

/// A directory that this process holds.
struct DataDirectory {
  std::unique_ptr<FileLock> lock;
  Uuid id;
  std::uint64_t frame_seed = 0;
};

/// Locks `root`, creating it if it is missing. Errors: kLocked, kFormatTooNew, kInvalidArgument for
/// a directory that holds something else, kIo.
[[nodiscard]] Result<DataDirectory> open_directory(FileSystem& fs, Random& random,
                                                   const std::string& root);
/// Reads FORMAT only. kNotFound if it is missing.
[[nodiscard]] Result<DirectoryFormat> read_format(FileSystem& fs, const std::string& root);

}  // namespace runnel::storage
