// The file system as storage sees it. Injected under the segments and under RocksDB, so that power
// cuts, full disks and failing devices are played in tests (sim_file_system.h).
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

namespace runnel::storage {

/// Disks with larger blocks than this are not written to directly, bytes.
inline constexpr std::size_t kMaxBlockBytes = 64u << 10;

/// How a file is opened.
struct OpenMode {
  bool write = false;
  bool create = false;     ///< make it if it is missing (needs `write`)
  bool exclusive = false;  ///< fail if it exists (needs `create`)
  bool truncate = false;   ///< (needs `write`)
  /// Write past the page cache where the file system can; see File::block_bytes() (needs `write`).
  bool direct = false;
};

/// Bytes [from, to) of a file.
struct FileRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

/// An open file. Reads and writes are positional and may run on several threads at once; closing
/// happens in the destructor, which never flushes. Errors: kIo, kLowSpace for ENOSPC and EDQUOT;
/// the message names the file and the cause.
class File {
 public:
  virtual ~File() = default;

  /// Reads up to `into.size()` bytes at `position`; fewer only at the end of the file.
  [[nodiscard]] virtual Result<std::size_t> read(std::uint64_t position,
                                                 MutableBytes into) const = 0;
  /// Writes all of `parts` one after the other at `position`; short writes are continued inside.
  /// `parts` may be changed by the call. After an error any part may have been written.
  [[nodiscard]] virtual Status write(std::uint64_t position, std::span<iovec> parts) = 0;
  /// What write() asks for: position, the length of each part and its place in memory are multiples
  /// of it. 1, which is no demand, unless opened with OpenMode::direct on a file system that can do
  /// it. A power of two, at most kMaxBlockBytes.
  [[nodiscard]] virtual std::size_t block_bytes() const noexcept { return 1; }
  /// Returns once everything written before is on stable storage (fdatasync).
  /// After an error the file's unsynced bytes must be considered lost: never call it again.
  [[nodiscard]] virtual Status sync() = 0;
  /// Makes the file `size` bytes long with its blocks reserved; new bytes read as zero.
  [[nodiscard]] virtual Status allocate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Status truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() const = 0;
  /// True if all of [position, position + length) can be read without waiting for a device.
  [[nodiscard]] virtual bool resident(std::uint64_t position, std::uint64_t length) const = 0;
  /// The ranges that may hold anything but zeros, in order; at most the whole file. What is read
  /// meanwhile may count as such, so ask before reading.
  [[nodiscard]] virtual Result<std::vector<FileRange>> data_ranges() const;
  /// Hints: will be read soon / will not be read again soon.
  virtual void will_need(std::uint64_t position, std::uint64_t length) const = 0;
  virtual void dont_need(std::uint64_t position, std::uint64_t length) const = 0;
  /// Hint, for a file opened for writing whose name was removed: once it is closed its space may
  /// come back over a second or so, so that syncs of other files do not wait for that.
  virtual void free_slowly() noexcept {}
  /// The descriptor for sendfile, or -1 where there is none (simulated files).
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;

  /// write() of one piece.
  [[nodiscard]] Status write(std::uint64_t position, Bytes bytes);
  /// read() that fails with kCorrupt if the file ends before `into` is full.
  [[nodiscard]] Status read_exactly(std::uint64_t position, MutableBytes into) const;
};

/// Bytes of a file to be sent without passing through user space.
struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t position = 0;
  std::uint64_t length = 0;
};

/// An exclusive lock on a file, held until destruction or the end of the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct SpaceInfo {
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;  ///< to this process
  bool read_only = false;             ///< mounted so that nobody writes to it this way
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

/// Thread safe. Paths are absolute or relative to the working directory; '/' separates.
/// Creating, renaming and removing names is durable only after sync_directory of the parent.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  [[nodiscard]] virtual Result<std::shared_ptr<File>> open(const std::string& path,
                                                           OpenMode mode) = 0;
  [[nodiscard]] virtual Status rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Status remove(const std::string& path) = 0;
  [[nodiscard]] virtual Status link(const std::string& from, const std::string& to) = 0;
  /// Creates one directory; success if it exists.
  [[nodiscard]] virtual Status create_directory(const std::string& path) = 0;
  [[nodiscard]] virtual Status remove_directory(const std::string& path) = 0;
  /// Entries without "." and "..", in no order. kNotFound if there is no such directory.
  [[nodiscard]] virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;
  [[nodiscard]] virtual bool is_directory(const std::string& path) = 0;
  /// Seconds since the epoch of the last modification.
  [[nodiscard]] virtual Result<std::int64_t> modified(const std::string& path) = 0;
  [[nodiscard]] virtual Status sync_directory(const std::string& path) = 0;
  /// kLocked, with the holder's pid in the message where it is known, if another process or
  /// FileSystem user holds it. The file is created if missing and holds the owner's pid.
  [[nodiscard]] virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  [[nodiscard]] virtual Result<SpaceInfo> space(const std::string& path) = 0;

  /// The machine's own file system. Never destroyed.
  [[nodiscard]] static FileSystem& posix();

  /// The whole of a small file. kNotFound if missing.
  [[nodiscard]] Result<std::string> read_file(const std::string& path);
  /// Writes `path`.tmp, syncs it, renames it over `path`, syncs the directory: old or new, never a
  /// mix.
  [[nodiscard]] Status replace_file(const std::string& path, Bytes contents);
};

/// "a/b" of "a/b/c"; "." if there is no slash.
[[nodiscard]] std::string parent_directory(const std::string& path);

}  // namespace runnel::storage
