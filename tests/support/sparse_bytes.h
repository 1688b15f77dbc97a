// Bytes of a simulated file: what was never written takes no memory and reads as zero.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>

#include "protocol/base/buffer.h"

namespace runnel::storage {

/// Not thread safe.
class SparseBytes {
 public:
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// Bytes cut off read as zero when the size grows again.
  void resize(std::uint64_t size) {
    if (size < size_) {
      pages_.erase(pages_.lower_bound((size + kPage - 1) / kPage), pages_.end());
      const auto last = pages_.find(size / kPage);
      if (last != pages_.end()) {
        std::fill(last->second->begin() + static_cast<std::ptrdiff_t>(size % kPage),
                  last->second->end(), std::byte{0});
      }
    }
    size_ = size;
  }

  /// Grows the size as needed.
  void write(std::uint64_t position, Bytes bytes) {
    size_ = std::max(size_, position + bytes.size());
    while (!bytes.empty()) {
      auto& page = pages_[position / kPage];
      if (!page) page = std::make_unique<Page>();
      const std::size_t at = position % kPage;
      const std::size_t length = std::min(bytes.size(), kPage - at);
      std::memcpy(page->data() + at, bytes.data(), length);
      bytes = bytes.subspan(length);
      position += length;
    }
  }

  /// Returns how many bytes there were, up to the end.
  std::size_t read(std::uint64_t position, MutableBytes into) const {
    if (position >= size_) return 0;
    const auto total =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - position));
    into = into.first(total);
    while (!into.empty()) {
      const std::size_t at = position % kPage;
      const std::size_t length = std::min(into.size(), kPage - at);
      const auto page = pages_.find(position / kPage);
      if (page == pages_.end()) {
        std::memset(into.data(), 0, length);
      } else {
        std::memcpy(into.data(), page->second->data() + at, length);
      }
      into = into.subspan(length);
      position += length;
    }
    return total;
  }

  void flip_bit(std::uint64_t position, unsigned bit) {
    std::byte value{};
    if (read(position, {&value, 1}) == 0) return;
    value ^= std::byte{1} << bit;
    write(position, {&value, 1});
  }

  void copy_from(const SparseBytes& other) {
    pages_.clear();
    for (const auto& [number, page] : other.pages_) {
      pages_.emplace(number, std::make_unique<Page>(*page));
    }
    size_ = other.size_;
  }

 private:
  static constexpr std::size_t kPage = 4096;
  using Page = std::array<std::byte, kPage>;
  std::map<std::uint64_t, std::unique_ptr<Page>> pages_;
  std::uint64_t size_ = 0;
};

}  // namespace runnel::storage
