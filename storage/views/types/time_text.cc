#include "storage/views/types/time_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace runnel::storage::views {
namespace {

constexpr std::int64_t kMicrosPerMinute = 60 * kMicrosPerSecond;
constexpr std::int64_t kMicrosPerHour = 60 * kMicrosPerMinute;

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  bool accept(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Exactly `digits` digits.
  bool number(std::size_t digits, std::int64_t& out) {
    if (rest_.size() < digits) return false;
    out = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return false;
      out = out * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return true;
  }
  bool date(std::int64_t& day) {
    std::int64_t year = 0;
    std::int64_t month = 0;
    std::int64_t in_month = 0;
    if (!number(4, year) || !accept('-') || !number(2, month) || !accept('-') ||
        !number(2, in_month)) {
      return false;
    }
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(in_month))};
    if (!date.ok() || year == 0) return false;
    day = std::chrono::sys_days(date).time_since_epoch().count();
    return true;
  }
  bool time(std::int64_t& micros) {
    std::int64_t hours = 0;
    std::int64_t minutes = 0;
    std::int64_t seconds = 0;
    if (!number(2, hours) || !accept(':') || !number(2, minutes)) return false;
    if (accept(':') && !number(2, seconds)) return false;
    if (hours > 23 || minutes > 59 || seconds > 59) return false;
    micros = ((hours * 60 + minutes) * 60 + seconds) * kMicrosPerSecond;
    return !accept('.') || fraction(micros);
  }
  /// "Z", "+01:00", "-0530", "+01".
  bool offset(std::int64_t& micros) {
    micros = 0;
    if (accept('Z') || accept('z')) return true;
    const bool negative = !rest_.empty() && rest_[0] == '-';
    if (!accept('-') && !accept('+')) return false;
    std::int64_t hours = 0;
    std::int64_t minutes = 0;
    if (!number(2, hours)) return false;
    if (accept(':') ? !number(2, minutes) : !rest_.empty() && !number(2, minutes)) return false;
    if (hours > 15 || minutes > 59) return false;
    micros = hours * kMicrosPerHour + minutes * kMicrosPerMinute;
    if (negative) micros = -micros;
    return true;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  bool fraction(std::int64_t& micros) {
    std::int64_t unit = kMicrosPerSecond;
    std::int64_t digit = 0;
    if (!number(1, digit)) return false;
    do {
      unit /= 10;
      micros += digit * unit;
    } while (number(1, digit));
    return true;
  }

  std::string_view rest_;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

struct FieldRow {
  std::string_view name;
  TimeField field;
};
constexpr std::array<FieldRow, 15> kFields{{{"microsecond", TimeField::kMicrosecond},
                                            {"millisecond", TimeField::kMillisecond},
                                            {"second", TimeField::kSecond},
                                            {"minute", TimeField::kMinute},
                                            {"hour", TimeField::kHour},
                                            {"day", TimeField::kDay},
                                            {"week", TimeField::kWeek},
                                            {"month", TimeField::kMonth},
                                            {"quarter", TimeField::kQuarter},
                                            {"year", TimeField::kYear},
                                            {"dow", TimeField::kDow},
                                            {"isodow", TimeField::kIsodow},
                                            {"doy", TimeField::kDoy},
                                            {"isoyear", TimeField::kIsoyear},
                                            {"epoch", TimeField::kEpoch}}};

/// Monday is 0.
std::int64_t weekday(std::int64_t day) {
  return day + 3 - floor_divide(day + 3, 7) * 7;
}

/// The year and week that ISO 8601 counts a day in: those of its Thursday.
std::pair<std::int64_t, std::int64_t> iso_week(std::int64_t day) {
  const std::int64_t thursday = day - weekday(day) + 3;
  const std::int32_t year = parts_of(thursday * kMicrosPerDay).year;
  return {year, (thursday - day_of(year, 1, 1)) / 7 + 1};
}

}  // namespace

std::int64_t day_of(std::int64_t local) noexcept {
  return floor_divide(local, kMicrosPerDay);
}

