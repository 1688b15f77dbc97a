// Names of segment files, and the making and removing of them.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"
#include "storage/segments/frame.h"

namespace runnel::storage {

/// "0000000012.wal"
[[nodiscard]] std::string segment_file_name(std::uint32_t number);
/// The number in such a name; nothing for any other name.
[[nodiscard]] std::optional<std::uint32_t> parse_segment_file_name(std::string_view name);

/// The size of a new segment's file is a multiple of this: disks are written to in whole blocks.
inline constexpr std::uint64_t kSegmentGranule = 4096;
static_assert(kMinSegmentBytes % kSegmentGranule == 0 && kMaxSegmentBytes % kSegmentGranule == 0);
[[nodiscard]] constexpr std::uint64_t whole_blocks(std::uint64_t bytes) noexcept {
  return (bytes + kSegmentGranule - 1) / kSegmentGranule * kSegmentGranule;
}

/// A file serves one segment and is never written over: a socket may still hold its pages long
/// after they were handed to it. Thread safe.
class SegmentFiles {
 public:
  SegmentFiles(FileSystem& fs, std::string directory, std::uint64_t standard_bytes);

  /// A file of at least `least` bytes under the name of `number`, all zeros, synced together with
  /// its name. Of the standard size if `most` allows it and the disk has room, else a smaller one.
  [[nodiscard]] Result<std::shared_ptr<File>> make(
      std::uint32_t number, std::uint64_t least,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const;
  /// Deletes the file of a dead segment; whoever still reads it goes on. Durable with the next
  /// make() or sync_directory.
  [[nodiscard]] Status remove(std::uint32_t number) const { return fs_.remove(path(number)); }
  [[nodiscard]] Status sync_directory() const { return fs_.sync_directory(directory_); }
  [[nodiscard]] std::string path(std::uint32_t number) const {
    return directory_ + "/" + segment_file_name(number);
  }

 private:
  [[nodiscard]] Result<std::shared_ptr<File>> create(std::uint32_t number,
                                                     std::uint64_t bytes) const;

  FileSystem& fs_;
  const std::string directory_;
  const std::uint64_t standard_bytes_;
};

}  // namespace runnel::storage
