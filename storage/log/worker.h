// One thread for work that is too long for the threads that serve sockets.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

#include "protocol/base/thread_annotations.h"

namespace runnel::storage {

/// Runs jobs in the order in which they were given, one at a time. Thread safe.
class Worker {
 public:
  ~Worker() { close(); }

  /// False after close(): the job will not run. The first job starts the thread.
  [[nodiscard]] bool run(std::function<void()> job) {
    MutexLock lock(mutex_);
    if (closed_) return false;
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    jobs_.push_back(std::move(job));
    changed_.notify_one();
    return true;
  }
  /// Returns when the jobs that were taken are done. Idempotent; not from a job.
  void close() {
    std::thread thread;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      changed_.notify_one();
      thread.swap(thread_);
    }
    if (thread.joinable()) thread.join();
  }

 private:
  void work() {
    while (true) {
      std::function<void()> job;
      {
        MutexLock lock(mutex_);
        while (jobs_.empty() && !closed_) changed_.wait(lock);
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }

  Mutex mutex_;
  std::condition_variable_any changed_;
  bool closed_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> jobs_ RUNNEL_GUARDED_BY(mutex_);
  std::thread thread_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
