#include "protocol/text/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <numeric>
#include <vector>

namespace runnel::protocol {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// Largest first: the formatters take the first that divides.
constexpr std::array<Unit, 5> kSizes{
    {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}}};
constexpr std::array<Unit, 6> kTimes{{{"w", 604'800'000},
                                      {"d", 86'400'000},
                                      {"h", 3'600'000},
                                      {"m", 60'000},
                                      {"s", 1000},
                                      {"ms", 1}}};

/// Splits the digits off the front of `text`; false if there are none or they do not fit.
bool take_number(std::string_view& text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool multiply(std::uint64_t& value, std::uint64_t factor) {
  return !__builtin_mul_overflow(value, factor, &value) &&
         value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

tl::unexpected<Error> not_a(std::string_view what, std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) + "' is not " + std::string(what));
}

/// Letters to insert, remove, replace or swap with their neighbour.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, above[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above.back();
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view kWhat =
      "a size; write bytes or a power of 1024, such as 64KiB or 2GiB";
  std::string_view rest = text;
  std::uint64_t value = 0;
  if (!take_number(rest, value)) return not_a(kWhat, text);
  if (rest.empty()) return value;
  for (const Unit& unit : kSizes) {
    if (rest != unit.name && rest != unit.name.substr(0, 1)) continue;
    if (!multiply(value, unit.factor)) return not_a("a size that this machine can address", text);
    return value;
  }
  return not_a(kWhat, text);
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : kSizes) {
    if (bytes >= unit.factor && bytes % unit.factor == 0) {
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
    }
  }
  return "0B";
}

std::string human_size(double bytes) {
  for (const Unit& unit : kSizes) {
    const double value = bytes / static_cast<double>(unit.factor);
    if (value < 1 && unit.factor > 1) continue;
    std::array<char, 32> out{};
    const int digits = unit.factor == 1 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    std::snprintf(out.data(), out.size(), "%.*f ", digits, value);
    return out.data() + std::string(unit.name);
  }
  return "0 B";
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::string_view kWhat =
      "a duration; write for example 250ms, 10s, 5m, 2h, 7d or 1h30m";
  std::string_view rest = text;
  std::uint64_t total = 0;
  if (rest.empty()) return not_a(kWhat, text);
  while (!rest.empty()) {
    std::uint64_t value = 0;
    if (!take_number(rest, value)) return not_a(kWhat, text);
    if (rest.empty() && total == 0) return std::chrono::milliseconds(value);
    const std::size_t length = std::min(rest.find_first_of("0123456789"), rest.size());
    const std::string_view name = rest.substr(0, length);
    const auto* unit =
        std::find_if(kTimes.begin(), kTimes.end(), [&](const Unit& u) { return u.name == name; });
    if (unit == kTimes.end()) return not_a(kWhat, text);
    if (!multiply(value, unit->factor) || __builtin_add_overflow(total, value, &total)) {
      return not_a("a duration that fits 64 bits of milliseconds", text);
    }
    rest.remove_prefix(length);
  }
  return std::chrono::milliseconds(total);
}

std::string format_duration(std::chrono::milliseconds value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  for (const Unit& unit : kTimes) {
    if (count >= unit.factor && count % unit.factor == 0) {
      return std::to_string(count / unit.factor) + std::string(unit.name);
    }
  }
  return "0ms";
}

Result<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return not_a("a whole number", text);
  }
  return value;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace runnel::protocol
