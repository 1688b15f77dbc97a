// Which bytes of the segments were checked since the start: a batch's checksum is verified the
// first time it is read; what was written or replayed in this run was checked on arrival.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/log/byte_ranges.h"
#include "storage/segments/position.h"

namespace runnel::storage {

/// Bytes of one segment.
struct SegmentRange {
  Position from;
  std::uint64_t length = 0;
};

/// Thread safe. Bounded: a segment with too many separate ranges forgets them and is checked again.
class VerifiedRanges {
 public:
  /// Bytes that are being brought into memory and were not checked since: covers() is false for
  /// whatever touches them as long as this lives.
  class Loading {
   public:
    Loading(VerifiedRanges& owner, std::vector<SegmentRange> ranges);
    ~Loading();
    Loading(const Loading&) = delete;
    Loading& operator=(const Loading&) = delete;

   private:
    VerifiedRanges& owner_;
    std::list<std::vector<SegmentRange>>::iterator mine_;
  };

  /// Everything in the journal from here on needs no check. Set once, before readers.
  void trust_from(Position position) { trusted_from_ = position; }

  [[nodiscard]] bool covers(Position from, std::uint64_t length) const RUNNEL_EXCLUDES(mutex_);
  /// These bytes were checked and are sound, whatever was said of them before.
  void add(Position from, std::uint64_t length) RUNNEL_EXCLUDES(mutex_);
  /// Damage was found in these bytes: covers() is false for whatever touches one that was not added
  /// since. With too many such ranges in a segment all of it is meant.
  void distrust(Position from, std::uint64_t length) RUNNEL_EXCLUDES(mutex_);
  void forget(std::uint32_t segment) RUNNEL_EXCLUDES(mutex_);

 private:
  static constexpr std::size_t kMaxRanges = 16'384;
  /// Of damage, in all segments together.
  static constexpr std::size_t kMaxDamaged = 1024;

  [[nodiscard]] bool is_doubted(Position from, std::uint64_t length) const RUNNEL_REQUIRES(mutex_);
  void damage_changed(std::uint32_t segment) RUNNEL_REQUIRES(mutex_);
  void update_doubt() RUNNEL_REQUIRES(mutex_);

  Position trusted_from_;
  std::atomic<bool> any_doubt_{false};  ///< else what is trusted needs no lock
  mutable Mutex mutex_;
  std::unordered_map<std::uint32_t, ByteRanges> checked_ RUNNEL_GUARDED_BY(mutex_);
  std::unordered_map<std::uint32_t, ByteRanges> damaged_ RUNNEL_GUARDED_BY(mutex_);
  /// More segments are damaged than can be told apart: each read is checked.
  bool all_doubted_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::list<std::vector<SegmentRange>> loading_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
