// Frames are paid for before they are allocated. Who cannot pay stops reading and waits here.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "broker/net/session.h"
#include "protocol/base/thread_annotations.h"
#include "storage/env/memory_budget.h"

namespace runnel::broker {

class MemoryGate;

/// Bytes taken from the budget; given back on destruction. Thread compatible.
class MemoryLease {
 public:
  MemoryLease() = default;
  MemoryLease(MemoryLease&& other) noexcept
      : gate_(std::move(other.gate_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryLease& operator=(MemoryLease&& other) noexcept {
    std::swap(gate_, other.gate_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryLease();

 private:
  friend class MemoryGate;
  MemoryLease(std::shared_ptr<MemoryGate> gate, std::uint64_t bytes)
      : gate_(std::move(gate)), bytes_(bytes) {}
  std::shared_ptr<MemoryGate> gate_;
  std::uint64_t bytes_ = 0;
};

/// The budget and the sessions that wait for it. Thread safe. Leases may outlive the service, not
/// the budget.
class MemoryGate : public std::enable_shared_from_this<MemoryGate> {
 public:
  explicit MemoryGate(storage::MemoryBudget& budget) : budget_(budget) {}

  /// False if the budget has not that much left.
  [[nodiscard]] bool try_take(std::uint64_t bytes, MemoryLease& lease) {
    if (!budget_.try_take(bytes)) return false;
    lease = MemoryLease(shared_from_this(), bytes);
    return true;
  }
  /// Largest request that is taken in; a quarter of the limit, so that one cannot starve the rest.
  [[nodiscard]] std::uint64_t largest_request() const noexcept { return budget_.limit_bytes() / 4; }
  /// `retry` is posted to `session` once, when memory may be there.
  void wait(std::weak_ptr<SessionHandle> session, std::function<void(Session&)> retry)
      RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] bool has_waiters() const noexcept { return waiting_.load(); }
  /// Lets the first waiters try again.
  void wake() RUNNEL_EXCLUDES(mutex_);

 private:
  friend class MemoryLease;
  struct Waiter {
    std::weak_ptr<SessionHandle> session;
    std::function<void(Session&)> retry;
  };

  void give_back(std::uint64_t bytes);

  storage::MemoryBudget& budget_;
  std::atomic<bool> waiting_{false};
  Mutex mutex_;
  std::deque<Waiter> waiters_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::broker
