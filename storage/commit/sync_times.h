// How long syncs take: in all, and of late.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "protocol/base/thread_annotations.h"

namespace runnel::storage {

/// Thread safe.
class SyncTimes {
 public:
  /// "Of late" is of this many.
  static constexpr std::size_t kLately = 1024;

  struct Summary {
    std::uint64_t micros = 0;  ///< of all syncs since the start
    std::uint64_t p50_micros = 0;
    std::uint64_t p99_micros = 0;
    std::uint64_t max_micros = 0;
  };

  void add(std::chrono::nanoseconds took) RUNNEL_EXCLUDES(mutex_) {
    constexpr std::int64_t kNanos = 1000;
    const auto micros =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count()) / kNanos);
    MutexLock lock(mutex_);
    lately_[count_ % kLately] = micros;
    ++count_;
    sum_ += micros;
  }
  /// Of what was added; zeros before anything was.
  [[nodiscard]] Summary summary() const RUNNEL_EXCLUDES(mutex_) {
    Summary out;
    std::vector<std::uint64_t> times;
    {
      MutexLock lock(mutex_);
      const auto known = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(count_, kLately));
      times.assign(lately_.begin(), lately_.begin() + known);
      out.micros = sum_;
    }
    if (times.empty()) return out;
    std::sort(times.begin(), times.end());
    const auto at = [&](std::size_t percent) { return times[(times.size() - 1) * percent / 100]; };
    out.p50_micros = at(50);
    out.p99_micros = at(99);
    out.max_micros = times.back();
    return out;
  }

 private:
  mutable Mutex mutex_;
  std::array<std::uint64_t, kLately> lately_ RUNNEL_GUARDED_BY(mutex_){};
  std::uint64_t count_ RUNNEL_GUARDED_BY(mutex_) = 0;
  std::uint64_t sum_ RUNNEL_GUARDED_BY(mutex_) = 0;
};

}  // namespace runnel::storage
