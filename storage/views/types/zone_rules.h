// By which rules of a time zone something was computed: governments change them, and the system's
// database follows.
#pragma once

#include <string>
#include <string_view>

#include "storage/views/types/zone.h"

namespace runnel::storage::views {

/// The zone's rules as the system has them now: the database's version, a blank, and 16 hex digits
/// that stand for this zone's changes alone, "2026a 0123456789abcdef". Empty: the zone has no
/// changes (UTC), or is not known. The digits never change their meaning: they are stored.
[[nodiscard]] std::string zone_rules_of(std::string_view zone);
/// What became of the rules by which something was computed: those that the system has now, where
/// they say another thing of the zone; empty: they are the same, whatever the database's version.
[[nodiscard]] std::string zone_rules_instead_of(std::string_view rules, std::string_view zone);

}  // namespace runnel::storage::views
