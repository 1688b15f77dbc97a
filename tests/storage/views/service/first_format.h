// Definitions as they were stored before they had defaults, beginnings and rules of time zones.
#pragma once

#include <string>

#include "storage/views/service/definition_entry.h"

namespace runnel::storage::views {

/// `encoded`: of a definition with this one version, with zone rules of less than 128 bytes.
inline std::string as_first_format(std::string encoded, const StoredVersion& version) {
  constexpr std::size_t kDefaultsAndBegun = 1 + 8;
  encoded[0] = 1;
  encoded.resize(encoded.size() - kDefaultsAndBegun - 1 - version.zone_rules.size());
  return encoded;
}

}  // namespace runnel::storage::views
