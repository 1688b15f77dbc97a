#include "protocol/filter/decimal.h"

#include <algorithm>
#include <charconv>

namespace runnel::protocol {
namespace {

/// Exponents beyond this are no numbers of anybody's books.
constexpr std::int64_t kMaxExponent = 1'000'000;

}  // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal out;
  if (text.starts_with('-')) {
    out.negative = true;
    text.remove_prefix(1);
  }
  bool point = false;
  bool any = false;
  while (!text.empty() && text.front() != 'e' && text.front() != 'E') {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any = true;
    if (!point) ++out.exponent;
    out.digits += c;
  }
  if (!any) return std::nullopt;
  if (!text.empty()) {
    text.remove_prefix(text.size() > 1 && text[1] == '+' ? 2 : 1);
    std::int64_t exponent = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (exponent > kMaxExponent || exponent < -kMaxExponent) return std::nullopt;
    out.exponent += exponent;
  }
  const std::size_t leading = std::min(out.digits.find_first_not_of('0'), out.digits.size());
  out.digits.erase(0, leading);
  out.exponent -= static_cast<std::int64_t>(leading);
  while (out.digits.ends_with('0')) out.digits.pop_back();
  if (out.digits.empty()) out = Decimal();
  return out;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int way = a.negative ? -1 : 1;
  if (a.digits.empty() || b.digits.empty()) {
    return way * (static_cast<int>(!a.digits.empty()) - static_cast<int>(!b.digits.empty()));
  }
  if (a.exponent != b.exponent) return a.exponent < b.exponent ? -way : way;
  // Digits stand left-aligned, so their order as text is their order as fractions.
  const int order = a.digits.compare(b.digits);
  return order == 0 ? 0 : (order < 0 ? -way : way);
}

Result<int> compare_numbers(std::string_view a, std::string_view b) {
  const auto left = parse_decimal(a);
  const auto right = parse_decimal(b);
  if (left && right) return compare(*left, *right);
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(left ? b : a) + "' is no decimal number");
}

}  // namespace runnel::protocol
