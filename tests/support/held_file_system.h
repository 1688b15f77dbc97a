// A file system whose disk stops answering when a test says so: what is to become durable waits.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "storage/env/file_system.h"

namespace runnel::storage {

/// Hands everything on to another one, which must outlive it. Thread safe.
class HeldFileSystem final : public FileSystem {
 public:
  explicit HeldFileSystem(FileSystem& to) : to_(to) {}

  /// From now on sync() of files waits, until release().
  void hold() { set(true); }
  void release() { set(false); }
  /// Returns when somebody waits.
  void await_held() {
    std::unique_lock lock(gate_->mutex);
    gate_->changed.wait(lock, [this] { return gate_->waiting > 0; });
  }

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    RUNNEL_TRY_ASSIGN(std::shared_ptr<File> file, to_.open(path, mode));
    return std::make_shared<HeldFile>(std::move(file), gate_);
  }
  Status rename(const std::string& from, const std::string& to) override {
    return to_.rename(from, to);
  }
  Status remove(const std::string& path) override { return to_.remove(path); }
  Status link(const std::string& from, const std::string& to) override {
    return to_.link(from, to);
  }
  Status create_directory(const std::string& path) override { return to_.create_directory(path); }
  Status remove_directory(const std::string& path) override { return to_.remove_directory(path); }
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    return to_.list(path);
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
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool held = false;
    int waiting = 0;
  };

  class HeldFile final : public File {
   public:
    HeldFile(std::shared_ptr<File> to, std::shared_ptr<Gate> gate)
        : to_(std::move(to)), gate_(std::move(gate)) {}
    Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override {
      return to_->read(position, into);
    }
    using File::write;
    Status write(std::uint64_t position, std::span<iovec> parts) override {
      return to_->write(position, parts);
    }
    std::size_t block_bytes() const noexcept override { return to_->block_bytes(); }
    Status sync() override {
      {
        std::unique_lock lock(gate_->mutex);
        ++gate_->waiting;
        if (gate_->held) gate_->changed.notify_all();
        gate_->changed.wait(lock, [this] { return !gate_->held; });
        --gate_->waiting;
      }
      return to_->sync();
    }
    Status allocate(std::uint64_t size) override { return to_->allocate(size); }
    Status truncate(std::uint64_t size) override { return to_->truncate(size); }
    Result<std::uint64_t> size() const override { return to_->size(); }
    bool resident(std::uint64_t position, std::uint64_t length) const override {
      return to_->resident(position, length);
    }
    Result<std::vector<FileRange>> data_ranges() const override { return to_->data_ranges(); }
    void will_need(std::uint64_t position, std::uint64_t length) const override {
      to_->will_need(position, length);
    }
    void dont_need(std::uint64_t position, std::uint64_t length) const override {
      to_->dont_need(position, length);
    }
    void free_slowly() noexcept override { to_->free_slowly(); }
    int descriptor() const noexcept override { return to_->descriptor(); }
    const std::string& path() const noexcept override { return to_->path(); }

   private:
    const std::shared_ptr<File> to_;
    const std::shared_ptr<Gate> gate_;
  };

  void set(bool held) {
    const std::lock_guard lock(gate_->mutex);
    gate_->held = held;
    gate_->changed.notify_all();
  }

  FileSystem& to_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();  ///< files may outlive this
};

}  // namespace runnel::storage
