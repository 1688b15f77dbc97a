// The thread that follows a topic: sleeps until the topic grows.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <thread>

#include "protocol/base/thread_annotations.h"
#include "storage/views/worker/topic_views.h"

namespace runnel::storage::views {

struct ViewWorkerOptions {
  /// Told of errors, on the worker's thread; the round is tried again a little later.
  std::function<void(const Error&)> report;
  /// Called behind each round, on the worker's thread. Must not stop the worker. False: something
  /// was not done, and there is another round a little later.
  std::function<bool()> after_round;
  std::uint64_t records_per_second = 0;  ///< at most, on average; 0: no limit
  /// Others come first when the processors are busy.
  bool low_priority = false;
};

/// Thread safe.
class ViewWorker {
 public:
  ViewWorker(Store& store, TopicRounds& rounds, ViewWorkerOptions options);
  ~ViewWorker() { stop(); }
  ViewWorker(const ViewWorker&) = delete;
  ViewWorker& operator=(const ViewWorker&) = delete;

  /// Returns when the round at hand is over. Idempotent. Not from the worker's thread.
  void stop();
  /// True once all records of the partition were worked on before `offset`; false: not in time, or
  /// the worker was stopped.
  [[nodiscard]] bool wait_applied(std::size_t partition, Offset offset,
                                  std::chrono::milliseconds patience);

 private:
  void work();
  /// ViewWorkerOptions::after_round; false also where there was no memory for it.
  [[nodiscard]] bool finish_round();
  void wake();
  /// False: stop.
  [[nodiscard]] bool wait_for_news();
  /// Waits a while, or until it is to stop; false: stop.
  [[nodiscard]] bool rest(std::chrono::nanoseconds time);
  /// How long to rest so that the limit is kept.
  [[nodiscard]] std::chrono::nanoseconds ahead() const;

  TopicRounds& rounds_;
  const ViewWorkerOptions options_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopped_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool news_ RUNNEL_GUARDED_BY(mutex_) = true;
  std::unique_ptr<Watch> watch_;
  std::thread thread_;
};

}  // namespace runnel::storage::views
