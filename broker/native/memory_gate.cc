#include "broker/native/memory_gate.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace runnel::broker {
namespace {

/// Waking everybody for each returned frame would cost more than it gives.
constexpr std::size_t kWokenAtOnce = 16;

}  // namespace

MemoryLease::~MemoryLease() {
  if (gate_ && bytes_ > 0) gate_->give_back(bytes_);
}

void MemoryGate::wait(std::weak_ptr<SessionHandle> session, std::function<void(Session&)> retry) {
  MutexLock lock(mutex_);
  waiters_.push_back({std::move(session), std::move(retry)});
  waiting_.store(true);
}

void MemoryGate::wake() {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    const auto count = std::min(waiters_.size(), kWokenAtOnce);
    const auto end = waiters_.begin() + static_cast<std::ptrdiff_t>(count);
    woken.assign(std::make_move_iterator(waiters_.begin()), std::make_move_iterator(end));
    waiters_.erase(waiters_.begin(), end);
    waiting_.store(!waiters_.empty());
  }
  for (Waiter& waiter : woken) {
    if (const auto session = waiter.session.lock()) session->post(std::move(waiter.retry));
  }
}

void MemoryGate::give_back(std::uint64_t bytes) {
  budget_.give_back(bytes);
  if (has_waiters()) wake();
}

}  // namespace runnel::broker
