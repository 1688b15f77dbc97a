// Which windows a moment belongs to.
//
// Windows start where the local clock of the view's zone shows a whole multiple of their size (or
// slide): hours at :00, days at midnight, weeks on Mondays, months on the first; the steps of
// CUMULATE count from their window's start. They
// follow each other without gap or overlap whatever the clock does:
//   - a start that the clock skips in spring is the moment of the change;
//   - a start that it shows twice in autumn counts twice where windows are no longer than what is
//     repeated (the two hours from 2 to 3 are two windows), otherwise the first time (the day has
//     25 hours).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/base/error.h"
#include "storage/views/plan/plan.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {

/// Windows that one moment may belong to (HOP, CUMULATE).
inline constexpr std::int64_t kMaxWindowsOfRecord = 1000;

/// [start, end), microseconds since the epoch.
struct WindowSpan {
  std::int64_t start = 0;
  std::int64_t end = 0;
  friend bool operator==(const WindowSpan&, const WindowSpan&) = default;
};

/// The moments at which a local clock shows whole multiples of an interval. Not thread safe: it
/// remembers the last stretch of the zone.
class Grid {
 public:
  /// kInvalidArgument: months together with days or less, nothing, or more than 400 years.
  [[nodiscard]] static Result<Grid> make(std::shared_ptr<const Zone> zone,
                                         const Interval& interval);

  /// The last one at or before `instant`.
  [[nodiscard]] std::int64_t start_at(std::int64_t instant);
  /// The first one behind `instant`.
  [[nodiscard]] std::int64_t next_after(std::int64_t instant);
  /// Its multiples are counted from where those of `other` are, of which it is a part.
  void count_from(const Grid& other) noexcept { origin_ = other.origin_; }
  /// How many of `step` make this interval; 0: no whole number.
  [[nodiscard]] std::int64_t multiple_of(const Grid& step) const noexcept;

 private:
  Grid() = default;
  [[nodiscard]] std::size_t stretch_of(std::int64_t instant);
  [[nodiscard]] std::int64_t floor_local(std::int64_t local) const;
  [[nodiscard]] std::int64_t next_local(std::int64_t boundary) const;
  /// A local time that stretch `i` shows, though the one before it showed it already.
  [[nodiscard]] bool is_repeated(std::size_t i, std::int64_t local) const;
  [[nodiscard]] bool last_in(std::size_t i, std::int64_t upto, std::int64_t& found) const;
  [[nodiscard]] bool first_in(std::size_t i, std::int64_t after, std::int64_t& found) const;

  std::shared_ptr<const Zone> zone_;
  std::int64_t months_ = 0;
  std::int64_t micros_ = 0;  ///< of local time, if months_ is 0
  std::int64_t origin_ = 0;
  std::size_t hint_ = 0;
};

/// Not thread safe.
class Windows {
 public:
  /// kInvalidArgument: an unknown zone, a size that is no multiple of the slide or the step, or
  /// more than kMaxWindowsOfRecord of them.
  [[nodiscard]] static Result<Windows> make(const WindowPlan& plan);

  [[nodiscard]] sql::WindowKind kind() const noexcept { return kind_; }
  /// The windows that hold `instant`, by start and end. Not for sessions. Valid until the next
  /// call.
  [[nodiscard]] const std::vector<WindowSpan>& of(std::int64_t instant);
  /// The end of the (of CUMULATE: the longest) window that starts at `start`.
  [[nodiscard]] std::int64_t end_of(std::int64_t start);
  /// Of sessions: two events this far apart are in two of them.
  [[nodiscard]] std::int64_t gap_micros() const noexcept { return gap_micros_; }

 private:
  Windows() = default;
  void find_hops(std::int64_t instant);
  void find_cumulated(std::int64_t instant);

  sql::WindowKind kind_ = sql::WindowKind::kNone;
  std::vector<Grid> grids_;  ///< of TUMBLE the size; HOP the slide; CUMULATE size and step
  std::int64_t slides_ = 1;  ///< that a window of HOP is long
  std::int64_t gap_micros_ = 0;
  WindowSpan same_;  ///< found_ holds for every moment in here
  std::vector<WindowSpan> found_;
  std::vector<std::int64_t> edges_;
};

}  // namespace runnel::storage::views
