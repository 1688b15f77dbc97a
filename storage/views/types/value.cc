#include "storage/views/types/value.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "storage/views/types/decimal.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

template <class T>
int order(const T& a, const T& b) noexcept {
  return a < b ? -1 : b < a ? 1 : 0;
}

int compare_doubles(double a, double b) noexcept {
  const bool a_nan = std::isnan(a);
  const bool b_nan = std::isnan(b);
  return a_nan || b_nan ? order(a_nan, b_nan) : order(a, b);
}

int compare_texts(std::string_view a, std::string_view b) noexcept {
  const std::size_t common = std::min(a.size(), b.size());
  const int bytes = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  return bytes != 0 ? bytes : order(a.size(), b.size());
}

/// The finaliser of splitmix64.
std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::uint64_t hash_of_decimal(Int128 value, unsigned scale) noexcept {
  while (scale != 0 && value % 10 == 0) {
    value /= 10;
    --scale;
  }
  const auto bits = static_cast<Uint128>(value);
  return mix(static_cast<std::uint64_t>(bits) ^
             mix(static_cast<std::uint64_t>(bits >> 64) + scale));
}

std::uint64_t hash_of_double(double value) noexcept {
  if (value == 0) value = 0;  // -0 equals 0
  if (std::isnan(value)) value = std::nan("");
  return mix(std::bit_cast<std::uint64_t>(value));
}

}  // namespace

int compare(const Value& a, const Value& b) noexcept {
  if (a.tag() != b.tag()) {
    if (a.is_null() || b.is_null()) return a.is_null() ? 1 : -1;
    return order(a.tag(), b.tag());
  }
  switch (a.tag()) {
    case Tag::kNull:
      return 0;
    case Tag::kBoolean:
      return order(a.as_boolean(), b.as_boolean());
    case Tag::kBigint:
      return order(a.as_bigint(), b.as_bigint());
    case Tag::kDouble:
      return compare_doubles(a.as_double(), b.as_double());
    case Tag::kDecimal:
      return compare_decimals(a.as_decimal(), a.scale(), b.as_decimal(), b.scale());
    case Tag::kText:
      return compare_texts(a.as_text(), b.as_text());
    case Tag::kTimestamp:
      return order(a.as_timestamp(), b.as_timestamp());
    case Tag::kDate:
      return order(a.as_date(), b.as_date());
  }
  return 0;
}

std::uint64_t hash_of(const Value& value) noexcept {
  const auto seed = static_cast<std::uint64_t>(value.tag()) << 56;
  switch (value.tag()) {
    case Tag::kNull:
      return mix(seed + 1);
    case Tag::kBoolean:
      return mix(seed + (value.as_boolean() ? 2 : 1));
    case Tag::kBigint:
      return mix(seed ^ static_cast<std::uint64_t>(value.as_bigint()));
    case Tag::kDouble:
      return seed ^ hash_of_double(value.as_double());
    case Tag::kDecimal:
      return seed ^ hash_of_decimal(value.as_decimal(), value.scale());
    case Tag::kText:
      return seed ^ std::hash<std::string_view>{}(value.as_text());
    case Tag::kTimestamp:
      return mix(seed ^ static_cast<std::uint64_t>(value.as_timestamp()));
    case Tag::kDate:
      return mix(seed ^ static_cast<std::uint64_t>(value.as_date()));
  }
  return 0;
}

std::string to_string(const Value& value) {
  switch (value.tag()) {
    case Tag::kNull:
      return "NULL";
    case Tag::kBoolean:
      return value.as_boolean() ? "true" : "false";
    case Tag::kBigint:
      return std::to_string(value.as_bigint());
    case Tag::kDouble:
      return double_to_text(value.as_double());
    case Tag::kDecimal:
      return decimal_to_text(value.as_decimal(), value.scale());
    case Tag::kText:
      return std::string(value.as_text());
    case Tag::kTimestamp:
      return timestamp_to_text(value.as_timestamp());
    case Tag::kDate:
      return date_to_text(value.as_date());
  }
  return {};
}

}  // namespace runnel::storage::views
