// The time that retention believes. A wall clock that is far ahead must not delete a year of data.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "storage/env/clock.h"

namespace runnel::storage {

/// Follows the wall clock, with two doubts.
/// At the start a clock more than kMaxPause ahead of what the last run believed is not followed
/// before it has said so for kProbation: a machine may start before its clock is set right.
/// Afterwards it may run ahead of the monotonic clock by no more than kMaxJump in all.
/// One thread at a time.
class RetentionClock {
 public:
  using Milliseconds = std::chrono::milliseconds;
  /// A broker that was stopped for longer than this is asked to wait.
  static constexpr Milliseconds kMaxPause{24 * 3600 * 1000};
  static constexpr Milliseconds kProbation{3600 * 1000};
  /// A wall clock may be set right by this much without a question.
  static constexpr Milliseconds kMaxJump{3600 * 1000};

  /// `last` is what an earlier run believed last; nothing for a new store. Call it first.
  void start(std::optional<Timestamp> last, Clock& clock) {
    started_ = clock.monotonic();
    last_ = last;
    if (!last_) settle(clock.now(), started_);
  }

  /// The wall time, or less while it is not believed; `doubted` says so.
  [[nodiscard]] Timestamp now(Clock& clock, bool& doubted) {
    const Timestamp wall = clock.now();
    const auto monotonic = clock.monotonic();
    doubted = false;
    if (!base_) {
      const Milliseconds running = since(started_, monotonic);
      const Timestamp expected = *last_ + running.count();
      if (wall > expected + kMaxPause.count() && running < kProbation) {
        doubted = true;
        return expected;
      }
      // A clock that is behind deletes nothing; what it is set to later is judged then.
      if (wall < *last_) return wall;
      settle(wall, monotonic);
    }
    const Timestamp expected = *base_ + since(base_monotonic_, monotonic).count();
    doubted = wall > expected + kMaxJump.count();
    return doubted ? expected : wall;
  }

 private:
  static Milliseconds since(std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
    return std::chrono::duration_cast<Milliseconds>(to - from);
  }
  void settle(Timestamp wall, std::chrono::nanoseconds monotonic) {
    base_ = wall;
    base_monotonic_ = monotonic;
  }

  std::optional<Timestamp> last_;
  std::chrono::nanoseconds started_{0};
  std::optional<Timestamp> base_;  ///< the wall time when it was first believed
  std::chrono::nanoseconds base_monotonic_{0};
};

}  // namespace runnel::storage
