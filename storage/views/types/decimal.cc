#include "storage/views/types/decimal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace runnel::storage::views {
namespace {

constexpr auto kPowers = [] {
  std::array<Int128, kMaxDigits + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

constexpr Uint128 magnitude(Int128 value) {
  return value < 0 ? Uint128{0} - static_cast<Uint128>(value) : static_cast<Uint128>(value);
}

constexpr Int128 with_sign(Uint128 value, bool negative) {
  return negative ? static_cast<Int128>(Uint128{0} - value) : static_cast<Int128>(value);
}

/// A product of two 128-bit numbers. Compilers have no type for it, and clang's overflow check of
/// 128-bit products needs a library that GCC's does not bring.
struct Wide {
  Uint128 high = 0;
  Uint128 low = 0;
};

constexpr Wide multiply_wide(Uint128 a, Uint128 b) {
  constexpr Uint128 kMask = ~std::uint64_t{0};
  const Uint128 low = (a & kMask) * (b & kMask);
  const Uint128 cross_a = (a >> 64) * (b & kMask);
  const Uint128 cross_b = (a & kMask) * (b >> 64);
  const Uint128 middle = (low >> 64) + (cross_a & kMask) + (cross_b & kMask);
  return {(a >> 64) * (b >> 64) + (cross_a >> 64) + (cross_b >> 64) + (middle >> 64),
          (middle << 64) | (low & kMask)};
}

/// Sets the quotient and the remainder; false where the quotient has more than 128 bits. The
/// divisor has at most 127.
bool divide_wide(Wide dividend, Uint128 divisor, Uint128& quotient, Uint128& remainder) {
  if (dividend.high >= divisor) return false;
  if (dividend.high == 0) {
    quotient = dividend.low / divisor;
    remainder = dividend.low % divisor;
    return true;
  }
  Uint128 left = dividend.high;
  quotient = 0;
  for (int bit = 127; bit >= 0; --bit) {
    left = (left << 1) | ((dividend.low >> bit) & 1);
    quotient <<= 1;
    if (left >= divisor) {
      left -= divisor;
      quotient |= 1;
    }
  }
  remainder = left;
  return true;
}

RowError checked(Uint128 size, bool negative, Int128& out) {
  if (size >= static_cast<Uint128>(kPowers[kMaxDigits])) return RowError::kOutOfRange;
  out = with_sign(size, negative);
  return RowError::kNone;
}

/// Half or more of the divisor is left: rounds up.
bool rounds_up(Uint128 remainder, Uint128 divisor) {
  return remainder >= divisor - remainder;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A number's text in its parts.
struct Digits {
  std::string_view whole;
  std::string_view fraction;
  std::int64_t exponent = 0;
  bool negative = false;

  [[nodiscard]] std::size_t size() const { return whole.size() + fraction.size(); }
  [[nodiscard]] int at(std::size_t i) const {
    return (i < whole.size() ? whole[i] : fraction[i - whole.size()]) - '0';
  }
};

/// Far outside of what any scale can bring back.
constexpr std::int64_t kMaxExponent = 1'000'000;

std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  const auto size = static_cast<std::size_t>(end - text.begin());
  const std::string_view digits = text.substr(0, size);
  text.remove_prefix(size);
  return digits;
}

bool take_sign(std::string_view& text) {
  if (text.empty() || (text[0] != '-' && text[0] != '+')) return false;
  const bool negative = text[0] == '-';
  text.remove_prefix(1);
  return negative;
}

bool split(std::string_view text, Digits& out) {
  out.negative = take_sign(text);
  out.whole = take_digits(text);
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    out.fraction = take_digits(text);
  }
  if (out.size() == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  const bool negative = take_sign(text);
  const std::string_view digits = take_digits(text);
  if (digits.empty() || !text.empty()) return false;
  for (const char c : digits) out.exponent = std::min(kMaxExponent, out.exponent * 10 + (c - '0'));
  if (negative) out.exponent = -out.exponent;
  return true;
}

}  // namespace

Int128 power_of_ten(unsigned n) noexcept {
  RUNNEL_ASSERT(n < kPowers.size());
  return kPowers[n];
}

bool has_digits(Int128 value, unsigned digits) noexcept {
  return magnitude(value) < static_cast<Uint128>(power_of_ten(digits));
}

// Two numbers of 38 digits have a sum of fewer than 128 bits.
RowError add_decimal(Int128 a, Int128 b, Int128& out) noexcept {
  const Int128 sum = static_cast<Int128>(static_cast<Uint128>(a) + static_cast<Uint128>(b));
  const bool wrapped = (a < 0) == (b < 0) && (sum < 0) != (a < 0);
  if (wrapped || !has_digits(sum, kMaxDigits)) return RowError::kOutOfRange;
  out = sum;
  return RowError::kNone;
}

RowError subtract_decimal(Int128 a, Int128 b, Int128& out) noexcept {
  return add_decimal(a, -b, out);
}

RowError multiply_decimal(Int128 a, Int128 b, Int128& out) noexcept {
  const Wide product = multiply_wide(magnitude(a), magnitude(b));
  if (product.high != 0) return RowError::kOutOfRange;
  return checked(product.low, (a < 0) != (b < 0), out);
}

RowError divide_decimal(Int128 a, Int128 b, unsigned shift, Int128& out) noexcept {
  RUNNEL_ASSERT(shift <= 2u * kMaxDigits);
  if (b == 0) return RowError::kDivisionByZero;
  Uint128 dividend = magnitude(a);
  const Uint128 divisor = magnitude(b);
  // What is above 38 digits is out of range unless the dividend is small: take the first step by
  // itself.
  if (shift > kMaxDigits) {
    const Wide first = multiply_wide(dividend, static_cast<Uint128>(kPowers[shift - kMaxDigits]));
    if (first.high != 0) return RowError::kOutOfRange;
    dividend = first.low;
    shift = kMaxDigits;
  }
  Uint128 quotient = 0;
  Uint128 remainder = 0;
  if (!divide_wide(multiply_wide(dividend, static_cast<Uint128>(kPowers[shift])), divisor, quotient,
                   remainder)) {
    return RowError::kOutOfRange;
  }
  if (rounds_up(remainder, divisor) && ++quotient == 0) return RowError::kOutOfRange;
  return checked(quotient, (a < 0) != (b < 0), out);
}

RowError rescale(Int128 value, unsigned from, unsigned to, Int128& out) noexcept {
  if (to >= from) return multiply_decimal(value, power_of_ten(to - from), out);
  return divide_decimal(value, power_of_ten(from - to), 0, out);
}

int compare_decimals(Int128 a, unsigned a_scale, Int128 b, unsigned b_scale) noexcept {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a_scale == b_scale) return order(a, b);
  if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
  const auto scaled = [](Int128 value, unsigned by) {
    return multiply_wide(magnitude(value), static_cast<Uint128>(power_of_ten(by)));
  };
  const unsigned most = std::max(a_scale, b_scale);
  const Wide left = scaled(a, most - a_scale);
  const Wide right = scaled(b, most - b_scale);
  const int size =
      left.high != right.high ? order(left.high, right.high) : order(left.low, right.low);
  return a < 0 ? -size : size;
}

