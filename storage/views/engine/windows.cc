#include "storage/views/engine/windows.h"

#include <limits>

#include "protocol/base/assert.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

constexpr std::int64_t kMaxMonths = 400 * 12;
constexpr std::int64_t kMaxMicros = 400 * 366 * kMicrosPerDay;
constexpr std::int64_t kWeek = 7 * kMicrosPerDay;
constexpr std::int64_t kFirstMonday = 4 * kMicrosPerDay;  // 1970-01-05

std::int64_t floor_to(std::int64_t value, std::int64_t step) {
  const std::int64_t rest = value % step;
  return value - rest - (rest < 0 ? step : 0);
}

/// The first of a month, counted from January 1970, as a local time.
std::int64_t month_begin(std::int64_t month) {
  const std::int64_t year = floor_to(month, 12) / 12;
  return day_of(static_cast<std::int32_t>(1970 + year),
                static_cast<unsigned>(month - year * 12 + 1), 1) *
         kMicrosPerDay;
}

std::int64_t month_of(std::int64_t local) {
  const LocalParts parts = parts_of(local);
  return (static_cast<std::int64_t>(parts.year) - 1970) * 12 + parts.month - 1;
}

}  // namespace

Result<Grid> Grid::make(std::shared_ptr<const Zone> zone, const Interval& interval) {
  constexpr std::int64_t kMaxDays = kMaxMicros / kMicrosPerDay;
  const auto refuse = [](const char* what) {
    return fail(ErrorCode::kInvalidArgument, std::string("a window's interval ") + what);
  };
  if (interval.months < 0 || interval.days < 0 || interval.millis < 0) {
    return refuse("must not be negative");
  }
  if (interval.months > kMaxMonths || interval.days > kMaxDays ||
      interval.millis > kMaxMicros / 1000) {
    return refuse("has 400 years at most");
  }
  Grid grid;
  grid.zone_ = std::move(zone);
  grid.months_ = interval.months;
  grid.micros_ = interval.days * kMicrosPerDay + interval.millis * 1000;
  if (grid.months_ > 0 && grid.micros_ > 0) {
    return refuse("is either months and years or days and less, not both");
  }
  if (grid.months_ == 0 && grid.micros_ == 0) return refuse("must be longer than nothing");
  if (grid.micros_ > kMaxMicros) return refuse("has 400 years at most");
  if (grid.micros_ > 0 && grid.micros_ % kWeek == 0) grid.origin_ = kFirstMonday;
  return grid;
}

std::int64_t Grid::multiple_of(const Grid& step) const noexcept {
  if ((months_ > 0) != (step.months_ > 0)) return 0;
  const std::int64_t size = months_ > 0 ? months_ : micros_;
  const std::int64_t part = months_ > 0 ? step.months_ : step.micros_;
  return size % part == 0 ? size / part : 0;
}

std::size_t Grid::stretch_of(std::int64_t instant) {
  const Stretch& last = zone_->stretches()[hint_];
  if (instant < last.begin || instant >= last.end) hint_ = zone_->at(instant);
  return hint_;
}

std::int64_t Grid::floor_local(std::int64_t local) const {
  if (months_ == 0) return origin_ + floor_to(local - origin_, micros_);
  return month_begin(floor_to(month_of(local), months_));
}

std::int64_t Grid::next_local(std::int64_t boundary) const {
  if (months_ == 0) return boundary + micros_;
  return month_begin(month_of(boundary) + months_);
}

bool Grid::is_repeated(std::size_t i, std::int64_t local) const {
  if (i == 0) return false;
  const Stretch& stretch = zone_->stretches()[i];
  const std::int64_t before = zone_->stretches()[i - 1].offset;
  const bool longer = months_ > 0 || micros_ > before - stretch.offset;
  return longer && local < stretch.begin + before;
}

bool Grid::last_in(std::size_t i, std::int64_t upto, std::int64_t& found) const {
  const Stretch& stretch = zone_->stretches()[i];
  const std::int64_t local = floor_local(upto + stretch.offset);
  found = local - stretch.offset;
  if (i == 0) return true;
  if (found >= stretch.begin) return !is_repeated(i, local);
  // Skipped: the clock jumped over it.
  found = stretch.begin;
  return local >= stretch.begin + zone_->stretches()[i - 1].offset;
}

bool Grid::first_in(std::size_t i, std::int64_t after, std::int64_t& found) const {
  const Stretch& stretch = zone_->stretches()[i];
  const bool enters = i > 0 && after < stretch.begin;
  const std::int64_t behind = enters ? stretch.begin - 1 : after;
  const std::int64_t before = floor_local(behind + stretch.offset);
  if (enters && before >= stretch.begin + zone_->stretches()[i - 1].offset) {
    found = stretch.begin;
    return true;
  }
  std::int64_t next = next_local(before);
  if (is_repeated(i, next)) next = next_local(next);
  found = next - stretch.offset;
  return found < stretch.end;
}

