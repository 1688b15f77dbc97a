#include "broker/http/deadlines.h"

#include <pthread.h>

namespace runnel::broker::http {

Deadlines::Deadlines() : thread_([this] { work(); }) {}

Deadlines::~Deadlines() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Deadlines::Ticket Deadlines::set(Time time, std::function<void()> over) {
  Ticket ticket;
  bool first = false;
  {
    MutexLock lock(mutex_);
    ticket = {time, ++last_};
    set_.emplace(ticket, std::move(over));
    first = set_.begin()->first == ticket;
  }
  if (first) changed_.notify_one();
  return ticket;
}

void Deadlines::cancel(const Ticket& ticket) {
  std::function<void()> dropped;  // outside the lock
  MutexLock lock(mutex_);
  const auto found = set_.find(ticket);
  if (found == set_.end()) return;
  dropped = std::move(found->second);
  set_.erase(found);
}

void Deadlines::work() {
  pthread_setname_np(pthread_self(), "runnel-waits");
  for (;;) {
    std::function<void()> over;
    {
      MutexLock lock(mutex_);
      while (!stopping_ &&
             (set_.empty() || set_.begin()->first.first > std::chrono::steady_clock::now())) {
        if (set_.empty()) {
          changed_.wait(lock);
        } else {
          changed_.wait_until(lock, set_.begin()->first.first);
        }
      }
      if (stopping_) return;
      over = std::move(set_.begin()->second);
      set_.erase(set_.begin());
    }
    over();
  }
}

}  // namespace runnel::broker::http
