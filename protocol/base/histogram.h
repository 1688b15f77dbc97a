// A histogram of unsigned values, for latencies: constant size, bounded relative error.
//
// Values below 128 are counted exactly; above, each power of two is cut into 128 equal buckets, so
// a percentile is at most 1/128 (0.8 %) above the value that was recorded.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "protocol/base/assert.h"

namespace runnel {

/// 58 KiB. Not thread safe: one for each thread, merged at the end. Moved-from ones may only be
/// assigned or destroyed.
class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  void record(std::uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    ++count_;
    sum_ += static_cast<double>(value);
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }
  /// Adds what `other` counted.
  void merge(const Histogram& other) {
    RUNNEL_ASSERT(counts_.size() == other.counts_.size());
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept {
    return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
  }
  /// The least value that at least `percentile` percent (0 to 100) of the recorded ones do not
  /// exceed, rounded up within its bucket; 0 if nothing was recorded.
  [[nodiscard]] std::uint64_t value_at(double percentile) const {
    RUNNEL_ASSERT(percentile >= 0 && percentile <= 100);
    const double wanted = std::ceil(percentile / 100 * static_cast<double>(count_));
    const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::clamp(greatest_in(i), min(), max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned kPrecisionBits = 7;
  static constexpr std::size_t kBuckets = (64 - kPrecisionBits + 1) << kPrecisionBits;

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value >> kPrecisionBits == 0) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kPrecisionBits;
    return (std::size_t{shift} << kPrecisionBits) + static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t greatest_in(std::size_t bucket) noexcept {
    if (bucket >> kPrecisionBits == 0) return bucket;
    const auto shift = static_cast<unsigned>(bucket >> kPrecisionBits) - 1;
    const std::uint64_t top = bucket - (std::size_t{shift} << kPrecisionBits);
    return ((top + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ = 0;
};

}  // namespace runnel
