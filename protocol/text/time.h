// Points in time and in the log, as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/base/error.h"

namespace runnel::protocol {

/// "2026-11-21", "2026-11-21T05:00", "2026-11-21T05:00:10.5Z", "...+02:00", or a space for the T.
/// Without a zone: UTC. Milliseconds since 1970.
[[nodiscard]] Result<std::int64_t> parse_time(std::string_view text);
/// "2026-11-21T05:00:10.500Z".
[[nodiscard]] std::string format_time(std::int64_t millis);
/// strftime in UTC.
[[nodiscard]] std::string format_time(std::int64_t millis, const std::string& pattern);

/// A place in each partition's log.
struct Place {
  enum class Kind {
    kStart,       ///< the first record that is kept
    kEnd,         ///< after the last record
    kOffset,      ///< `value`
    kTime,        ///< the first record at or after `value`, milliseconds since 1970
    kBeforeEnd,   ///< `value` offsets before the end
    kAfterStart,  ///< `value` offsets after the start
  };
  Kind kind = Kind::kStart;
  std::int64_t value = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

/// "start", "end", "17" (offset), "-100" (before the end), "+100" (after the start), "-2h" (ago),
/// "now", "@1760000000000" or "@2026-11-21" or a bare time. `now` in milliseconds since 1970.
[[nodiscard]] Result<Place> parse_place(std::string_view text, std::int64_t now);

/// kcat's and rpk's -o: a position, or a range: "17:20", "@t1:t2", "@-48h:-24h", ":end". The end
/// is exclusive; left out it is kEnd and `bounded` is false.
struct PlaceRange {
  Place from;
  Place to{Place::Kind::kEnd, 0};
  bool bounded = false;
};
[[nodiscard]] Result<PlaceRange> parse_range(std::string_view text, std::int64_t now);

}  // namespace runnel::protocol