RowError decimal_from_text(std::string_view text, unsigned precision, unsigned scale,
                           Inexact inexact, Int128& out) noexcept {
  Digits digits;
  if (!split(text, digits)) return RowError::kInvalidText;
  // The digit at i counts 10^(first - i).
  const std::int64_t first = static_cast<std::int64_t>(digits.whole.size()) - 1 + digits.exponent;
  const std::int64_t last = -static_cast<std::int64_t>(scale);
  const Uint128 limit = static_cast<Uint128>(power_of_ten(precision));
  // Of what is less, ten times and a digit is still below the limit: nothing wraps around.
  const Uint128 most = limit / 10;
  Uint128 value = 0;
  std::size_t i = 0;
  for (; i < digits.size() && first - static_cast<std::int64_t>(i) >= last; ++i) {
    if (value >= most) return RowError::kOutOfRange;
    value = value * 10 + static_cast<unsigned>(digits.at(i));
  }
  const bool rounds =
      i < digits.size() && first - static_cast<std::int64_t>(i) == last - 1 && digits.at(i) >= 5;
  if (inexact == Inexact::kRefuse) {
    for (std::size_t rest = i; rest < digits.size(); ++rest) {
      if (digits.at(rest) != 0) return RowError::kOutOfRange;
    }
  }
  for (std::int64_t at = first - static_cast<std::int64_t>(i); at >= last && value != 0; --at) {
    if (value >= most) return RowError::kOutOfRange;
    value *= 10;
  }
  if (rounds && ++value >= limit) return RowError::kOutOfRange;
  out = with_sign(value, digits.negative);
  return RowError::kNone;
}

