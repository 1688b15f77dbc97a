#include "storage/log/verified.h"

#include <algorithm>

#include <algorithm>

namespace runnel::storage {

bool VerifiedRanges::covers(Position from, std::uint64_t length) const {
  const bool trusted = !is_data_segment(from.segment) && from >= trusted_from_;
  if (trusted && !any_damage_) return true;
  MutexLock lock(mutex_);
  if (touches_damage(from, length)) return false;
  if (trusted) return true;
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
  // Sound after all: the disk gave wrong bytes once, or a repair has been here.
  std::erase_if(damaged_, [&](const Range& d) {
    return d.first.segment == from.segment && d.first.offset >= from.offset &&
           d.first.offset + d.second <= from.offset + length;
  });
  any_damage_ = !damaged_.empty();
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

void VerifiedRanges::distrust(Position from, std::uint64_t length) {
  MutexLock lock(mutex_);
  const Range range{from, length};
  if (std::find(damaged_.begin(), damaged_.end(), range) != damaged_.end()) return;
  if (damaged_.size() < kMaxDamaged) damaged_.push_back(range);
  any_damage_ = true;
}

bool VerifiedRanges::touches_damage(Position from, std::uint64_t length) const {
  if (damaged_.size() >= kMaxDamaged) return true;
  return std::any_of(damaged_.begin(), damaged_.end(), [&](const Range& d) {
    return d.first.segment == from.segment && d.first.offset < from.offset + length &&
           from.offset < d.first.offset + d.second;
  });
}

void VerifiedRanges::forget(std::uint32_t segment) {
  MutexLock lock(mutex_);
  std::erase_if(damaged_, [&](const Range& d) { return d.first.segment == segment; });
  any_damage_ = !damaged_.empty();
  ranges_.erase(segment);
}

}  // namespace runnel::storage
