#include "storage/log/verified.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace runnel::storage {
namespace {

constexpr std::uint64_t kSegmentEnd = std::numeric_limits<std::uint64_t>::max();

bool touch(const SegmentRange& range, Position from, std::uint64_t length) {
  return range.from.segment == from.segment && range.from.offset < from.offset + length &&
         from.offset < range.from.offset + range.length;
}

}  // namespace

VerifiedRanges::Loading::Loading(VerifiedRanges& owner, std::vector<SegmentRange> ranges)
    : owner_(owner) {
  MutexLock lock(owner_.mutex_);
  mine_ = owner_.loading_.insert(owner_.loading_.end(), std::move(ranges));
  owner_.update_doubt();
}

VerifiedRanges::Loading::~Loading() {
  MutexLock lock(owner_.mutex_);
  owner_.loading_.erase(mine_);
  owner_.update_doubt();
}

bool VerifiedRanges::covers(Position from, std::uint64_t length) const {
  const bool trusted = !is_data_segment(from.segment) && from >= trusted_from_;
  if (trusted && !any_doubt_) return true;
  MutexLock lock(mutex_);
  if (is_doubted(from, length)) return false;
  if (trusted) return true;
  const auto checked = checked_.find(from.segment);
  return checked != checked_.end() && checked->second.covers(from.offset, from.offset + length);
}

void VerifiedRanges::add(Position from, std::uint64_t length) {
  if (length == 0) return;
  MutexLock lock(mutex_);
  // Sound after all: the disk gave wrong bytes once, or a repair has been here.
  if (const auto damaged = damaged_.find(from.segment); damaged != damaged_.end()) {
    damaged->second.remove(from.offset, from.offset + length);
    damage_changed(from.segment);
  }
  ByteRanges& checked = checked_[from.segment];
  if (checked.count() >= kMaxRanges) checked.clear();
  checked.add(from.offset, from.offset + length);
}

void VerifiedRanges::distrust(Position from, std::uint64_t length) {
  if (length == 0) return;
  MutexLock lock(mutex_);
  damaged_[from.segment].add(from.offset, from.offset + length);
  damage_changed(from.segment);
}

void VerifiedRanges::forget(std::uint32_t segment) {
  MutexLock lock(mutex_);
  damaged_.erase(segment);
  checked_.erase(segment);
  update_doubt();
}

void VerifiedRanges::damage_changed(std::uint32_t segment) {
  if (damaged_[segment].empty()) damaged_.erase(segment);
  std::size_t all = 0;
  for (const auto& [number, ranges] : damaged_) all += ranges.count();
  while (all > kMaxDamaged && !all_doubted_) {
    const auto most = std::max_element(
        damaged_.begin(), damaged_.end(),
        [](const auto& a, const auto& b) { return a.second.count() < b.second.count(); });
    ByteRanges& ranges = most->second;
    all_doubted_ = ranges.count() == 1;
    all -= ranges.count() - 1;
    ranges.add(0, kSegmentEnd);
  }
  update_doubt();
}

void VerifiedRanges::update_doubt() {
  any_doubt_ = all_doubted_ || !damaged_.empty() || !loading_.empty();
}

bool VerifiedRanges::is_doubted(Position from, std::uint64_t length) const {
  if (all_doubted_) return true;
  const auto damaged = damaged_.find(from.segment);
  if (damaged != damaged_.end() && damaged->second.touches(from.offset, from.offset + length)) {
    return true;
  }
  return std::any_of(loading_.begin(), loading_.end(), [&](const auto& ranges) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const SegmentRange& r) { return touch(r, from, length); });
  });
}

}  // namespace runnel::storage
