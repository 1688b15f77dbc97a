#include "storage/views/types/zone_rules.h"

#include <xxhash.h>

#include "protocol/base/bytes.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kDigits = 16;

/// Empty: the zone has no changes, or is not known.
std::string digits_of(std::string_view zone) {
  const auto found = Zone::find(zone);
  if (!found || (*found)->stretches().size() < 2) return {};
  ByteWriter changes;
  for (const Stretch& stretch : (*found)->stretches()) {
    changes.le(stretch.begin).le(stretch.offset);
  }
  const std::uint64_t hash = XXH3_64bits(changes.str().data(), changes.size());
  static constexpr char kHex[] = "0123456789abcdef";
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += kHex[(hash >> shift) & 0xf];
  return digits;
}

}  // namespace

std::string zone_rules_of(std::string_view zone) {
  const std::string digits = digits_of(zone);
  return digits.empty() ? digits : zone_database_version() + " " + digits;
}

std::string zone_rules_instead_of(std::string_view rules, std::string_view zone) {
  if (rules.size() < kDigits) return {};
  const std::string digits = digits_of(zone);
  if (digits.empty() || rules.ends_with(digits)) return {};
  return zone_database_version() + " " + digits;
}

}  // namespace runnel::storage::views
