// A clock for tests that stands still until it is told to move.
#pragma once

#include <atomic>

#include "storage/env/clock.h"

namespace runnel::storage {

/// Thread safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = Timestamp(1'700'000'000'000)) : wall_ms_(start.value()) {}

  Timestamp now() override { return Timestamp(wall_ms_.load()); }
  std::chrono::nanoseconds monotonic() override {
    return std::chrono::nanoseconds(monotonic_ns_.load());
  }
  /// Moves both the wall clock and the monotonic clock forward.
  void advance(std::chrono::milliseconds by) {
    wall_ms_ += by.count();
    monotonic_ns_ += std::chrono::nanoseconds(by).count();
  }
  /// The machine is off for this long and begins anew.
  void reboot(std::chrono::milliseconds after) {
    wall_ms_ += after.count();
    monotonic_ns_ = 1;
  }
  /// Moves the wall clock alone, as an administrator or NTP does.
  void jump(std::chrono::milliseconds by) { wall_ms_ += by.count(); }

 private:
  std::atomic<std::int64_t> wall_ms_;
  std::atomic<std::int64_t> monotonic_ns_{1};
};

}  // namespace runnel::storage
