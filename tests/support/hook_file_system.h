// A file system that lets a test act in the middle of what a store does.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "storage/env/file_system.h"

namespace runnel::storage {

/// Runs something once, when the thread that armed it does a certain thing.
class ArmedHook {
 public:
  /// The first `skip` times do not count.
  void arm(std::function<void()> hook, int skip = 0) {
    hook_ = std::move(hook);
    skip_ = skip;
    thread_ = std::this_thread::get_id();
  }
  void disarm() { thread_ = std::thread::id(); }
  void strike() {
    if (std::this_thread::get_id() != thread_.load() || skip_-- > 0) return;
    disarm();
    hook_();
  }

 private:
  std::atomic<std::thread::id> thread_;
  int skip_ = 0;
  std::function<void()> hook_;
};

/// Hands everything on to another one, which must outlive it.
class HookFileSystem final : public FileSystem {
 public:
  explicit HookFileSystem(FileSystem& to) : to_(to) {}

  ArmedHook before_link;
  ArmedHook after_list;
  ArmedHook before_close;  ///< of a file, by whoever had it last

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    RUNNEL_TRY_ASSIGN(std::shared_ptr<File> file, to_.open(path, mode));
    File* const opened = file.get();
    return std::shared_ptr<File>(opened, [this, file](File*) mutable {
      before_close.strike();
      file.reset();
    });
  }
  Status rename(const std::string& from, const std::string& to) override {
    return to_.rename(from, to);
  }
  Status remove(const std::string& path) override { return to_.remove(path); }
  Status link(const std::string& from, const std::string& to) override {
    before_link.strike();
    return to_.link(from, to);
  }
  Status create_directory(const std::string& path) override { return to_.create_directory(path); }
  Status remove_directory(const std::string& path) override { return to_.remove_directory(path); }
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    auto entries = to_.list(path);
    after_list.strike();
    return entries;
  }
  bool exists(const std::string& path) override { return to_.exists(path); }
  bool is_directory(const std::string& path) override { return to_.is_directory(path); }
  Result<std::int64_t> modified(const std::string& path) override { return to_.modified(path); }
  Status sync_directory(const std::string& path) override { return to_.sync_directory(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    return to_.lock(path);
  }
  Result<SpaceInfo> space(const std::string& path) override { return to_.space(path); }

 private:
  FileSystem& to_;
};

}  // namespace runnel::storage
