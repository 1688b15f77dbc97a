// Reading and writing fixed-width integers, varints and length-prefixed strings, bounds-checked.
//
// A ByteReader never reads past its end: after the first overrun it is in the failed state, every
// later read returns zero or empty, and ok() is false. Check ok() (or at_end()) once at the end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "protocol/base/buffer.h"

namespace runnel {

template <class T>
[[nodiscard]] inline T byteswapped(T value) noexcept {
  using U = std::make_unsigned_t<T>;
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<U>(value)));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<U>(value)));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<U>(value)));
}

/// Unaligned loads and stores; the caller has checked the bounds.
template <class T>
[[nodiscard]] inline T load_le(const void* from) noexcept {
  static_assert(std::endian::native == std::endian::little);
  T v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
[[nodiscard]] inline T load_be(const void* from) noexcept {
  return byteswapped(load_le<T>(from));
}
template <class T>
inline void store_le(void* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}
template <class T>
inline void store_be(void* to, T value) noexcept {
  store_le(to, byteswapped(value));
}

/// Zig-zag: small magnitudes of either sign become small unsigned numbers (Kafka's varints).
[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t v) noexcept {
  return (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
}
[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t v) noexcept {
  return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
}

class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) noexcept : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool at_end() const noexcept { return ok_ && p_ == end_; }
  [[nodiscard]] std::size_t remaining() const noexcept {
    return static_cast<std::size_t>(end_ - p_);
  }

  template <class T>
  T le() noexcept {
    if (remaining() < sizeof(T)) return fail<T>();
    const T v = load_le<T>(p_);
    p_ += sizeof(T);
    return v;
  }
  template <class T>
  T be() noexcept {
    if (remaining() < sizeof(T)) return fail<T>();
    const T v = load_be<T>(p_);
    p_ += sizeof(T);
    return v;
  }
  /// Unsigned LEB128, at most ten bytes.
  std::uint64_t uvarint() noexcept {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (p_ == end_) return fail<std::uint64_t>();
      const auto b = static_cast<std::uint8_t>(*p_++);
      if (shift == 63 && b > 1) return fail<std::uint64_t>();
      v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return v;
    }
    return fail<std::uint64_t>();
  }
  std::int64_t varint() noexcept { return unzigzag(uvarint()); }
  /// A zig-zag varint of a 32-bit value, at most five bytes; longer forms fail.
  std::int32_t varint32() noexcept {
    const std::byte* const start = p_;
    const std::uint64_t v = uvarint();
    if (!ok_ || p_ - start > 5 || v > 0xffffffffU) return fail<std::int32_t>();
    return static_cast<std::int32_t>(unzigzag(v));
  }
  /// `size` bytes as a view; nothing is allocated.
  Bytes take(std::size_t size) noexcept {
    if (!ok_ || remaining() < size) {
      fail<int>();
      return {};
    }
    Bytes v{p_, size};
    p_ += size;
    return v;
  }
  /// uvarint length, then that many bytes.
  Bytes block() noexcept {
    const std::uint64_t size = uvarint();
    if (size > remaining()) {
      fail<int>();
      return {};
    }
    return take(static_cast<std::size_t>(size));
  }
  std::string_view text() noexcept { return as_text(block()); }
  Bytes rest() noexcept { return take(remaining()); }
  void set_failed() noexcept { fail<int>(); }

 private:
  template <class T>
  T fail() noexcept {
    ok_ = false;
    p_ = end_;
    return T{};
  }

  const std::byte* p_;
  const std::byte* end_;
  bool ok_ = true;
};

/// Appends to a std::string it owns.
class ByteWriter {
 public:
  template <class T>
  ByteWriter& le(T value) {
    append(&value, sizeof value);
    return *this;
  }
  template <class T>
  ByteWriter& be(T value) {
    return le(byteswapped(value));
  }
  ByteWriter& uvarint(std::uint64_t v) {
    while (v >= 0x80) {
      out_.push_back(static_cast<char>(v | 0x80));
      v >>= 7;
    }
    out_.push_back(static_cast<char>(v));
    return *this;
  }
  ByteWriter& varint(std::int64_t v) { return uvarint(zigzag(v)); }
  ByteWriter& raw(Bytes bytes) {
    append(bytes.data(), bytes.size());
    return *this;
  }
  ByteWriter& block(Bytes bytes) { return uvarint(bytes.size()).raw(bytes); }
  ByteWriter& text(std::string_view text) { return block(as_bytes(text)); }

  [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }
  [[nodiscard]] Bytes bytes() const noexcept { return as_bytes(out_); }
  [[nodiscard]] std::string& str() noexcept { return out_; }
  [[nodiscard]] std::string take() noexcept { return std::move(out_); }
  void clear() noexcept { out_.clear(); }

 private:
  void append(const void* p, std::size_t n) { out_.append(static_cast<const char*>(p), n); }
  std::string out_;
};

}  // namespace runnel
