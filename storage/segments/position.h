// Where a byte lies: segment number and offset within it, ordered within the journal.
#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runnel::storage {

/// Of a data segment's number; the journal's segments have it clear.
inline constexpr std::uint32_t kDataSegmentBit = 0x8000'0000;
[[nodiscard]] constexpr bool is_data_segment(std::uint32_t number) noexcept {
  return (number & kDataSegmentBit) != 0;
}
/// "segment 12", "data segment 3"
[[nodiscard]] inline std::string segment_name(std::uint32_t number) {
  if (!is_data_segment(number)) return "segment " + std::to_string(number);
  return "data segment " + std::to_string(number & ~kDataSegmentBit);
}

/// The number in what segment_name() gives; nothing for any other text.
[[nodiscard]] inline std::optional<std::uint32_t> parse_segment_name(std::string_view text) {
  constexpr std::string_view kData = "data ";
  constexpr std::string_view kSegment = "segment ";
  const bool data = text.starts_with(kData);
  if (data) text.remove_prefix(kData.size());
  if (!text.starts_with(kSegment)) return std::nullopt;
  text.remove_prefix(kSegment.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return data ? number | kDataSegmentBit : number;
}

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
    return segment_name(segment) + " byte " + std::to_string(offset);
  }
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace runnel::storage
