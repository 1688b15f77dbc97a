// A file system whose disk stops answering when a test says so: what is to become durable waits.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tests/support/forwarding_file_system.h"

namespace runnel::storage {

/// Hands everything on to another one, which must outlive it. Thread safe.
class HeldFileSystem final : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;

  /// From now on sync() of files waits, until release().
  void hold() { set(true); }
  void release() { set(false); }
  /// Returns when somebody waits.
  void await_held() {
    std::unique_lock lock(gate_->mutex);
    gate_->changed.wait(lock, [this] { return gate_->waiting > 0; });
  }

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    RUNNEL_TRY_ASSIGN(std::shared_ptr<File> file, ForwardingFileSystem::open(path, mode));
    return std::make_shared<HeldFile>(std::move(file), gate_);
  }

 private:
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool held = false;
    int waiting = 0;
  };

  class HeldFile final : public ForwardingFile {
   public:
    HeldFile(std::shared_ptr<File> to, std::shared_ptr<Gate> gate)
        : ForwardingFile(std::move(to)), gate_(std::move(gate)) {}
    Status sync() override {
      {
        std::unique_lock lock(gate_->mutex);
        ++gate_->waiting;
        if (gate_->held) gate_->changed.notify_all();
        gate_->changed.wait(lock, [this] { return !gate_->held; });
        --gate_->waiting;
      }
      return ForwardingFile::sync();
    }

   private:
    const std::shared_ptr<Gate> gate_;
  };

  void set(bool held) {
    const std::lock_guard lock(gate_->mutex);
    gate_->held = held;
    gate_->changed.notify_all();
  }

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();  ///< files may outlive this
};

}  // namespace runnel::storage
