// Time, injected: tests play years in milliseconds.
#pragma once

#include <chrono>
#include <cstdint>

#include "protocol/base/strong.h"

namespace runnel::storage {

/// The same moment by both clocks of a Clock.
struct Moment {
  Timestamp wall;
  std::chrono::nanoseconds monotonic{0};
};

/// Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall time in milliseconds since the epoch. May jump either way.
  [[nodiscard]] virtual Timestamp now() = 0;
  /// Never goes back; for deadlines and intervals.
  [[nodiscard]] virtual std::chrono::nanoseconds monotonic() = 0;

  [[nodiscard]] Moment moment() { return {now(), monotonic()}; }

  /// The machine's clock. Never destroyed.
  [[nodiscard]] static Clock& system();
};

}  // namespace runnel::storage
