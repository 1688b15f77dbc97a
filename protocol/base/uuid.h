// 128-bit ids as Kafka's topic ids: random version 4, shown as unpadded URL-safe base64.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// A version 4 UUID from 128 random bits.
  [[nodiscard]] static Uuid from_random(std::uint64_t high, std::uint64_t low) noexcept;
  /// 22 characters of unpadded URL-safe base64, as Kafka's tools print topic ids. Each id
  /// has one text; anything else is kInvalidArgument.
  [[nodiscard]] static Result<Uuid> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] bool is_zero() const noexcept { return *this == Uuid{}; }
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace runnel
