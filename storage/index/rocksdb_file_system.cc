#include "storage/index/rocksdb_file_system.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <limits>

#include "storage/index/rocksdb_files.h"

namespace runnel::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

/// Longer lines of RocksDB's log are cut.
constexpr std::size_t kLongestLogLine = 1024;

/// RocksDB sleeps a whole second after each flush that failed, and closing waits for it. Runnel
/// stops at the first failure and gains nothing from waiting.
constexpr int kLongestSleepMicros = 20'000;

class ShortSleeps final : public rocksdb::SystemClockWrapper {
 public:
  using rocksdb::SystemClockWrapper::SystemClockWrapper;
  const char* Name() const override { return "RunnelClock"; }
  void SleepForMicroseconds(int micros) override {
    rocksdb::SystemClockWrapper::SleepForMicroseconds(std::min(micros, kLongestSleepMicros));
  }
};

class RocksdbEnv final : public rocksdb::EnvWrapper {
 public:
  explicit RocksdbEnv(std::unique_ptr<rocksdb::Env> base) : rocksdb::EnvWrapper(std::move(base)) {
    system_clock_ = std::make_shared<ShortSleeps>(rocksdb::SystemClock::Default());
  }
  const char* Name() const override { return "RunnelEnv"; }
};

class QuietLogger final : public rocksdb::Logger {
 public:
  explicit QuietLogger(RocksdbLogSink sink)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), sink_(std::move(sink)) {}

  // The base class drops what is below the level before it comes here.
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (!sink_) return;
    std::array<char, kLongestLogLine> line{};
    const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (length < 0) return;
    std::string_view text(line.data());
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    sink_(text);
  }

 private:
  const RocksdbLogSink sink_;
};

class HeldLock final : public rocksdb::FileLock {
 public:
  explicit HeldLock(std::unique_ptr<runnel::storage::FileLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<runnel::storage::FileLock> lock_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FileSystem& base, std::string path) : base_(base), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return to_io_status(base_.sync_directory(path_));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  FileSystem& base_;
  const std::string path_;
};

class RocksdbFileSystem final : public rocksdb::FileSystem {
 public:
  RocksdbFileSystem(runnel::storage::FileSystem& base, RocksdbLogSink log)
      : base_(base), log_(std::move(log)) {}

  const char* Name() const override { return "RunnelFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    return open_as(path, {}, [&](auto file) { *result = make_sequential_file(std::move(file)); });
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    return open_as(path, {},
                   [&](auto file) { *result = make_random_access_file(std::move(file)); });
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    return open_as(path, {.write = true, .create = true, .truncate = true},
                   [&](auto file) { *result = make_writable_file(std::move(file), 0, options); });
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    const auto file = base_.open(path, {.write = true, .create = true});
    if (!file) return to_io_status(file.error());
    const auto size = (*file)->size();
    if (!size) return to_io_status(size.error());
    *result = make_writable_file(*file, *size, options);
    return IOStatus::OK();
  }
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* result,
                           IODebugContext*) override {
    return open_as(path, {.write = true},
                   [&](auto file) { *result = make_random_rw_file(std::move(file)); });
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    if (!base_.is_directory(path)) return IOStatus::PathNotFound("no such directory: " + path);
    *result = std::make_unique<Directory>(base_, path);
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = make_rocksdb_logger(log_);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return base_.exists(path) ? IOStatus::OK() : IOStatus::NotFound(path);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    result->clear();
    auto entries = base_.list(path);
    if (!entries && entries.error().code() == ErrorCode::kNotFound) return IOStatus::NotFound(path);
    if (!entries) return to_io_status(entries.error());
    for (DirectoryEntry& entry : *entries) result->push_back(std::move(entry.name));
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* result,
                       IODebugContext*) override {
    if (!base_.exists(path)) return IOStatus::PathNotFound(path);
    *result = base_.is_directory(path);
    return IOStatus::OK();
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* result,
                       IODebugContext*) override {
    const auto file = base_.open(path, {});
    if (!file) return to_io_status(file.error());
    const auto size = (*file)->size();
    if (!size) return to_io_status(size.error());
    *result = *size;
    return IOStatus::OK();
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, std::uint64_t* result,
                                   IODebugContext*) override {
    const auto seconds = base_.modified(path);
    if (!seconds) return to_io_status(seconds.error());
    *result = static_cast<std::uint64_t>(*seconds);
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string&, const IOOptions&, std::uint64_t* result,
                        IODebugContext*) override {
    // Asked only before a flush that had no room is tried again, for more than a small disk has.
    // The flush itself finds out.
    *result = std::numeric_limits<std::uint64_t>::max();
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    // RocksDB only makes names of log files of it; the base resolves relative paths itself.
    *result = path;
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("the injected file system has no directory for tests");
  }

  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_io_status(base_.remove(path));
  }
  IOStatus Truncate(const std::string& path, std::size_t size, const IOOptions&,
                    IODebugContext*) override {
    const auto file = base_.open(path, {.write = true});
    return file ? to_io_status((*file)->truncate(size)) : to_io_status(file.error());
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (base_.exists(path)) return IOStatus::IOError("exists already: " + path);
    return to_io_status(base_.create_directory(path));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_io_status(base_.create_directory(path));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_io_status(base_.remove_directory(path));
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return to_io_status(base_.rename(from, to));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return to_io_status(base_.link(from, to));
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** result,
                    IODebugContext*) override {
    auto lock = base_.lock(path);
    if (!lock) return to_io_status(lock.error());
    *result = std::make_unique<HeldLock>(std::move(*lock)).release();
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }

 private:
  template <class Take>
  IOStatus open_as(const std::string& path, OpenMode mode, Take take) {
    auto file = base_.open(path, mode);
    if (!file) return to_io_status(file.error());
    take(std::move(*file));
    return IOStatus::OK();
  }

  runnel::storage::FileSystem& base_;
  const RocksdbLogSink log_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_rocksdb_env(FileSystem& file_system, RocksdbLogSink log) {
  return std::make_unique<RocksdbEnv>(
      rocksdb::NewCompositeEnv(std::make_shared<RocksdbFileSystem>(file_system, std::move(log))));
}

std::shared_ptr<rocksdb::Logger> make_rocksdb_logger(RocksdbLogSink log) {
  return std::make_shared<QuietLogger>(std::move(log));
}

}  // namespace runnel::storage
