// The time that transactions go by: wall time at the start of the broker, and from there on as many
// milliseconds as have passed. So a clock that is set neither ends transactions early nor keeps
// readers waiting behind one whose producer is gone.
#pragma once

#include <chrono>

#include "storage/env/clock.h"

namespace runnel::broker {

/// Thread safe.
class TransactionClock {
 public:
  /// `clock` must outlive it.
  explicit TransactionClock(storage::Clock& clock)
      : clock_(clock), start_(clock.now()), monotonic_start_(clock.monotonic()) {}

  [[nodiscard]] Timestamp now() const {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    return start_ + duration_cast<milliseconds>(clock_.monotonic() - monotonic_start_).count();
  }

 private:
  storage::Clock& clock_;
  const Timestamp start_;
  const std::chrono::nanoseconds monotonic_start_;
};

}  // namespace runnel::broker
