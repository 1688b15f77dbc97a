#include "storage/log/verified.h"

#include <algorithm>

namespace runnel::storage {

bool VerifiedRanges::covers(Position from, std::uint64_t length) const {
  if (!is_data_segment(from.segment) && from >= trusted_from_) return true;
  MutexLock lock(mutex_);
  const auto segment = ranges_.find(from.segment);
  if (segment == ranges_.end()) return false;
  auto it = segment->second.upper_bound(from.offset);
  if (it == segment->second.begin()) return false;
  --it;
  return it->second >= from.offset + length;
}

void VerifiedRanges::add(Position from, std::uint64_t length) {
  if (length == 0) return;
  MutexLock lock(mutex_);
  auto& ranges = ranges_[from.segment];
  if (ranges.size() >= kMaxRanges) ranges.clear();
  std::uint64_t begin = from.offset;
  std::uint64_t end = begin + length;
  auto it = ranges.upper_bound(begin);
  if (it != ranges.begin()) {
    const auto before = std::prev(it);
    if (before->second >= begin) {
      begin = before->first;
      end = std::max(end, before->second);
      ranges.erase(before);
    }
  }
  while (it != ranges.end() && it->first <= end) {
    end = std::max(end, it->second);
    it = ranges.erase(it);
  }
  ranges[begin] = end;
}

void VerifiedRanges::forget(std::uint32_t segment) {
  MutexLock lock(mutex_);
  ranges_.erase(segment);
}

}  // namespace runnel::storage