std::int64_t Grid::start_at(std::int64_t instant) {
  std::int64_t found = 0;
  for (std::size_t i = stretch_of(instant); !last_in(i, instant, found); --i) {
    RUNNEL_ASSERT(i > 0);
    instant = zone_->stretches()[i].begin - 1;
  }
  return found;
}

std::int64_t Grid::next_after(std::int64_t instant) {
  std::int64_t found = 0;
  for (std::size_t i = stretch_of(instant); !first_in(i, instant, found); ++i) {
    RUNNEL_ASSERT(i + 1 < zone_->stretches().size());
  }
  return found;
}

Result<Windows> Windows::make(const WindowPlan& plan) {
  Windows windows;
  windows.kind_ = plan.kind;
  if (plan.kind == sql::WindowKind::kNone) return windows;
  if (plan.kind == sql::WindowKind::kSession) {
    if (plan.size.months != 0) {
      return fail(ErrorCode::kInvalidArgument, "a session's gap counts in days and less");
    }
    RUNNEL_TRY(Grid::make(nullptr, plan.size));
    windows.gap_micros_ = plan.size.days * kMicrosPerDay + plan.size.millis * 1000;
    return windows;
  }
  RUNNEL_TRY_ASSIGN(std::shared_ptr<const Zone> zone, Zone::find(plan.time_zone));
  RUNNEL_TRY_ASSIGN(Grid size, Grid::make(zone, plan.size));
  if (plan.kind == sql::WindowKind::kTumble) {
    windows.grids_.push_back(std::move(size));
    return windows;
  }
  RUNNEL_TRY_ASSIGN(Grid step, Grid::make(zone, plan.slide));
  windows.slides_ = size.multiple_of(step);
  if (windows.slides_ == 0 || windows.slides_ > kMaxWindowsOfRecord) {
    return fail(ErrorCode::kInvalidArgument, "a window's size must be 1 to " +
                                                 std::to_string(kMaxWindowsOfRecord) +
                                                 " times its slide or step");
  }
  if (plan.kind == sql::WindowKind::kCumulate) {
    step.count_from(size);
    windows.grids_.push_back(std::move(size));
  }
  windows.grids_.push_back(std::move(step));
  return windows;
}

const std::vector<WindowSpan>& Windows::of(std::int64_t instant) {
  if (instant >= same_.start && instant < same_.end) return found_;
  switch (kind_) {
    case sql::WindowKind::kTumble:
      same_ = {grids_[0].start_at(instant), grids_[0].next_after(instant)};
      found_.assign(1, same_);
      break;
    case sql::WindowKind::kHop:
      find_hops(instant);
      break;
    case sql::WindowKind::kCumulate:
      find_cumulated(instant);
      break;
    case sql::WindowKind::kNone:
    case sql::WindowKind::kSession:
      found_.clear();
      break;
  }
  return found_;
}

void Windows::find_hops(std::int64_t instant) {
  Grid& slide = grids_[0];
  const auto n = static_cast<std::size_t>(slides_);
  edges_.resize(2 * n);
  edges_[n - 1] = slide.start_at(instant);
  for (std::size_t i = n - 1; i > 0; --i) edges_[i - 1] = slide.start_at(edges_[i] - 1);
  for (std::size_t i = n; i < 2 * n; ++i) edges_[i] = slide.next_after(edges_[i - 1]);
  found_.clear();
  for (std::size_t i = 0; i < n; ++i) found_.push_back({edges_[i], edges_[i + n]});
  same_ = {edges_[n - 1], edges_[n]};
}

void Windows::find_cumulated(std::int64_t instant) {
  Grid& size = grids_[0];
  Grid& step = grids_[1];
  const WindowSpan whole{size.start_at(instant), size.next_after(instant)};
  found_.clear();
  same_ = {std::max(whole.start, step.start_at(instant)),
           std::min(whole.end, step.next_after(instant))};
  for (std::int64_t end = same_.end;; end = std::min(whole.end, step.next_after(end))) {
    found_.push_back({whole.start, end});
    if (end == whole.end) break;
  }
}

std::int64_t Windows::end_of(std::int64_t start) {
  RUNNEL_ASSERT(!grids_.empty());
  std::int64_t end = start;
  const std::int64_t steps = kind_ == sql::WindowKind::kHop ? slides_ : 1;
  for (std::int64_t i = 0; i < steps; ++i) end = grids_[0].next_after(end);
  return end;
}

}  // namespace runnel::storage::views
