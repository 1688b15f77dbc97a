// A sum of 128-bit integers that can't overflow: 192 bits, so that adding is associative and
// commutative whatever the order, and only the result has to fit.
#pragma once

#include <cstdint>
#include <optional>

#include "storage/views/types/value.h"

namespace runnel::storage::views {

/// 10^38 - 1 is the greatest DECIMAL there is.
[[nodiscard]] constexpr Int128 power_of_ten(unsigned exponent) noexcept {
  Int128 power = 1;
  for (unsigned i = 0; i < exponent; ++i) power *= 10;
  return power;
}
inline constexpr unsigned kMaxDigits = 38;

struct WideSum {
  Uint128 low = 0;
  std::int64_t high = 0;  ///< two's complement over both

  void add(Int128 v) noexcept {
    const Uint128 before = low;
    low += static_cast<Uint128>(v);
    high += (low < before ? 1 : 0) - (v < 0 ? 1 : 0);
  }
  void add(const WideSum& other) noexcept {
    const Uint128 before = low;
    low += other.low;
    high = static_cast<std::int64_t>(static_cast<std::uint64_t>(high) +
                                     static_cast<std::uint64_t>(other.high) +
                                     (low < before ? 1u : 0u));
  }
  /// The sum, if it has no more than 38 digits.
  [[nodiscard]] std::optional<Int128> narrow() const noexcept {
    const auto value = static_cast<Int128>(low);
    if (high != (value < 0 ? -1 : 0)) return std::nullopt;
    constexpr Int128 kLimit = power_of_ten(kMaxDigits);
    if (value >= kLimit || value <= -kLimit) return std::nullopt;
    return value;
  }
  /// The sum times 10^`digits`, divided by `count` > 0, rounded half away from zero; if that has no
  /// more than 38 digits.
  [[nodiscard]] std::optional<Int128> divided(std::uint64_t count, unsigned digits) const noexcept;
};

}  // namespace runnel::storage::views
