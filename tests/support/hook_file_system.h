// A file system that lets a test act in the middle of what a store does.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/forwarding_file_system.h"

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
class HookFileSystem final : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;

  ArmedHook before_link;
  ArmedHook after_list;
  ArmedHook before_close;  ///< of a file, by whoever had it last

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    RUNNEL_TRY_ASSIGN(std::shared_ptr<File> file, ForwardingFileSystem::open(path, mode));
    File* const opened = file.get();
    return std::shared_ptr<File>(opened, [this, file](File*) mutable {
      before_close.strike();
      file.reset();
    });
  }
  Status link(const std::string& from, const std::string& to) override {
    before_link.strike();
    return ForwardingFileSystem::link(from, to);
  }
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    auto entries = ForwardingFileSystem::list(path);
    after_list.strike();
    return entries;
  }
};

}  // namespace runnel::storage
