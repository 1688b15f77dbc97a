// Exact decimal arithmetic: integers of up to 38 digits with a scale kept beside them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/views/types/row_error.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

inline constexpr std::uint8_t kMaxDigits = 38;

/// 10^n for n in [0, 38].
[[nodiscard]] Int128 power_of_ten(unsigned n) noexcept;
/// |value| < 10^digits.
[[nodiscard]] bool has_digits(Int128 value, unsigned digits) noexcept;

// Each sets `out` and gives kNone, or kOutOfRange where more than 38 digits would be needed, or
// kDivisionByZero. Operands have at most 38 digits. Rounding is to the nearest, halves away from
// zero, as PostgreSQL's NUMERIC rounds.
[[nodiscard]] RowError add_decimal(Int128 a, Int128 b, Int128& out) noexcept;
[[nodiscard]] RowError subtract_decimal(Int128 a, Int128 b, Int128& out) noexcept;
[[nodiscard]] RowError multiply_decimal(Int128 a, Int128 b, Int128& out) noexcept;
/// a / b times 10^shift, exact before it is rounded once; shift in [0, 76].
[[nodiscard]] RowError divide_decimal(Int128 a, Int128 b, unsigned shift, Int128& out) noexcept;
/// The same number with another scale.
[[nodiscard]] RowError rescale(Int128 value, unsigned from, unsigned to, Int128& out) noexcept;

/// Less than 0, 0 or greater than 0: a × 10^-a_scale against b × 10^-b_scale, exactly.
[[nodiscard]] int compare_decimals(Int128 a, unsigned a_scale, Int128 b, unsigned b_scale) noexcept;

enum class Inexact : std::uint8_t { kRound, kRefuse };
/// "-12.30", "5", ".5", "1.2e3" as DECIMAL(precision, scale). kInvalidText: no number.
/// kOutOfRange: more digits before the point than fit; with kRefuse also more behind it.
[[nodiscard]] RowError decimal_from_text(std::string_view text, unsigned precision, unsigned scale,
                                         Inexact inexact, Int128& out) noexcept;
/// "-12.30": always `scale` digits behind the point.
[[nodiscard]] std::string decimal_to_text(Int128 value, unsigned scale);
/// The nearest DOUBLE.
[[nodiscard]] double decimal_to_double(Int128 value, unsigned scale) noexcept;
/// The shortest text that reads back as `value`, rounded to the scale. kOutOfRange: too great, NaN.
[[nodiscard]] RowError decimal_from_double(double value, unsigned precision, unsigned scale,
                                           Int128& out) noexcept;

/// kInvalidText, kOutOfRange. "12", "-3", "1e3", "12.0"; what has a fraction is refused.
[[nodiscard]] RowError bigint_from_text(std::string_view text, std::int64_t& out) noexcept;
/// kInvalidText, kOutOfRange. No "nan", "inf" or hexadecimal.
[[nodiscard]] RowError double_from_text(std::string_view text, double& out) noexcept;
/// Shortest that reads back: "0.1", "1e+300", "NaN", "Infinity".
[[nodiscard]] std::string double_to_text(double value);

}  // namespace runnel::storage::views
