// Decimal arithmetic against integers without bounds.
#include "storage/views/types/decimal.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>

namespace runnel::storage::views {
namespace {

using Integer = boost::multiprecision::cpp_int;

Integer power(unsigned n) {
  return boost::multiprecision::pow(Integer(10), n);
}

Integer wide(Int128 value) {
  const bool negative = value < 0;
  const Uint128 size =
      negative ? Uint128{0} - static_cast<Uint128>(value) : static_cast<Uint128>(value);
  Integer made = static_cast<std::uint64_t>(size >> 64);
  made <<= 64;
  made += static_cast<std::uint64_t>(size);
  return negative ? Integer(-made) : made;
}

/// Numerator over denominator, halves away from zero.
Integer rounded(const Integer& numerator, const Integer& denominator) {
  const Integer a = abs(numerator);
  const Integer b = abs(denominator);
  const Integer size = (a * 2 + b) / (b * 2);
  return (numerator < 0) != (denominator < 0) ? Integer(-size) : size;
}

/// What it has to be: the result, or that there is none with 38 digits.
void expect(RowError why, const Int128& result, const Integer& oracle) {
  if (abs(oracle) >= power(kMaxDigits)) {
    RC_ASSERT(why == RowError::kOutOfRange);
    return;
  }
  RC_ASSERT(why == RowError::kNone);
  RC_ASSERT(wide(result) == oracle);
}

/// Of any number of digits, short and long ones alike; often at the edge.
rc::Gen<Int128> decimals() {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange<unsigned>(0, kMaxDigits + 1), rc::gen::arbitrary<bool>(),
                     rc::gen::arbitrary<std::uint64_t>(), rc::gen::arbitrary<std::uint64_t>(),
                     rc::gen::inRange(0, 8)),
      [](const auto& parts) {
        const auto& [digits, negative, high, low, edge] = parts;
        const Int128 limit = power_of_ten(digits);
        Int128 value = static_cast<Int128>(((static_cast<Uint128>(high) << 64) | low) %
                                           static_cast<Uint128>(limit));
        if (edge == 0) value = limit - 1;
        return negative ? -value : value;
      });
}

struct Number {
  Int128 value = 0;
};
void showValue(const Number& number, std::ostream& out) {
  out << wide(number.value);
}
rc::Gen<Number> numbers() {
  return rc::gen::map(decimals(), [](Int128 value) { return Number{value}; });
}

RC_GTEST_PROP(Decimal, AddsAsIntegersDo, ()) {
  const Number a = *numbers();
  const Number b = *numbers();
  Int128 result = 0;
  expect(add_decimal(a.value, b.value, result), result, wide(a.value) + wide(b.value));
  expect(subtract_decimal(a.value, b.value, result), result, wide(a.value) - wide(b.value));
}

RC_GTEST_PROP(Decimal, MultipliesAsIntegersDo, ()) {
  const Number a = *numbers();
  const Number b = *numbers();
  Int128 result = 0;
  expect(multiply_decimal(a.value, b.value, result), result, wide(a.value) * wide(b.value));
}

RC_GTEST_PROP(Decimal, DividesExactlyAndRoundsOnce, ()) {
  const Number a = *numbers();
  const Number b = *numbers();
  const unsigned shift = *rc::gen::inRange(0u, 2u * kMaxDigits + 1);
  Int128 result = 0;
  const RowError why = divide_decimal(a.value, b.value, shift, result);
  if (b.value == 0) {
    RC_ASSERT(why == RowError::kDivisionByZero);
    return;
  }
  const Integer scaled = wide(a.value) * power(shift);
  expect(why, result, rounded(scaled, wide(b.value)));
}

RC_GTEST_PROP(Decimal, RescalesAndRoundsHalvesAwayFromZero, ()) {
  const Number a = *numbers();
  const unsigned from = *rc::gen::inRange(0u, kMaxDigits + 1u);
  const unsigned to = *rc::gen::inRange(0u, kMaxDigits + 1u);
  Int128 result = 0;
  expect(rescale(a.value, from, to, result), result,
         rounded(wide(a.value) * power(to), power(from)));
}

