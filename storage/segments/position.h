// Where a byte lies in the journal: segment number and offset within it, ordered.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace runnel::storage {

/// Orders the whole journal. Segment numbers start at 1; {0, 0} is before everything.
struct Position {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;  ///< bytes from the start of the segment file

  [[nodiscard]] static constexpr Position unpack(std::uint64_t packed) noexcept {
    return {static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }
  [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
    return (static_cast<std::uint64_t>(segment) << 32) | offset;
  }
  /// "segment 12 byte 4096"
  [[nodiscard]] std::string to_string() const {
    return "segment " + std::to_string(segment) + " byte " + std::to_string(offset);
  }
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace runnel::storage
