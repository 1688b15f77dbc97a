// A file system that hands everything on to another one: what tests change of it they override.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/env/file_system.h"

namespace runnel::storage {

/// The other one must outlive it. As thread safe as that.
class ForwardingFileSystem : public FileSystem {
 public:
  explicit ForwardingFileSystem(FileSystem& to) : to_(to) {}

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return to_.open(path, mode);
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
  FileSystem& to_;
};

/// The same for a file, which it keeps open.
class ForwardingFile : public File {
 public:
  explicit ForwardingFile(std::shared_ptr<File> to) : to_(std::move(to)) {}

  Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override {
    return to_->read(position, into);
  }
  using File::write;
  Status write(std::uint64_t position, std::span<iovec> parts) override {
    return to_->write(position, parts);
  }
  std::size_t block_bytes() const noexcept override { return to_->block_bytes(); }
  Status sync() override { return to_->sync(); }
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
};

}  // namespace runnel::storage