std::string decimal_to_text(Int128 value, unsigned scale) {
  std::array<char, 64> buffer;
  char* at = buffer.data() + buffer.size();
  Uint128 left = magnitude(value);
  unsigned written = 0;
  while (left != 0 || written <= scale) {
    if (scale != 0 && written == scale) *--at = '.';
    *--at = static_cast<char>('0' + static_cast<int>(left % 10));
    left /= 10;
    ++written;
  }
  if (value < 0) *--at = '-';
  return {at, buffer.data() + buffer.size()};
}

double decimal_to_double(Int128 value, unsigned scale) noexcept {
  // Both are exact as DOUBLE, so the division rounds once.
  constexpr unsigned kExactPower = 22;
  constexpr Uint128 kExactInteger = Uint128{1} << 53;
  if (magnitude(value) <= kExactInteger && scale <= kExactPower) {
    return static_cast<double>(value) / static_cast<double>(power_of_ten(scale));
  }
  const std::string text = decimal_to_text(value, scale);
  double parsed = 0;
  std::from_chars(text.data(), text.data() + text.size(), parsed);
  return parsed;
}

RowError decimal_from_double(double value, unsigned precision, unsigned scale,
                             Int128& out) noexcept {
  if (!std::isfinite(value)) return RowError::kOutOfRange;
  std::array<char, 32> buffer;
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return decimal_from_text({buffer.data(), written.ptr}, precision, scale, Inexact::kRound, out);
}

RowError bigint_from_text(std::string_view text, std::int64_t& out) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc{} && end == text.data() + text.size()) return RowError::kNone;
  Int128 value = 0;
  constexpr unsigned kBigintDigits = 19;
  if (const RowError why = decimal_from_text(text, kBigintDigits, 0, Inexact::kRefuse, value);
      why != RowError::kNone) {
    return why;
  }
  if (value > INT64_MAX || value < INT64_MIN) return RowError::kOutOfRange;
  out = static_cast<std::int64_t>(value);
  return RowError::kNone;
}

RowError double_from_text(std::string_view text, double& out) noexcept {
  Digits digits;
  if (!split(text, digits)) return RowError::kInvalidText;
  if (text[0] == '+') text.remove_prefix(1);
  double parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error == std::errc::result_out_of_range) {
    // Too small is as good as 0; only what is too great has no DOUBLE.
    std::size_t first = 0;
    while (first < digits.size() && digits.at(first) == 0) ++first;
    const std::int64_t power = static_cast<std::int64_t>(digits.whole.size()) -
                               static_cast<std::int64_t>(first) + digits.exponent;
    if (power > 0) return RowError::kOutOfRange;
    out = digits.negative ? -0.0 : 0.0;
    return RowError::kNone;
  }
  out = parsed;
  return RowError::kNone;
}

std::string double_to_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  std::array<char, 32> buffer;
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), written.ptr};
}

}  // namespace runnel::storage::views
