// The scrubber: reads what nobody reads, slowly, so that a byte that changed on the disk is known
// before it is needed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/env/clock.h"
#include "storage/log/reader.h"
#include "storage/log/topics.h"
#include "storage/segments/journal.h"

namespace runnel::storage {

struct ScrubberOptions {
  std::chrono::milliseconds interval{0};  ///< of one pass over all that is cold; 0: never
  Clock* clock = nullptr;
  /// A damage, once each; any thread.
  std::function<void(const Error&)> report;
};

struct ScrubberStats {
  std::uint64_t bytes = 0;    ///< since the start
  std::uint64_t damages = 0;  ///< places found since the start
  std::uint64_t passes = 0;   ///< ended since the start
  Timestamp pass_ended{0};    ///< of the last one, also before this start; 0: none
};

/// Goes from partition to partition, and in each from entry to entry, as evenly over the interval
/// as it can be. What lies in the segment being written is left out. Thread safe.
class Scrubber {
 public:
  Scrubber(ScrubberOptions options, const Reader& reader, const Topics& topics,
           const Journal& journal, const ScrubPlace& place);
  ~Scrubber() { stop(); }

  /// Runs in a thread of its own from here on.
  void start();
  /// Ends it between two reads. Idempotent.
  void stop();
  /// Reads what has become due since the last call, at most to the end of a pass.
  void run_due() RUNNEL_EXCLUDES(run_mutex_);
  [[nodiscard]] ScrubPlace place() const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] ScrubberStats stats() const RUNNEL_EXCLUDES(mutex_);

 private:
  void work();
  void run_due(bool paced) RUNNEL_REQUIRES(run_mutex_);
  /// Reads entries of one partition from the place on while there is budget for it. False: there is
  /// budget left, and no more of the partition.
  [[nodiscard]] bool scrub(const PartitionRef& partition) RUNNEL_REQUIRES(run_mutex_);
  void verify(const PartitionRef& partition, const IndexEntry& entry, std::uint64_t moves)
      RUNNEL_REQUIRES(run_mutex_);
  void found(const Partition& partition, const IndexEntry& entry, const Error& error);
  void go_to(PartitionId partition, Offset offset);
  [[nodiscard]] bool stopping() const RUNNEL_EXCLUDES(mutex_);

  const ScrubberOptions options_;
  const Reader& reader_;
  const Topics& topics_;
  const Journal& journal_;

  Mutex run_mutex_;
  std::chrono::nanoseconds last_run_ RUNNEL_GUARDED_BY(run_mutex_);
  std::chrono::nanoseconds next_pass_ RUNNEL_GUARDED_BY(run_mutex_){0};
  double budget_ RUNNEL_GUARDED_BY(run_mutex_) = 0;  ///< bytes that are due

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  ScrubPlace place_ RUNNEL_GUARDED_BY(mutex_);
  ScrubberStats stats_ RUNNEL_GUARDED_BY(mutex_);
  std::set<std::pair<PartitionId, Offset>> known_ RUNNEL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace runnel::storage
