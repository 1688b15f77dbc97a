// Time, injected: tests play years in milliseconds.
#pragma once

#include <chrono>
#include <cstdint>

#include "protocol/base/strong.h"

namespace runnel::storage {

/// Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall time in milliseconds since the epoch. May jump either way.
  [[nodiscard]] virtual Timestamp now() = 0;
  /// Never goes back; for deadlines and intervals.
  [[nodiscard]] virtual std::chrono::nanoseconds monotonic() = 0;

  /// The machine's clock. Never destroyed.
  [[nodiscard]] static Clock& system();
};

}  // namespace runnel::storage
