// Reads and verifies the frames of one segment file through a window of a few MiB.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"
#include "storage/segments/journal.h"

namespace runnel::storage {

inline constexpr std::size_t kReadWindowBytes = 4u << 20;

/// What a frame is to be with a batch in it whose own checksum does not hold.
enum class DamagedBatches { kRefused, kShown };

/// Not thread safe. Views it gives live until the next call.
class FrameReader {
 public:
  FrameReader(std::shared_ptr<const File> file, std::uint32_t number, std::uint64_t file_size,
              std::uint64_t frame_seed, DamagedBatches damaged = DamagedBatches::kRefused)
      : file_(std::move(file)),
        number_(number),
        size_(file_size),
        seed_(frame_seed),
        shows_damaged_(damaged == DamagedBatches::kShown) {}

  [[nodiscard]] std::uint64_t file_size() const noexcept { return size_; }
  /// The segment's header; nothing if it is missing, damaged or of another number. Errors: kIo,
  /// kFormatTooNew.
  [[nodiscard]] Result<std::optional<SegmentHeader>> header();
  /// The frame at `offset` if it is whole, belongs there and its checksum holds; else nothing, and
  /// why() says what is wrong. Errors: kIo.
  [[nodiscard]] Result<std::optional<FrameView>> frame(std::uint64_t offset);
  /// The first such frame at `offset` or later. Blocks that were reserved and never written when
  /// it was first called are not read.
  [[nodiscard]] Result<std::optional<FrameView>> find(std::uint64_t offset);
  [[nodiscard]] const std::string& why() const noexcept { return why_; }
  /// What frame() could read of the header it refused: magic and lengths are sound, no more.
  [[nodiscard]] const std::optional<FrameHeader>& refused() const noexcept { return refused_; }

 private:
  /// Moves `offset` into data; false if there is none behind it.
  [[nodiscard]] Result<bool> skip_holes(std::uint64_t& offset);
  /// Up to `length` bytes from `offset`; fewer only at the end of the file.
  [[nodiscard]] Result<Bytes> view(std::uint64_t offset, std::uint64_t length);

  std::shared_ptr<const File> file_;
  std::uint32_t number_;
  std::uint64_t size_;
  std::uint64_t seed_;
  bool shows_damaged_;
  std::optional<std::vector<FileRange>> data_;  ///< set by the first find()
  Buffer window_;
  std::uint64_t window_at_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::string why_;
  std::optional<FrameHeader> refused_;
};

}  // namespace runnel::storage
