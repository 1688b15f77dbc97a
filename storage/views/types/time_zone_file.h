// The compiled time zone files of the system (TZif, RFC 8536).
#pragma once

#include <string_view>
#include <vector>

#include "storage/views/types/zone.h"

namespace runnel::storage::views {

/// The last year whose changes are worked out from the rule at the end of a file; after it the
/// zone stays as it is then.
inline constexpr int kLastZoneYear = 2400;

/// The stretches of a file of version 2 or later; empty where it is no such file.
[[nodiscard]] std::vector<Stretch> read_time_zone_file(std::string_view file);

}  // namespace runnel::storage::views
