// A file of the machine's own file system.
#pragma once

#include <atomic>

#include "protocol/base/thread_annotations.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

/// Owns a descriptor. Thread safe as File says.
class PosixFile final : public File {
 public:
  /// Takes ownership of `descriptor`. `block_bytes`: what block_bytes() answers; more than 1 for a
  /// descriptor that writes past the page cache.
  PosixFile(int descriptor, std::string path, std::size_t block_bytes = 1)
      : fd_(descriptor), block_bytes_(block_bytes), path_(std::move(path)) {}
  ~PosixFile() override;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  using File::write;
  Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override;
  Status write(std::uint64_t position, std::span<iovec> parts) override;
  std::size_t block_bytes() const noexcept override { return block_bytes_; }
  Status sync() override;
  Status allocate(std::uint64_t size) override;
  Status truncate(std::uint64_t size) override;
  Result<std::uint64_t> size() const override;
  bool resident(std::uint64_t position, std::uint64_t length) const override;
  Result<std::vector<FileRange>> data_ranges() const override;
  void will_need(std::uint64_t position, std::uint64_t length) const override;
  void dont_need(std::uint64_t position, std::uint64_t length) const override;
  void free_slowly() noexcept override { frees_slowly_ = true; }
  int descriptor() const noexcept override { return fd_; }
  const std::string& path() const noexcept override { return path_; }

 private:
  /// Maps the file as long as it is now; false if that fails.
  bool map_whole() const RUNNEL_REQUIRES(map_mutex_);

  const int fd_;
  const std::size_t block_bytes_;
  const std::string path_;
  std::atomic<bool> frees_slowly_{false};
  /// Only for mincore, never read through: asking this way copies nothing, unlike a read with
  /// RWF_NOWAIT, and mapping anew each time cost a quarter of a catch-up read's processor time.
  mutable Mutex map_mutex_;
  mutable void* map_ RUNNEL_GUARDED_BY(map_mutex_) = nullptr;
  mutable std::uint64_t mapped_ RUNNEL_GUARDED_BY(map_mutex_) = 0;
};

}  // namespace runnel::storage
