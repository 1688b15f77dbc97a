#include "storage/views/types/time_zone_file.h"

#include <array>
#include <chrono>
#include <limits>
#include <optional>

#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSecondsPerDay = 86'400;

/// Big-endian integers from the front of a text; what is missing reads as failure.
class Bytes {
 public:
  explicit Bytes(std::string_view rest) : rest_(rest) {}

  std::optional<std::string_view> take(std::size_t size) {
    if (size > rest_.size()) return std::nullopt;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::int64_t integer(std::string_view bytes) {
  std::uint64_t value = (bytes[0] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(value);
}

struct Header {
  std::size_t utc_flags, standard_flags, leaps, times, types, letters;

  [[nodiscard]] std::size_t body_bytes(std::size_t time_bytes) const {
    return times * time_bytes + times + types * 6 + letters + leaps * (time_bytes + 4) +
           standard_flags + utc_flags;
  }
};

std::optional<Header> take_header(Bytes& bytes) {
  constexpr std::size_t kHeaderBytes = 44;
  const auto header = bytes.take(kHeaderBytes);
  if (!header || !header->starts_with("TZif") || (*header)[4] < '2') return std::nullopt;
  std::array<std::size_t, 6> counts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::int64_t count = integer(header->substr(20 + 4 * i, 4));
    if (count < 0) return std::nullopt;
    counts[i] = static_cast<std::size_t>(count);
  }
  return Header{counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
}

// ---------------------------------------------------------------- the rule at the file's end
/// "M3.5.0/2", "J60", "59": a day of the year and the local time of the change.
struct Change {
  enum class Kind : std::uint8_t {
    kMonthWeekDay,
    kDayWithoutLeap,
    kDay
  } kind = Kind::kMonthWeekDay;
  std::int64_t month = 0, week = 0, day = 0;
  std::int64_t seconds = 2 * 3600;

  /// Seconds of local time since 1970.
  [[nodiscard]] std::int64_t in(int year) const {
    const std::int64_t first = day_of(year, 1, 1);
    if (kind == Kind::kDay) return (first + day) * kSecondsPerDay + seconds;
    if (kind == Kind::kDayWithoutLeap) {
      const bool leap = std::chrono::year(year).is_leap();
      return (first + day - 1 + (leap && day >= 60 ? 1 : 0)) * kSecondsPerDay + seconds;
    }
    const auto month_begins = day_of(year, static_cast<unsigned>(month), 1);
    // 1 January 1970 was a Thursday, day 4 of the week.
    const std::int64_t weekday = ((month_begins + 4) % 7 + 7) % 7;
    std::int64_t found = month_begins + (day - weekday + 7) % 7 + (week - 1) * 7;
    const std::int64_t next =
        month == 12 ? day_of(year + 1, 1, 1) : day_of(year, static_cast<unsigned>(month) + 1, 1);
    while (found >= next) found -= 7;
    return found * kSecondsPerDay + seconds;
  }
};

struct Rule {
  std::int64_t standard = 0;  ///< seconds east of UTC
  std::int64_t summer = 0;
  std::optional<std::pair<Change, Change>> changes;  ///< to summer time, and back
};

class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  std::optional<Rule> read() {
    Rule rule;
    if (!letters()) return std::nullopt;
    const auto west = clock();
    if (!west) return std::nullopt;
    rule.standard = -*west;
    if (text_.empty()) return rule;
    if (!letters()) return std::nullopt;
    rule.summer = rule.standard + 3600;
    if (!text_.empty() && text_[0] != ',') {
      const auto summer_west = clock();
      if (!summer_west) return std::nullopt;
      rule.summer = -*summer_west;
    }
    const auto there = change();
    const auto back = change();
    if (!there || !back || !text_.empty()) return std::nullopt;
    rule.changes.emplace(*there, *back);
    return rule;
  }

 private:
  bool accept(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool letters() {
    const bool quoted = accept('<');
    std::size_t size = 0;
    const auto fits = [&](char c) {
      return quoted ? c != '>' : (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    while (size < text_.size() && fits(text_[size])) ++size;
    text_.remove_prefix(size);
    return size != 0 && (!quoted || accept('>'));
  }
  std::optional<std::int64_t> number() {
    constexpr std::int64_t kMost = 1000;
    if (text_.empty() || text_[0] < '0' || text_[0] > '9') return std::nullopt;
    std::int64_t value = 0;
    while (!text_.empty() && text_[0] >= '0' && text_[0] <= '9' && value < kMost) {
      value = value * 10 + (text_[0] - '0');
      text_.remove_prefix(1);
    }
    return value;
  }
  /// [+-]hours[:minutes[:seconds]] in seconds.
  std::optional<std::int64_t> clock() {
    const bool negative = accept('-');
    if (!negative) accept('+');
    std::int64_t seconds = 0;
    std::int64_t unit = 3600;
    do {
      const auto part = number();
      if (!part) return std::nullopt;
      seconds += *part * unit;
      unit /= 60;
    } while (unit != 0 && accept(':'));
    return negative ? -seconds : seconds;
  }
  std::optional<Change> change() {
    if (!accept(',')) return std::nullopt;
    Change made;
    if (accept('M')) {
      const auto month = number();
      const bool first = accept('.');
      const auto week = number();
      const bool second = accept('.');
      const auto day = number();
      if (!month || !week || !day || !first || !second) return std::nullopt;
      if (*month < 1 || *month > 12 || *week < 1 || *week > 5 || *day > 6) return std::nullopt;
      made.month = *month;
      made.week = *week;
      made.day = *day;
    } else {
      made.kind = accept('J') ? Change::Kind::kDayWithoutLeap : Change::Kind::kDay;
      const auto day = number();
      if (!day) return std::nullopt;
      made.day = *day;
    }
    if (!accept('/')) return made;
    const auto at = clock();
    if (!at) return std::nullopt;
    made.seconds = *at;
    return made;
  }

  std::string_view text_;
};

// ---------------------------------------------------------------- stretches
class Stretches {
 public:
  explicit Stretches(std::int64_t first_offset) {
    stretches_.push_back({kLeast, kGreatest, first_offset * kMicrosPerSecond});
  }
  /// From `second` on the offset is another one; seconds that go back are passed over.
  void change(std::int64_t second, std::int64_t offset) {
    if (second < kMinTimestamp / kMicrosPerSecond) {
      stretches_.back().offset = offset * kMicrosPerSecond;
      return;
    }
    if (second > kMaxTimestamp / kMicrosPerSecond) return;
    const std::int64_t instant = second * kMicrosPerSecond;
    Stretch& last = stretches_.back();
    if (instant <= last.begin || last.offset == offset * kMicrosPerSecond) return;
    last.end = instant;
    stretches_.push_back({instant, kGreatest, offset * kMicrosPerSecond});
  }
  void follow(const Rule& rule, int first_year) {
    if (!rule.changes) return;
    for (int year = first_year; year <= kLastZoneYear; ++year) {
      const std::pair there{rule.changes->first.in(year)-rule.standard, rule.summer};
      const std::pair back{rule.changes->second.in(year)-rule.summer, rule.standard};
      const bool north = there.first < back.first;
      for (const auto& [second, offset] : {north ? there : back, north ? back : there}) {
        if (second > last_) change(second, offset);
      }
    }
  }
  void passed(std::int64_t second) { last_ = second; }
  std::vector<Stretch> take() { return std::move(stretches_); }

 private:
  std::vector<Stretch> stretches_;
  std::int64_t last_ = kLeast;  ///< the last change that the file itself lists
};

}  // namespace

std::vector<Stretch> read_time_zone_file(std::string_view file) {
  Bytes bytes(file);
  const auto first = take_header(bytes);
  if (!first || !bytes.take(first->body_bytes(4))) return {};
  const auto header = take_header(bytes);
  if (!header || header->types == 0) return {};
  const auto times = bytes.take(header->times * 8);
  const auto indexes = bytes.take(header->times);
  const auto types = bytes.take(header->types * 6);
  const auto unused =
      bytes.take(header->letters + header->leaps * 12 + header->standard_flags + header->utc_flags);
  if (!times || !indexes || !types || !unused) return {};

  const auto offset = [&](std::size_t type) { return integer(types->substr(type * 6, 4)); };
  Stretches stretches(offset(0));
  int next_year = 1970;
  for (std::size_t i = 0; i < header->times; ++i) {
    const auto type = static_cast<unsigned char>((*indexes)[i]);
    if (type >= header->types) return {};
    const std::int64_t second = integer(times->substr(i * 8, 8));
    stretches.change(second, offset(type));
    stretches.passed(second);
    if (second > 0) next_year = parts_of(second * kMicrosPerSecond).year;
  }
  std::string_view footer = bytes.rest();
  if (footer.starts_with('\n') && footer.ends_with('\n') && footer.size() > 2) {
    const auto rule = RuleReader(footer.substr(1, footer.size() - 2)).read();
    if (!rule) return {};
    stretches.follow(*rule, next_year);
  }
  return stretches.take();
}

}  // namespace runnel::storage::views
