// Appends to a file past the page cache. The disk takes whole blocks, so the block that the end
// lies in is kept in memory and written again with what is appended next: the bytes it held before
// are written over with the same bytes, just as the page cache does with its pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "storage/env/file_system.h"

namespace runnel::storage {

/// Holds a buffer of kBytes. Not thread safe; the file may be read, synced and closed by others.
class BlockWriter {
 public:
  /// Memory it takes, and the most it writes at once.
  static constexpr std::size_t kBytes = 1u << 20;

  /// Goes on at byte `end` of `file`, which was opened with OpenMode::direct and whose
  /// block_bytes() may be anything but 1. Reads the block before `end`. Errors: read()'s.
  [[nodiscard]] static Result<std::unique_ptr<BlockWriter>> open(std::shared_ptr<File> file,
                                                                 std::uint64_t end);

  /// Writes `parts` behind what was written before. They are with the disk when it returns, and
  /// durable after the file's sync(); the rest of the last block is zero then. Errors: write()'s;
  /// any part may have been written, nothing more may be appended.
  [[nodiscard]] Status append(std::span<const iovec> parts);
  /// Where append() goes on, bytes from the file's start.
  [[nodiscard]] std::uint64_t end() const noexcept { return at_ + used_; }
  /// For whole blocks behind the one that the end lies in.
  [[nodiscard]] File& file() const noexcept { return *file_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  BlockWriter(std::shared_ptr<File> file, std::uint64_t end);
  /// Writes the first `bytes` of the memory, whole blocks.
  [[nodiscard]] Status write_blocks(std::size_t bytes);

  const std::shared_ptr<File> file_;
  const std::size_t block_;
  std::uint64_t at_;  ///< where the memory belongs in the file; a multiple of block_
  std::size_t used_;  ///< of the memory; less than a block between calls
  const std::unique_ptr<std::byte[], Free> memory_;
};

}  // namespace runnel::storage
