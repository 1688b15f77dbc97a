// Memory for the texts that expressions make, given back all at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace runnel::storage::views {

/// Most bytes that the texts of one record may take: above it an expression fails, kTooLarge.
inline constexpr std::size_t kMaxArenaBytes = 64u << 20;

/// A bump allocator. clear() keeps the first block, so the usual record allocates nothing.
/// Thread safety: one thread at a time.
class Arena {
 public:
  Arena() = default;
  /// At most `max_bytes`, which are kMaxArenaBytes or less.
  explicit Arena(std::size_t max_bytes) : max_bytes_(max_bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` to write to, or nullptr above the most it may hold. Valid until clear().
  [[nodiscard]] char* allocate(std::size_t bytes) {
    if (next_ != nullptr && bytes <= left_) {
      char* const at = next_;
      next_ += bytes;
      left_ -= bytes;
      return at;
    }
    return grow(bytes);
  }
  /// Gives back the last `bytes` of the newest allocation.
  void give_back(std::size_t bytes) noexcept {
    next_ -= bytes;
    left_ += bytes;
  }
  void clear() noexcept {
    if (blocks_.empty()) return;
    blocks_.resize(1);
    next_ = blocks_.front().get();
    left_ = kFirstBytes;
    taken_ = kFirstBytes;
  }

 private:
  static constexpr std::size_t kFirstBytes = 16u << 10;

  char* grow(std::size_t bytes) {
    const std::size_t size =
        blocks_.empty() && bytes <= kFirstBytes ? kFirstBytes : std::max(bytes, kFirstBytes);
    if (bytes > max_bytes_ || taken_ + size > max_bytes_) return nullptr;
    // The first block has a fixed size: clear() relies on it.
    if (blocks_.empty() && size != kFirstBytes) static_cast<void>(grow(0));
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    taken_ += size;
    next_ = blocks_.back().get() + bytes;
    left_ = size - bytes;
    return blocks_.back().get();
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t taken_ = 0;  ///< in all blocks
  std::size_t max_bytes_ = kMaxArenaBytes;
};

}  // namespace runnel::storage::views
