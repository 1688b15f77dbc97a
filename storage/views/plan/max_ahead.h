// How far events may be ahead of their records, of views that were defined before there was a
// bound.
#pragma once

#include <cstdint>
#include <limits>

namespace runnel::storage::views {

/// ViewOptions::max_ahead_micros of a view without a bound: every time is believed.
inline constexpr std::int64_t kNoMaxAhead = std::numeric_limits<std::int64_t>::max();

}  // namespace runnel::storage::views