LocalParts parts_of(std::int64_t local) noexcept {
  const std::int64_t day = day_of(local);
  const std::chrono::year_month_day date{
      std::chrono::sys_days(std::chrono::days(static_cast<std::int32_t>(day)))};
  return {static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()), local - day * kMicrosPerDay};
}

std::int64_t day_of(std::int32_t year, unsigned month, unsigned day) noexcept {
  return std::chrono::sys_days(std::chrono::year_month_day{std::chrono::year(year),
                                                           std::chrono::month(month),
                                                           std::chrono::day(day)})
      .time_since_epoch()
      .count();
}

RowError timestamp_from_text(std::string_view text, const Zone* zone, std::int64_t& out) noexcept {
  Reader reader(trimmed(text));
  std::int64_t day = 0;
  std::int64_t micros = 0;
  std::int64_t offset = 0;
  if (!reader.date(day)) return RowError::kInvalidText;
  if (!reader.at_end()) {
    if (!reader.accept('T') && !reader.accept('t') && !reader.accept(' ')) {
      return RowError::kInvalidText;
    }
    if (!reader.time(micros)) return RowError::kInvalidText;
  }
  const std::int64_t local = day * kMicrosPerDay + micros;
  if (reader.at_end()) {
    if (zone == nullptr) return RowError::kInvalidText;
    out = zone->to_utc(local);
  } else {
    reader.accept(' ');
    if (!reader.offset(offset) || !reader.at_end()) return RowError::kInvalidText;
    out = local - offset;
  }
  return out < kMinTimestamp || out > kMaxTimestamp ? RowError::kOutOfRange : RowError::kNone;
}

std::string timestamp_to_text(std::int64_t micros) {
  const LocalParts parts = parts_of(micros);
  const std::int64_t seconds = parts.micros / kMicrosPerSecond;
  const std::int64_t fraction = parts.micros % kMicrosPerSecond;
  std::array<char, 64> text;
  int size = std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", parts.year,
                           parts.month, parts.day, static_cast<int>(seconds / 3600),
                           static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  std::string made(text.data(), static_cast<std::size_t>(size));
  if (fraction != 0) {
    const bool millis = fraction % 1000 == 0;
    size = millis
               ? std::snprintf(text.data(), text.size(), ".%03d", static_cast<int>(fraction / 1000))
               : std::snprintf(text.data(), text.size(), ".%06d", static_cast<int>(fraction));
    made.append(text.data(), static_cast<std::size_t>(size));
  }
  return made + "Z";
}

RowError date_from_text(std::string_view text, std::int32_t& out) noexcept {
  Reader reader(trimmed(text));
  std::int64_t day = 0;
  if (!reader.date(day) || !reader.at_end()) return RowError::kInvalidText;
  out = static_cast<std::int32_t>(day);
  return RowError::kNone;
}

std::string date_to_text(std::int32_t days) {
  const LocalParts parts = parts_of(days * kMicrosPerDay);
  std::array<char, 32> text;
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", parts.year, parts.month, parts.day);
  return {text.data(), static_cast<std::size_t>(size)};
}

RowError add_to_local(std::int64_t local, const sql::Interval& interval, int sign,
                      std::int64_t& out) noexcept {
  constexpr std::int64_t kMost = 400'000'000;  // days, and months: beyond every calendar
  if (std::abs(interval.months) > kMost || std::abs(interval.days) > kMost) {
    return RowError::kOutOfRange;
  }
  LocalParts parts = parts_of(local);
  std::int64_t day = day_of(local);
  if (interval.months != 0) {
    const std::int64_t months =
        parts.year * std::int64_t{12} + (parts.month - 1) + sign * interval.months;
    const std::int64_t year = floor_divide(months, 12);
    if (year < 1 || year > 9999) return RowError::kOutOfRange;
    const auto month = static_cast<unsigned>(months - year * 12 + 1);
    const std::chrono::year_month_day_last last{
        std::chrono::year(static_cast<int>(year)),
        std::chrono::month_day_last{std::chrono::month(month)}};
    const unsigned in_month = std::min(parts.day, static_cast<unsigned>(last.day()));
    day = day_of(static_cast<std::int32_t>(year), month, in_month);
  }
  day += sign * interval.days;
  if (day < kMinDate || day > kMaxDate) return RowError::kOutOfRange;
  out = day * kMicrosPerDay + parts.micros;
  return RowError::kNone;
}

