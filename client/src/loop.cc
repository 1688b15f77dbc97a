#include "client/src/loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::client {
namespace {
thread_local const Loop* current_loop = nullptr;
}

bool on_any_loop() noexcept {
  return current_loop != nullptr;
}

Loop::Loop() : wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  RUNNEL_ASSERT(wake_fd_ >= 0);
}

std::shared_ptr<Loop> Loop::start() {
  std::shared_ptr<Loop> loop(new Loop);
  loop->thread_ = std::thread([loop] { loop->run(); });
  return loop;
}

Loop::~Loop() {
  // The thread holds a reference, so it has ended or is running this very destructor.
  if (thread_.joinable()) thread_.detach();
  ::close(wake_fd_);
}

bool Loop::on_thread() const noexcept {
  return current_loop == this;
}

void Loop::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

bool Loop::post(Task task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return false;
    posted_.push_back(std::move(task));
    if (posted_.size() > 1) return true;
  }
  wake();
  return true;
}

void Loop::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake();
  if (!on_thread() && thread_.joinable()) thread_.join();
}

void Loop::run() {
  current_loop = this;
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (stopping_ && posted_.empty()) break;
    }
    turn();
  }
  watches_.clear();
  timers_.clear();
  current_loop = nullptr;
}

void Loop::turn() {
  std::vector<pollfd> fds;
  fds.reserve(watches_.size() + 1);
  fds.push_back({wake_fd_, POLLIN, 0});
  for (const auto& [fd, watch] : watches_) fds.push_back({fd, watch.events, 0});
  int wait_ms = -1;
  if (!timers_.empty()) {
    const auto left = timers_.begin()->first.first - SteadyClock::now();
    const auto ms = std::chrono::ceil<Milliseconds>(left).count();
    wait_ms = static_cast<int>(std::clamp<long long>(ms, 0, 60'000));
  }
  ::poll(fds.data(), fds.size(), wait_ms);
  if (fds[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_fd_, &count, sizeof count);
  }
  run_posted();
  for (std::size_t i = 1; i < fds.size(); ++i) {
    if (fds[i].revents == 0) continue;
    const auto found = watches_.find(fds[i].fd);
    if (found == watches_.end()) continue;
    const auto ready = found->second.ready;  // may unwatch itself
    (*ready)(fds[i].revents);
  }
  run_timers();
}

void Loop::run_posted() {
  std::vector<Task> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) {
    task();
    task = nullptr;
  }
}

void Loop::run_timers() {
  const auto now = SteadyClock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto first = timers_.extract(timers_.begin());
    due_.erase(first.key().second);
    first.mapped()();
  }
}

Loop::TimerId Loop::after(Milliseconds delay, Task task) {
  const TimerId id = next_timer_++;
  const auto when = SteadyClock::now() + delay;
  timers_.emplace(std::pair{when, id}, std::move(task));
  due_.emplace(id, when);
  return id;
}

void Loop::cancel(TimerId timer) {
  const auto found = due_.find(timer);
  if (found == due_.end()) return;
  timers_.erase({found->second, timer});
  due_.erase(found);
}

void Loop::watch(int fd, short events, std::function<void(short)> ready) {
  watches_[fd] = {events, std::make_shared<std::function<void(short)>>(std::move(ready))};
}

void Loop::unwatch(int fd) {
  watches_.erase(fd);
}

}  // namespace runnel::client
