// Which bytes of the segments were checked since the start: a batch's checksum is verified the
// first time it is read; what was written or replayed in this run was checked on arrival.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/segments/position.h"

namespace runnel::storage {

/// Thread safe. Bounded: a segment with too many separate ranges forgets them and is checked again.
class VerifiedRanges {
 public:
  /// Everything in the journal from here on needs no check. Set once, before readers.
  void trust_from(Position position) { trusted_from_ = position; }

  [[nodiscard]] bool covers(Position from, std::uint64_t length) const;
  void add(Position from, std::uint64_t length);
  /// A check found damage in these bytes: covers() is false for whatever touches them, until a
  /// check of all of them succeeds and is added.
  void distrust(Position from, std::uint64_t length);
  void forget(std::uint32_t segment);

 private:
  static constexpr std::size_t kMaxRanges = 16'384;
  /// With more damage than this nothing is trusted: each read is checked.
  static constexpr std::size_t kMaxDamaged = 1024;
  using Range = std::pair<Position, std::uint64_t>;

  [[nodiscard]] bool touches_damage(Position from, std::uint64_t length) const
      RUNNEL_REQUIRES(mutex_);

  Position trusted_from_;
  std::atomic<bool> any_damage_{false};  ///< else what is trusted needs no lock
  mutable Mutex mutex_;
  /// Segment -> start -> end, disjoint and not touching.
  std::unordered_map<std::uint32_t, std::map<std::uint64_t, std::uint64_t>> ranges_
      RUNNEL_GUARDED_BY(mutex_);
  std::vector<Range> damaged_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
