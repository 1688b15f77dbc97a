// Threads for what blocks: disk reads, topic changes. Connections take turns, and each has at most
// one job at work, so its jobs also stay in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "broker/sessions/memory_gate.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

/// Thread safe.
class Workers {
 public:
  /// A piece of a job: true when the job is finished, false to be called again when other
  /// connections had their turn.
  using Step = std::function<bool()>;
  /// One connection's jobs. Made and ended by its session.
  class Lane;

  explicit Workers(std::size_t threads);
  /// Finishes the jobs of lanes that have not ended.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  [[nodiscard]] std::shared_ptr<Lane> make_lane();
  /// `lease` is kept until the job is done or dropped.
  void run(const std::shared_ptr<Lane>& lane, Step step, MemoryLease lease = {})
      RUNNEL_EXCLUDES(mutex_);
  /// Drops what the lane still has to do; a piece that is at work is its last.
  void end(const std::shared_ptr<Lane>& lane) RUNNEL_EXCLUDES(mutex_);

 private:
  struct Job {
    Step step;
    MemoryLease lease;
  };
  void work() RUNNEL_EXCLUDES(mutex_);
  /// The lane whose turn it is; null: stop.
  [[nodiscard]] std::shared_ptr<Lane> next() RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] std::optional<Job> take(const std::shared_ptr<Lane>& lane) RUNNEL_EXCLUDES(mutex_);
  void put_back(const std::shared_ptr<Lane>& lane, Job& job, bool finished) RUNNEL_EXCLUDES(mutex_);

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Lane>> ready_ RUNNEL_GUARDED_BY(mutex_);  ///< each at most once
  std::size_t unfinished_ RUNNEL_GUARDED_BY(mutex_) = 0;               ///< jobs
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  ///< last: they use all of the above
};

}  // namespace runnel::broker
