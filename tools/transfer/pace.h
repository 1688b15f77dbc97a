// Work at a set rate: "5k/s" records or "20MiB/s" bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::tools {

/// Says how long to wait before more is done. The time is given, so that tests need no clock. What
/// was left unused in the past is not made up for beyond a tenth of a second's worth.
class Pace {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// Without a bound.
  Pace() = default;
  /// "500/s", "5k/s", "1m/s" records; "20MiB/s", "64KiB/s" bytes. kInvalidArgument.
  [[nodiscard]] static Result<Pace> parse(std::string_view text);

  /// Notes that `records` of `bytes` in all were done by `now`, and answers how long to wait.
  [[nodiscard]] std::chrono::nanoseconds spend(std::uint64_t records, std::uint64_t bytes,
                                               TimePoint now);
  [[nodiscard]] double per_second() const noexcept { return per_second_; }
  [[nodiscard]] bool of_bytes() const noexcept { return of_bytes_; }

 private:
  double per_second_ = 0;  ///< 0: no bound
  bool of_bytes_ = false;
  std::optional<TimePoint> paid_until_;
};

}  // namespace runnel::tools
