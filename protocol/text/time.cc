#include "protocol/text/time.h"

#include <array>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "protocol/text/units.h"

namespace runnel::protocol {
namespace {

tl::unexpected<Error> not_a_time(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) +
                  "' is not a time; write for example 2026-11-21T05:00:00Z or 2026-11-21");
}

/// Reads fixed-width digits from the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  bool digits(std::size_t count, int& out) {
    if (rest_.size() < count) return false;
    out = 0;
    for (const char c : rest_.substr(0, count)) {
      if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
      out = out * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// A fraction of a second after its point, to the millisecond.
  bool fraction(int& millis) {
    int scale = 100;
    millis = 0;
    bool any = false;
    while (!rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_.front())) != 0) {
      millis += (rest_.front() - '0') * scale;
      scale /= 10;
      any = true;
      rest_.remove_prefix(1);
    }
    return any;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

struct Clock {
  int hour = 0, minute = 0, second = 0, millis = 0, zone_minutes = 0;
};

bool scan_zone(Scanner& in, Clock& clock) {
  if (in.at_end() || in.take('Z')) return true;
  int sign = 0;
  if (in.take('+')) sign = 1;
  if (sign == 0 && in.take('-')) sign = -1;
  int hours = 0, minutes = 0;
  if (sign == 0 || !in.digits(2, hours)) return false;
  in.take(':');
  if (!in.at_end() && !in.digits(2, minutes)) return false;
  clock.zone_minutes = sign * (hours * 60 + minutes);
  return hours < 24 && minutes < 60;
}

bool scan_clock(Scanner& in, Clock& clock) {
  if (in.at_end()) return true;
  if (!in.take('T') && !in.take(' ')) return false;
  if (!in.digits(2, clock.hour) || !in.take(':') || !in.digits(2, clock.minute)) return false;
  if (in.take(':')) {
    if (!in.digits(2, clock.second)) return false;
    if (in.take('.') && !in.fraction(clock.millis)) return false;
  }
  return clock.hour < 24 && clock.minute < 60 && clock.second < 61 && scan_zone(in, clock);
}

bool looks_like_date(std::string_view text) {
  return text.size() >= 10 && text[4] == '-' && text[7] == '-';
}

tl::unexpected<Error> not_a_place(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) +
                  "' is no place in the log; write start, end, an offset (17), -100 (before the "
                  "end), -2h (ago) or a time (2026-11-21T05:00:00Z)");
}

/// After an '@': a time in any form, milliseconds included.
Result<Place> parse_at(std::string_view text, std::int64_t now) {
  if (text == "start" || text == "end") return parse_place(text, now);
  if (const auto millis = parse_integer(text); millis && *millis >= 0) {
    return Place{Place::Kind::kTime, *millis};
  }
  auto position = parse_place(text, now);
  if (position && position->kind != Place::Kind::kTime) return not_a_place(text);
  return position;
}

/// Where a range's colon is: times hold colons too, so the one that leaves two valid halves.
Result<PlaceRange> split_range(std::string_view text, bool timed, std::int64_t now) {
  const auto parse = [&](std::string_view part) {
    return timed ? parse_at(part, now) : parse_place(part, now);
  };
  for (std::size_t at = text.find(':'); at != std::string_view::npos; at = text.find(':', at + 1)) {
    const std::string_view left = text.substr(0, at);
    const std::string_view right = text.substr(at + 1);
    const auto from = left.empty() ? Result<Place>(Place{}) : parse(left);
    if (!from) continue;
    if (right.empty()) return PlaceRange{*from, {Place::Kind::kEnd, 0}, false};
    const auto to = parse(right);
    if (to) return PlaceRange{*from, *to, true};
  }
  return not_a_place(text);
}

}  // namespace

Result<std::int64_t> parse_time(std::string_view text) {
  Scanner in(text);
  int year = 0, month = 0, day = 0;
  Clock clock;
  if (!in.digits(4, year) || !in.take('-') || !in.digits(2, month) || !in.take('-') ||
      !in.digits(2, day) || !scan_clock(in, clock) || !in.at_end()) {
    return not_a_time(text);
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return not_a_time(text);
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  const std::int64_t minutes = clock.hour * 60 + clock.minute - clock.zone_minutes;
  return std::chrono::milliseconds(days).count() + (minutes * 60 + clock.second) * 1000 +
         clock.millis;
}

std::string format_time(std::int64_t millis, const std::string& pattern) {
  std::int64_t seconds = millis / 1000;
  if (millis % 1000 < 0) --seconds;
  const std::time_t time = seconds;
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) return std::to_string(millis);
  std::array<char, 512> out{};
  const std::size_t length = std::strftime(out.data(), out.size(), pattern.c_str(), &parts);
  return {out.data(), length};
}

std::string format_time(std::int64_t millis) {
  std::array<char, 8> fraction{};
  const auto rest = static_cast<int>(((millis % 1000) + 1000) % 1000);
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", rest);
  return format_time(millis, "%Y-%m-%dT%H:%M:%S") + fraction.data();
}

Result<Place> parse_place(std::string_view text, std::int64_t now) {
  using Kind = Place::Kind;
  if (text == "start" || text == "beginning" || text == "earliest" || text == "oldest") {
    return Place{Kind::kStart, 0};
  }
  if (text == "end" || text == "latest" || text == "newest") return Place{Kind::kEnd, 0};
  if (text == "now") return Place{Kind::kTime, now};
  if (text.starts_with('@')) return parse_at(text.substr(1), now);
  if (looks_like_date(text)) {
    RUNNEL_TRY_ASSIGN(const auto millis, parse_time(text));
    return Place{Kind::kTime, millis};
  }
  if (text.starts_with('+') || text.starts_with('-')) {
    const bool back = text.front() == '-';
    const std::string_view amount = text.substr(1);
    if (const auto count = parse_integer(amount); count && *count >= 0) {
      return Place{back ? Kind::kBeforeEnd : Kind::kAfterStart, *count};
    }
    const auto duration = parse_duration(amount);
    if (!duration) return not_a_place(text);
    return Place{Kind::kTime, back ? now - duration->count() : now + duration->count()};
  }
  const auto offset = parse_integer(text);
  if (!offset || *offset < 0) return not_a_place(text);
  return Place{Kind::kOffset, *offset};
}

Result<PlaceRange> parse_range(std::string_view text, std::int64_t now) {
  const bool timed = text.starts_with('@');
  if (auto position = parse_place(text, now))
    return PlaceRange{*position, {Place::Kind::kEnd, 0}, false};
  return split_range(timed ? text.substr(1) : text, timed, now);
}

}  // namespace runnel::protocol
