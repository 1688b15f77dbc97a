// Decimal numbers compared as they are written, without rounding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::protocol {

/// A number as sign, significant digits and the power of ten of the first one.
struct Decimal {
  bool negative = false;
  std::string digits;         ///< without leading and trailing zeros; empty: zero
  std::int64_t exponent = 0;  ///< of 0.DIGITS
};
/// As JSON writes them, exponents included (up to a million); nullopt: it is none.
[[nodiscard]] std::optional<Decimal> parse_decimal(std::string_view text);
/// Negative, 0 or positive.
[[nodiscard]] int compare(const Decimal& a, const Decimal& b);
/// Of two texts. kInvalidArgument: one of them is no number.
[[nodiscard]] Result<int> compare_numbers(std::string_view a, std::string_view b);

}  // namespace runnel::protocol
