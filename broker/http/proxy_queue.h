// The jobs of the consumers' thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <optional>
#include <utility>

#include "broker/http/proxy_consumers.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker::http {

/// Jobs, and who waits for them. Thread safe.
struct ProxyConsumers::Queue {
  /// Between two looks at what is due, while there are instances.
  static constexpr std::chrono::milliseconds kStep{50};

  Mutex mutex;
  std::condition_variable_any changed;
  std::deque<Job> jobs RUNNEL_GUARDED_BY(mutex);
  bool stopping RUNNEL_GUARDED_BY(mutex) = false;

  void post(Job job) RUNNEL_EXCLUDES(mutex) {
    {
      MutexLock lock(mutex);
      if (stopping) return;
      jobs.push_back(std::move(job));
    }
    changed.notify_one();
  }
  /// The next job; none: time for a look, or the end.
  std::optional<Job> take(bool has_instances, bool& stop) RUNNEL_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    const auto until = Clock::now() + kStep;
    while (jobs.empty() && !stopping) {
      if (!has_instances) {
        changed.wait(lock);
      } else if (changed.wait_until(lock, until) == std::cv_status::timeout) {
        break;
      }
    }
    stop = stopping;
    if (stop || jobs.empty()) return std::nullopt;
    Job job = std::move(jobs.front());
    jobs.pop_front();
    return job;
  }
};

}  // namespace runnel::broker::http
