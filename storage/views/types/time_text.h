// Dates and instants as ISO 8601 text, and as calendar parts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/views/sql/ast.h"
#include "storage/views/types/row_error.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {

/// 0001-01-01 to 9999-12-31: what four digits of a year can show.
inline constexpr std::int32_t kMinDate = -719'162;
inline constexpr std::int32_t kMaxDate = 2'932'896;
/// The instants of these days in UTC.
inline constexpr std::int64_t kMinTimestamp = kMinDate * kMicrosPerDay;
inline constexpr std::int64_t kMaxTimestamp = (kMaxDate + 1) * kMicrosPerDay - 1;

/// What a time shows on the wall. `month` and `day` from 1.
struct LocalParts {
  std::int32_t year = 1970;
  unsigned month = 1;
  unsigned day = 1;
  std::int64_t micros = 0;  ///< of the day, [0, kMicrosPerDay)
};
/// The day since 1970-01-01 of a local time, and its microseconds; rounds towards the past.
[[nodiscard]] std::int64_t day_of(std::int64_t local) noexcept;
[[nodiscard]] LocalParts parts_of(std::int64_t local) noexcept;
/// Of a day that exists.
[[nodiscard]] std::int64_t day_of(std::int32_t year, unsigned month, unsigned day) noexcept;

/// "2026-01-31T10:00:00Z", "2026-01-31 10:00:00.123+01:00". Without an offset it is local time in
/// `zone`; where that is nullptr, kInvalidText. A date alone is its midnight in `zone`. More than
/// six digits of a fraction are cut off. kOutOfRange: outside of the years 1 to 9999.
[[nodiscard]] RowError timestamp_from_text(std::string_view text, const Zone* zone,
                                           std::int64_t& out) noexcept;
/// In UTC: "2026-01-31T10:00:00Z", with three or six digits of a fraction where there is one.
[[nodiscard]] std::string timestamp_to_text(std::int64_t micros);
/// "2026-01-31".
[[nodiscard]] RowError date_from_text(std::string_view text, std::int32_t& out) noexcept;
[[nodiscard]] std::string date_to_text(std::int32_t days);

/// `instant` plus `interval` times `sign` (1 or -1). Months and days count on the wall clock of
/// `zone` (31 January + 1 month is the last of February), the rest in elapsed time.
[[nodiscard]] RowError add_interval(std::int64_t instant, const sql::Interval& interval, int sign,
                                    const Zone& zone, std::int64_t& out) noexcept;
/// The same for a local time; only months and days of the interval count.
[[nodiscard]] RowError add_to_local(std::int64_t local, const sql::Interval& interval, int sign,
                                    std::int64_t& out) noexcept;

enum class TimeField : std::uint8_t {
  kMicrosecond,
  kMillisecond,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  // Of extract alone.
  kDow,
  kIsodow,
  kDoy,
  kIsoyear,
  kEpoch,
};
/// Its name, also in the plural; false: there is none.
[[nodiscard]] bool time_field_of(std::string_view name, TimeField& out) noexcept;
/// The start of the field's span around an instant, on the wall clock of `zone`: kMicrosecond to
/// kYear; weeks begin on Monday. Hours and less keep the offset, so the two equal hours of an
/// autumn night stay apart.
[[nodiscard]] std::int64_t truncate_time(TimeField field, std::int64_t instant,
                                         const Zone& zone) noexcept;
/// The field of a local time, times 10^extract_scale(field); kEpoch: of `instant`.
[[nodiscard]] std::int64_t extract_field(TimeField field, std::int64_t instant,
                                         std::int64_t local) noexcept;
/// Digits behind the point: 6 of seconds and epochs, 3 of milliseconds, else 0.
[[nodiscard]] std::uint8_t extract_scale(TimeField field) noexcept;

}  // namespace runnel::storage::views
