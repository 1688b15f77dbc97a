// Work at a set rate.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace runnel::client {

/// Says how long to wait before more is done. The time is given, so that tests need no clock. What
/// was left unused in the past is not made up for beyond a tenth of a second's worth.
class Pace {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// 0: without a bound.
  explicit Pace(double per_second) : per_second_(per_second) {}

  /// Notes that `amount` was done by `now`, and answers how long to wait.
  [[nodiscard]] std::chrono::nanoseconds spend(double amount, TimePoint now) {
    constexpr std::chrono::milliseconds kCredit{100};
    if (per_second_ <= 0) return {};
    const std::chrono::duration<double> cost(amount / per_second_);
    const TimePoint from = std::max(paid_until_.value_or(now), now - kCredit);
    paid_until_ = from + std::chrono::duration_cast<std::chrono::nanoseconds>(cost);
    return std::max<std::chrono::nanoseconds>(*paid_until_ - now, TimePoint::duration::zero());
  }
  [[nodiscard]] double per_second() const noexcept { return per_second_; }

 private:
  double per_second_;
  std::optional<TimePoint> paid_until_;
};

}  // namespace runnel::client
