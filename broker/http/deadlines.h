// Calls at a later time: what waits for something else ends its wait by it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "protocol/base/thread_annotations.h"

namespace runnel::broker::http {

/// Thread safe. Whoever sets a deadline pays for it.
class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Names one that was set.
  using Ticket = std::pair<Time, std::uint64_t>;

  Deadlines();
  /// What has not been called will not be.
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  /// Calls `over`, which must not block, at that time, on a thread of its own.
  [[nodiscard]] Ticket set(Time time, std::function<void()> over) RUNNEL_EXCLUDES(mutex_);
  /// It is not called any more, unless that has begun.
  void cancel(const Ticket& ticket) RUNNEL_EXCLUDES(mutex_);

 private:
  void work() RUNNEL_EXCLUDES(mutex_);

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::map<Ticket, std::function<void()>> set_ RUNNEL_GUARDED_BY(mutex_);
  std::uint64_t last_ RUNNEL_GUARDED_BY(mutex_) = 0;
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace runnel::broker::http
