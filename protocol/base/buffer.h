// Reference-counted bytes: what came from a socket is what goes to the disk, without a copy.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "protocol/base/assert.h"

namespace runnel {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// A view of `text` as bytes; the caller keeps `text` alive.
[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A slice of a shared allocation. Copying a Buffer shares the bytes; the allocation lives as long
/// as any slice of it. Thread safety: as a shared_ptr's; who mutates the bytes must be their only
/// user.
class Buffer {
 public:
  Buffer() = default;
  /// `size` bytes, uninitialised.
  [[nodiscard]] static Buffer allocate(std::size_t size) {
    auto owner = std::make_shared_for_overwrite<std::byte[]>(size);
    std::byte* const data = owner.get();
    return Buffer(std::move(owner), data, size);
  }
  [[nodiscard]] static Buffer copy_of(Bytes bytes) {
    Buffer b = allocate(bytes.size());
    std::copy(bytes.begin(), bytes.end(), b.data_);
    return b;
  }
  /// Bytes kept alive by any owner (an arena, a frame).
  [[nodiscard]] static Buffer of(std::shared_ptr<void> owner, MutableBytes bytes) {
    return Buffer(std::move(owner), bytes.data(), bytes.size());
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::byte* mutable_data() noexcept { return data_; }
  [[nodiscard]] Bytes bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] MutableBytes mutable_bytes() noexcept { return {data_, size_}; }
  /// `length` bytes from `from`; both must lie within.
  [[nodiscard]] Buffer slice(std::size_t from, std::size_t length) const {
    RUNNEL_ASSERT(from <= size_ && length <= size_ - from);
    return Buffer(owner_, data_ + from, length);
  }

 private:
  Buffer(std::shared_ptr<void> owner, std::byte* data, std::size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  std::shared_ptr<void> owner_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace runnel
