// One thread that waits for sockets, timers and posted work.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/base/thread_annotations.h"

namespace runnel::client {

using SteadyClock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

/// Owned through a shared_ptr, which the thread shares, so that even a task may drop the last
/// outside reference. post() and stop() are thread safe; all else belongs to the loop's thread.
class Loop : public std::enable_shared_from_this<Loop> {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;  ///< 0: none

  [[nodiscard]] static std::shared_ptr<Loop> start();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs `task` soon, in order. Returns false, and drops it, once the loop has stopped.
  bool post(Task task);
  /// Runs what was posted, then ends the thread. Waits for that, unless called on the thread.
  void stop();
  [[nodiscard]] bool on_thread() const noexcept;

  TimerId after(Milliseconds delay, Task task);
  void cancel(TimerId timer);
  /// Calls `ready(revents)` when poll() reports `events` (or an error) for `fd`.
  void watch(int fd, short events, std::function<void(short)> ready);
  void unwatch(int fd);

 private:
  Loop();
  void run();
  /// Waits for descriptors or the next timer and serves what is due.
  void turn();
  void run_posted();
  void run_timers();
  void wake() const;

  struct Watch {
    short events;
    std::shared_ptr<std::function<void(short)>> ready;
  };

  int wake_fd_;
  std::thread thread_;
  std::unordered_map<int, Watch> watches_;
  std::map<std::pair<SteadyClock::time_point, TimerId>, Task> timers_;
  std::unordered_map<TimerId, SteadyClock::time_point> due_;
  TimerId next_timer_ = 1;

  Mutex mutex_;
  std::vector<Task> posted_ RUNNEL_GUARDED_BY(mutex_);
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
};

/// True on any Loop's thread.
[[nodiscard]] bool on_any_loop() noexcept;

}  // namespace runnel::client