RowError add_interval(std::int64_t instant, const sql::Interval& interval, int sign,
                      const Zone& zone, std::int64_t& out) noexcept {
  out = instant;
  if (interval.months != 0 || interval.days != 0) {
    std::int64_t local = 0;
    if (const RowError why = add_to_local(zone.to_local(instant), interval, sign, local);
        why != RowError::kNone) {
      return why;
    }
    out = zone.to_utc(local);
  }
  constexpr std::int64_t kMostMillis = (kMaxTimestamp - kMinTimestamp) / 1000;
  if (std::abs(interval.millis) > kMostMillis) return RowError::kOutOfRange;
  out += sign * interval.millis * 1000;
  return out < kMinTimestamp || out > kMaxTimestamp ? RowError::kOutOfRange : RowError::kNone;
}

bool time_field_of(std::string_view name, TimeField& out) noexcept {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const FieldRow& row : kFields) {
    const bool plural = lower.size() == row.name.size() + 1 && lower.back() == 's';
    if (lower != row.name && !(plural && lower.starts_with(row.name))) continue;
    out = row.field;
    return true;
  }
  return false;
}

std::int64_t truncate_time(TimeField field, std::int64_t instant, const Zone& zone) noexcept {
  const std::int64_t offset = zone.offset_at(instant);
  const std::int64_t local = instant + offset;
  const auto by = [&](std::int64_t unit) { return floor_divide(local, unit) * unit - offset; };
  const std::int64_t day = day_of(local);
  std::int64_t first = day;
  switch (field) {
    case TimeField::kMicrosecond:
      return instant;
    case TimeField::kMillisecond:
      return by(1000);
    case TimeField::kSecond:
      return by(kMicrosPerSecond);
    case TimeField::kMinute:
      return by(kMicrosPerMinute);
    case TimeField::kHour:
      return by(kMicrosPerHour);
    case TimeField::kWeek:
      first = day - weekday(day);
      break;
    case TimeField::kMonth:
    case TimeField::kQuarter:
    case TimeField::kYear: {
      const LocalParts parts = parts_of(local);
      const unsigned month = field == TimeField::kMonth     ? parts.month
                             : field == TimeField::kQuarter ? (parts.month - 1) / 3 * 3 + 1
                                                            : 1;
      first = day_of(parts.year, month, 1);
      break;
    }
    default:
      break;
  }
  return zone.to_utc(first * kMicrosPerDay);
}

std::int64_t extract_field(TimeField field, std::int64_t instant, std::int64_t local) noexcept {
  const LocalParts parts = parts_of(local);
  const std::int64_t day = day_of(local);
  switch (field) {
    case TimeField::kMicrosecond:
    case TimeField::kMillisecond:
    case TimeField::kSecond:
      return parts.micros % kMicrosPerMinute;
    case TimeField::kMinute:
      return parts.micros / kMicrosPerMinute % 60;
    case TimeField::kHour:
      return parts.micros / kMicrosPerHour;
    case TimeField::kDay:
      return parts.day;
    case TimeField::kWeek:
      return iso_week(day).second;
    case TimeField::kMonth:
      return parts.month;
    case TimeField::kQuarter:
      return (parts.month - 1) / 3 + 1;
    case TimeField::kYear:
      return parts.year;
    case TimeField::kDow:
      return (weekday(day) + 1) % 7;
    case TimeField::kIsodow:
      return weekday(day) + 1;
    case TimeField::kDoy:
      return day - day_of(parts.year, 1, 1) + 1;
    case TimeField::kIsoyear:
      return iso_week(day).first;
    case TimeField::kEpoch:
      return instant;
  }
  return 0;
}

std::uint8_t extract_scale(TimeField field) noexcept {
  constexpr std::uint8_t kMicros = 6;
  constexpr std::uint8_t kMillis = 3;
  if (field == TimeField::kSecond || field == TimeField::kEpoch) return kMicros;
  return field == TimeField::kMillisecond ? kMillis : 0;
}

}  // namespace runnel::storage::views
