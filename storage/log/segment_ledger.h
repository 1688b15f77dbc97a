// How many partitions still have live batches in each segment. At zero the segment is dead.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "protocol/base/assert.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::storage {

/// Thread safe. One count a (partition, segment) pair that has a span.
class SegmentLedger {
 public:
  void add(std::uint32_t segment) {
    MutexLock lock(mutex_);
    ++live_[segment];
  }
  void remove(std::uint32_t segment) {
    MutexLock lock(mutex_);
    const auto it = live_.find(segment);
    RUNNEL_ASSERT(it != live_.end());
    if (--it->second == 0) live_.erase(it);
  }
  [[nodiscard]] std::vector<std::uint32_t> live() const {
    MutexLock lock(mutex_);
    std::vector<std::uint32_t> segments;
    for (const auto& [segment, count] : live_) segments.push_back(segment);
    return segments;
  }
  [[nodiscard]] bool is_dead(std::uint32_t segment) const {
    MutexLock lock(mutex_);
    return !live_.contains(segment);
  }

 private:
  mutable Mutex mutex_;
  std::unordered_map<std::uint32_t, std::uint64_t> live_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
