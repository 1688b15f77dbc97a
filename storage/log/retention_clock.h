// The time that expiry believes. A wall clock that is wrong must not delete a year of data.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "storage/env/clock.h"

namespace runnel::storage {

/// Follows the wall clock as long as it is not ahead of the time that is known to have passed: what
/// went by while the broker ran, by the monotonic clock, and what is known to have gone by while it
/// did not. So nothing grows old by a step of the wall clock, in a run or between two of them.
///
/// Between two runs that is what the machine's monotonic clock says, which counts on while the
/// machine is up; of the rest, kSlack at most is taken from the wall clock. One that is behind is
/// followed at once: that deletes nothing. Has it been behind for kSettled of running, the time
/// before was the wrong one.
/// One thread at a time.
class RetentionClock {
 public:
  using Milliseconds = std::chrono::milliseconds;
  /// The wall clock may be this far ahead without a question.
  static constexpr Milliseconds kSlack{3600 * 1000};
  static constexpr Milliseconds kSettled{24 * 3600 * 1000};

  /// What one run leaves to the next.
  struct Kept {
    Timestamp time;  ///< that is known to have passed
    Timestamp wall;  ///< what the clocks said then
    std::chrono::nanoseconds monotonic{0};
  };

  /// `last`: what an earlier run left; nothing for a new store. `trust`: the wall clock is right,
  /// however far it went. Call it first.
  void start(const std::optional<Kept>& last, bool trust, Clock& clock) {
    const Timestamp wall = clock.now();
    const auto monotonic = clock.monotonic();
    Timestamp time = wall;
    if (last && !trust) {
      // After the machine was started anew its clock begins at 0 and says a part of it.
      const bool same_boot = monotonic >= last->monotonic;
      const Milliseconds apparent{std::max<std::int64_t>(0, wall.value() - last->wall.value())};
      // On another machine that clock says nothing, so the wall clock has to agree.
      const Milliseconds known =
          std::min(apparent, since(same_boot ? last->monotonic : kBoot, monotonic));
      const Milliseconds rest = std::clamp(apparent - known, Milliseconds(0), kSlack);
      time = last->time + (known + rest).count();
    }
    settle(time, monotonic);
  }

  /// The wall time, or less while it is ahead of what is known to have passed; `doubted` says so.
  [[nodiscard]] Timestamp now(Clock& clock, bool& doubted) {
    const Timestamp wall = clock.now();
    const auto monotonic = clock.monotonic();
    const Timestamp known = time_ + since(monotonic_, monotonic).count();
    doubted = wall > known + kSlack.count();
    if (wall + kSlack.count() >= known) {
      behind_since_.reset();
    } else if (!behind_since_) {
      behind_since_ = monotonic;
    } else if (since(*behind_since_, monotonic) >= kSettled) {
      settle(wall, monotonic);
    }
    return doubted ? known : wall;
  }

  [[nodiscard]] Kept keep(Clock& clock) const {
    const auto monotonic = clock.monotonic();
    return {time_ + since(monotonic_, monotonic).count(), clock.now(), monotonic};
  }

 private:
  static constexpr std::chrono::nanoseconds kBoot{0};

  static Milliseconds since(std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
    return std::chrono::duration_cast<Milliseconds>(to - from);
  }
  void settle(Timestamp time, std::chrono::nanoseconds monotonic) {
    time_ = time;
    monotonic_ = monotonic;
    behind_since_.reset();
  }

  Timestamp time_{0};  ///< known to have passed when monotonic_ was
  std::chrono::nanoseconds monotonic_{0};
  std::optional<std::chrono::nanoseconds> behind_since_;
};

}  // namespace runnel::storage
