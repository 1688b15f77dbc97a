#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string_view>

#include "storage/env/file_system.h"
#include "storage/env/posix_error.h"
#include "storage/env/posix_file.h"

namespace runnel::storage {
namespace {

// Records are their owner's business: nothing for others.
constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;

/// open(2), repeated when a signal interrupts it. -1 with errno on failure.
int open_descriptor(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/// The least that direct writes are aligned to, bytes: a page, so that none is written in parts.
constexpr std::size_t kLeastBlockBytes = 4096;

/// What a direct write to `fd` has to be aligned to, or nothing if the file takes none.
std::optional<std::size_t> direct_block_bytes(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0 ||
      (info.stx_mask & STATX_DIOALIGN) == 0) {
    return kLeastBlockBytes;  // a kernel before 6.1, or a file system that does not say
  }
  const std::size_t asked = std::max(info.stx_dio_offset_align, info.stx_dio_mem_align);
  if (asked == 0 || asked > kMaxBlockBytes || !std::has_single_bit(asked)) return std::nullopt;
  return std::max(asked, kLeastBlockBytes);
}

/// flock(2): bound to the open file, so a second user in this process is refused as well, and the
/// kernel releases it however the process ends.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int descriptor) : fd_(descriptor) {}
  ~PosixLock() override {
    // An empty lock file names nobody. Should this fail, the next owner overwrites the old pid.
    static_cast<void>(!::ftruncate(fd_, 0));
    ::close(fd_);
  }
  PosixLock(const PosixLock&) = delete;
  PosixLock& operator=(const PosixLock&) = delete;

 private:
  const int fd_;
};

/// The pid a lock file holds, or "" if it cannot be told.
std::string holder_of(int fd) {
  std::array<char, 24> text{};
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  std::string pid;
  for (ssize_t i = 0; i < got; ++i) {
    const char digit = text[static_cast<std::size_t>(i)];
    if (digit < '0' || digit > '9') break;
    pid += digit;
  }
  return pid;
}

Error locked_error(const std::string& path, const std::string& pid) {
  std::string message = "cannot lock " + path + ": ";
  if (pid.empty()) {
    message += "another process holds it; stop that process (fuser " + path +
               " tells which) or use another directory";
  } else if (pid == std::to_string(::getpid())) {
    message += "this process has it open already; use the store or client that it has";
  } else {
    message += "process " + pid + " holds it; stop that process (kill " + pid +
               ") or use another directory";
  }
  return {ErrorCode::kLocked, std::move(message)};
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = mode.write ? O_RDWR : O_RDONLY;
    if (mode.create) flags |= O_CREAT;
    if (mode.exclusive) flags |= O_EXCL;
    if (mode.truncate) flags |= O_TRUNC;
    if (mode.direct) {
      const int direct = open_descriptor(path, flags | O_DIRECT);
      if (direct >= 0) {
        const auto block = direct_block_bytes(direct);
        if (block) return std::make_shared<PosixFile>(direct, path, *block);
        ::close(direct);
        flags &= ~O_EXCL;  // it is there now, and it is ours
      } else if (errno != EINVAL) {
        return fail(posix_error(errno, mode.exclusive ? "create" : "open", path));
      }
    }
    const int fd = open_descriptor(path, flags);
    if (fd < 0) return fail(posix_error(errno, mode.exclusive ? "create" : "open", path));
    return std::make_shared<PosixFile>(fd, path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return fail(posix_error(errno, "rename " + from + " to", to));
    }
    return {};
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return fail(posix_error(errno, "remove", path));
    return {};
  }

  Status link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) {
      return fail(posix_error(errno, "link " + from + " to", to));
    }
    return {};
  }

  Status create_directory(const std::string& path) override {
    if (::mkdir(path.c_str(), kDirectoryMode) == 0) return {};
    const int error = errno;
    if (error == EEXIST && is_directory(path)) return {};
    return fail(posix_error(error, "create directory", path));
  }

  Status remove_directory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return fail(posix_error(errno, "remove directory", path));
    return {};
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;

  bool exists(const std::string& path) override {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0;
  }

  bool is_directory(const std::string& path) override {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }

  Result<std::int64_t> modified(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail(posix_error(errno, "stat", path));
    return static_cast<std::int64_t>(info.st_mtime);
  }

  Status sync_directory(const std::string& path) override {
    const int fd = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return fail(posix_error(errno, "open directory", path));
    const int error = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (error != 0) return fail(posix_error(error, "sync directory", path));
    return {};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

  Result<SpaceInfo> space(const std::string& path) override {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0) {
      return fail(posix_error(errno, "ask for the free space of", path));
    }
    return SpaceInfo{.total_bytes = info.f_blocks * info.f_frsize,
                     .available_bytes = info.f_bavail * info.f_frsize,
                     .read_only = (info.f_flag & ST_RDONLY) != 0};
  }
};

Result<std::vector<DirectoryEntry>> PosixFileSystem::list(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (!directory) return fail(posix_error(errno, "list", path));
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const bool directory_type = entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK
                                    ? is_directory(path + "/" + name)
                                    : entry->d_type == DT_DIR;
    entries.push_back({.name = std::move(name), .is_directory = directory_type});
  }
  // Nothing between the readdir that returned null and here touches errno.
  if (errno != 0) return fail(posix_error(errno, "list", path));
  return entries;
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path) {
  const int fd = open_descriptor(path, O_RDWR | O_CREAT);
  if (fd < 0) return fail(posix_error(errno, "open the lock file", path));
  int result = 0;
  do {
    result = ::flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    const int error = errno;
    const std::string pid = holder_of(fd);
    ::close(fd);
    if (error == EWOULDBLOCK) return fail(locked_error(path, pid));
    return fail(posix_error(error, "lock", path));
  }
  // The pid only serves the message to whoever is refused: a full disk that cannot take it must
  // still be opened, so that space can be freed.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) == 0) static_cast<void>(!::pwrite(fd, pid.data(), pid.size(), 0));
  return std::make_unique<PosixLock>(fd);
}

}  // namespace

FileSystem& FileSystem::posix() {
  static auto& file_system = *new PosixFileSystem;
  return file_system;
}

}  // namespace runnel::storage
