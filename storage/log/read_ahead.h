// Who replays a cold log finds the next megabytes read and checked already: which reader of which
// partition is on its way through bytes that had to be waited for, and where reading ahead stands.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "protocol/base/strong.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::storage {

/// Holds no I/O: it says what to read, the Reader's pool reads it. Thread safe. Bounded; of a
/// partition one run is known, that of who waited last.
///
/// Who waits twice, the second time for what follows the first, is on a run; who looks at one place
/// is not. A run is read in chunks: while its reader is given the newest one, the next is read.
class ReadAhead {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// A run whose reader took nothing for so long is forgotten.
  static constexpr std::chrono::seconds kRunEnds{60};

  /// A reader who has not taken anything for so long is not read for.
  static constexpr std::chrono::seconds kReaderLeft{5};

  /// A reader of the partition was given [from, next); `waited`: for the disk or for a checksum.
  /// Where to read from now, if that is due: finished() has to follow.
  [[nodiscard]] std::optional<Offset> given(PartitionId partition, Offset from, Offset next,
                                            bool waited, Time now) RUNNEL_EXCLUDES(mutex_);
  /// False if the reader has left for whom a chunk was to be read: finished() all the same.
  [[nodiscard]] bool is_awaited(PartitionId partition, Time now) const RUNNEL_EXCLUDES(mutex_);
  /// The chunk that began at `from` reaches up to `until` (`from` itself: nothing is left, or it
  /// could not be read). `waited` as above, of the chunk.
  void finished(PartitionId partition, Offset from, Offset until, bool waited)
      RUNNEL_EXCLUDES(mutex_);
  /// True while given() has nothing to say of readers who did not wait.
  [[nodiscard]] bool idle() const noexcept { return runs_known_ == 0; }

 private:
  struct Run {
    Offset newest;  ///< where the newest chunk that was read begins
    Offset until;   ///< where it ends; the same until the reader has waited twice
    Time used;      ///< when its reader was last given something
    bool reading = false;
    int in_memory = 0;  ///< chunks in a row that were there already
  };
  /// With more, one that is not being read is forgotten: two chunks each are a small machine's
  /// memory.
  static constexpr std::size_t kMaxRuns = 256;
  /// A kernel that is short of memory takes pages here and there: a run ends only after so many
  /// chunks that were all in memory.
  static constexpr int kMaxInMemory = 4;

  [[nodiscard]] bool make_room() RUNNEL_REQUIRES(mutex_);
  void forget_left_ones(Time now) RUNNEL_REQUIRES(mutex_);

  std::atomic<std::size_t> runs_known_{0};
  mutable Mutex mutex_;
  Time looked_ RUNNEL_GUARDED_BY(mutex_);  ///< when runs were last forgotten
  std::unordered_map<PartitionId, Run> runs_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
