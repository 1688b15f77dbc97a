// Names of segment files, and the making, keeping aside and reusing of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/thread_annotations.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

/// Dead segments kept for reuse: overwriting allocated blocks spares the file system's journal.
inline constexpr std::size_t kMaxSpareSegments = 2;

/// "0000000012.wal"
[[nodiscard]] std::string segment_file_name(std::uint32_t number);
/// The number in such a name; nothing for any other name.
[[nodiscard]] std::optional<std::uint32_t> parse_segment_file_name(std::string_view name);
/// "spare-0" and so on.
[[nodiscard]] bool is_spare_name(std::string_view name);

/// Thread safe.
class SegmentFiles {
 public:
  SegmentFiles(FileSystem& fs, std::string directory, std::uint64_t standard_bytes);

  /// Takes note of the spares found in the directory; those of another size are deleted.
  [[nodiscard]] Status adopt_spares();
  /// A file of at least `bytes` under the name of `number`, synced together with its name. Made
  /// from a spare if there is one; its old contents are still in it then. Where the disk has no
  /// room for the standard size, a file of `least` bytes will do.
  [[nodiscard]] Result<std::shared_ptr<File>> make(std::uint32_t number, std::uint64_t least);
  /// Keeps the file of a dead segment as a spare, or deletes it if there are enough, it is of
  /// another size or somebody still reads it. Durable with the next make() or sync_directory.
  [[nodiscard]] Status retire(std::uint32_t number, std::shared_ptr<File> file);
  [[nodiscard]] Status sync_directory() { return fs_.sync_directory(directory_); }
  [[nodiscard]] std::uint64_t spare_bytes() const;
  [[nodiscard]] std::string path(std::uint32_t number) const {
    return directory_ + "/" + segment_file_name(number);
  }

 private:
  [[nodiscard]] Result<std::shared_ptr<File>> reuse_spare(std::uint32_t number)
      RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Result<std::shared_ptr<File>> create(std::uint32_t number, std::uint64_t bytes);

  FileSystem& fs_;
  const std::string directory_;
  const std::uint64_t standard_bytes_;
  mutable Mutex mutex_;
  std::vector<std::string> spares_ RUNNEL_GUARDED_BY(mutex_);  // paths
};

}  // namespace runnel::storage
