// The thread that keeps the views of a topic current: sleeps until the topic grows.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <thread>

#include "protocol/base/thread_annotations.h"
#include "storage/views/worker/topic_views.h"

namespace runnel::storage::views {

/// Thread safe.
class ViewWorker {
 public:
  /// `report` is told of errors, on the worker's thread; the round is tried again a little later.
  ViewWorker(Store& store, TopicViews& views, std::function<void(const Error&)> report);
  ~ViewWorker() { stop(); }
  ViewWorker(const ViewWorker&) = delete;
  ViewWorker& operator=(const ViewWorker&) = delete;

  /// Returns when the round at hand is over. Idempotent.
  void stop();
  /// True once every view has all records of the partition before `offset`; false: not in time, or
  /// the worker was stopped.
  [[nodiscard]] bool wait_applied(std::size_t partition, Offset offset,
                                  std::chrono::milliseconds patience);

 private:
  void work();
  void wake();
  /// False: stop.
  [[nodiscard]] bool wait_for_news();

  TopicViews& views_;
  const std::function<void(const Error&)> report_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopped_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool news_ RUNNEL_GUARDED_BY(mutex_) = true;
  std::unique_ptr<Watch> watch_;
  std::thread thread_;
};

}  // namespace runnel::storage::views
