// The time that retention believes. A wall clock that jumps ahead must not delete a year of data.
#pragma once

#include <chrono>

#include "storage/env/clock.h"

namespace runnel::storage {

/// Follows the wall clock, but runs ahead of the monotonic clock by no more than kMaxJump in all.
/// One thread at a time.
class RetentionClock {
 public:
  /// A wall clock may be set right by this much without a question.
  static constexpr std::chrono::milliseconds kMaxJump{3600 * 1000};

  /// The wall time, or less if the clock jumped ahead since the start; `jumped` says so.
  [[nodiscard]] Timestamp now(Clock& clock, bool& jumped) {
    const Timestamp wall = clock.now();
    const auto monotonic = clock.monotonic();
    if (!started_) {
      started_ = true;
      wall_at_start_ = wall;
      monotonic_at_start_ = monotonic;
    }
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(monotonic - monotonic_at_start_);
    const Timestamp most = wall_at_start_ + elapsed.count() + kMaxJump.count();
    jumped = wall > most;
    return jumped ? most - kMaxJump.count() : wall;
  }

 private:
  bool started_ = false;
  Timestamp wall_at_start_;
  std::chrono::nanoseconds monotonic_at_start_{0};
};

}  // namespace runnel::storage