RC_GTEST_PROP(Decimal, ComparesByWorth, ()) {
  const Number a = *numbers();
  const Number b = *numbers();
  const unsigned a_scale = *rc::gen::inRange(0u, kMaxDigits + 1u);
  const unsigned b_scale = *rc::gen::inRange(0u, kMaxDigits + 1u);
  const Integer left = wide(a.value) * power(b_scale);
  const Integer right = wide(b.value) * power(a_scale);
  RC_ASSERT(compare_decimals(a.value, a_scale, b.value, b_scale) == (left < right   ? -1
                                                                     : left > right ? 1
                                                                                    : 0));
  const Value x = Value::decimal(a.value, static_cast<std::uint8_t>(a_scale));
  Int128 longer = 0;
  if (a_scale < kMaxDigits && rescale(a.value, a_scale, a_scale + 1, longer) == RowError::kNone) {
    const Value y = Value::decimal(longer, static_cast<std::uint8_t>(a_scale + 1));
    RC_ASSERT(x == y);
    RC_ASSERT(hash_of(x) == hash_of(y));
  }
}

RC_GTEST_PROP(Decimal, TextReadsBack, ()) {
  const Number a = *numbers();
  const unsigned scale = *rc::gen::inRange(0u, kMaxDigits + 1u);
  Int128 result = 0;
  RC_ASSERT(decimal_from_text(decimal_to_text(a.value, scale), kMaxDigits, scale, Inexact::kRefuse,
                              result) == RowError::kNone);
  RC_ASSERT(result == a.value);
}

RC_GTEST_PROP(Decimal, TextIsRoundedAsItsWorth, ()) {
  const Number a = *numbers();
  const unsigned scale = *rc::gen::inRange(0u, kMaxDigits + 1u);
  const unsigned target = *rc::gen::inRange(0u, kMaxDigits + 1u);
  const int exponent = *rc::gen::inRange(-45, 45);
  const std::string text = decimal_to_text(a.value, scale) + "e" + std::to_string(exponent);
  Integer numerator = wide(a.value) * power(target);
  Integer denominator = power(scale);
  (exponent < 0 ? denominator : numerator) *= power(static_cast<unsigned>(std::abs(exponent)));
  Int128 result = 0;
  expect(decimal_from_text(text, kMaxDigits, target, Inexact::kRound, result), result,
         rounded(numerator, denominator));
  const bool exact = numerator % denominator == 0;
  const RowError strict = decimal_from_text(text, kMaxDigits, target, Inexact::kRefuse, result);
  if (!exact) RC_ASSERT(strict == RowError::kOutOfRange);
}

RC_GTEST_PROP(Decimal, DoubleIsTheNearest, ()) {
  const Number a = *numbers();
  const unsigned scale = *rc::gen::inRange(0u, kMaxDigits + 1u);
  const double made = decimal_to_double(a.value, scale);
  RC_ASSERT(made == std::strtod(decimal_to_text(a.value, scale).c_str(), nullptr));
}

TEST(Decimal, NumbersOutOfTexts) {
  std::int64_t integer = 0;
  EXPECT_EQ(bigint_from_text("-9223372036854775808", integer), RowError::kNone);
  EXPECT_EQ(integer, INT64_MIN);
  EXPECT_EQ(bigint_from_text("9223372036854775808", integer), RowError::kOutOfRange);
  EXPECT_EQ(bigint_from_text("9223372036854775807.0", integer), RowError::kNone);
  EXPECT_EQ(integer, INT64_MAX);
  EXPECT_EQ(bigint_from_text("1.5", integer), RowError::kOutOfRange);
  EXPECT_EQ(bigint_from_text("+5", integer), RowError::kNone);
  for (const char* const bad : {"", "-", "+", ".", "e", "1e", "1e+", "1 ", " 1", "1.2.3", "0x1",
                                "nan", "inf", "1,5", "١"}) {
    double number = 0;
    Int128 decimal = 0;
    EXPECT_EQ(bigint_from_text(bad, integer), RowError::kInvalidText) << bad;
    EXPECT_EQ(double_from_text(bad, number), RowError::kInvalidText) << bad;
    EXPECT_EQ(decimal_from_text(bad, 10, 2, Inexact::kRound, decimal), RowError::kInvalidText)
        << bad;
  }
  double number = 1;
  EXPECT_EQ(double_from_text("1e-9999", number), RowError::kNone);
  EXPECT_EQ(number, 0);
  EXPECT_EQ(double_from_text("0.000e9999", number), RowError::kNone);
  EXPECT_EQ(double_from_text("1e309", number), RowError::kOutOfRange);
  EXPECT_EQ(double_from_text("-1e309", number), RowError::kOutOfRange);
}

}  // namespace
}  // namespace runnel::storage::views
