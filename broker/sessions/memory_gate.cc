#include "broker/sessions/memory_gate.h"

#include <vector>

namespace runnel::broker {
namespace {

/// Waking everybody for each returned frame would cost more than it gives.
constexpr std::size_t kWokenAtOnce = 16;

/// A frame up to this size does not wait for large ones: it may go beyond what they share.
constexpr std::uint64_t kReserveFrameBytes = 64u << 10;

/// Adds `bytes` to `counter` if it stays at or below `limit`.
bool add_within(std::atomic<std::uint64_t>& counter, std::uint64_t bytes, std::uint64_t limit) {
  std::uint64_t held = counter.load(std::memory_order_relaxed);
  do {
    if (bytes > limit || held > limit - bytes) return false;
  } while (!counter.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return true;
}

}  // namespace

MemoryLease& MemoryLease::operator=(MemoryLease&& other) noexcept {
  if (this == &other) return *this;
  release();
  gate_ = std::move(other.gate_);
  share_ = std::move(other.share_);
  token_ = std::move(other.token_);
  bytes_ = std::exchange(other.bytes_, 0);
  kind_ = std::exchange(other.kind_, Kind::kWhole);
  return *this;
}

void MemoryLease::release() noexcept {
  token_.reset();
  if (gate_) gate_->give_back(*this);
  gate_.reset();
  share_.reset();
  bytes_ = 0;
  kind_ = Kind::kWhole;
}

bool MemoryGate::try_take(std::uint64_t bytes, MemoryLease& lease) {
  if (!budget_.try_take(bytes)) return false;
  lease = MemoryLease();
  lease.gate_ = shared_from_this();
  lease.bytes_ = bytes;
  return true;
}

bool MemoryGate::grow(std::uint64_t bytes, const std::shared_ptr<MemoryShare>& share,
                      MemoryLease& lease) {
  using Kind = MemoryLease::Kind;
  if (bytes <= lease.bytes_) return true;
  const std::uint64_t more = bytes - lease.bytes_;
  if (!add_within(share->requests, more, largest_request())) return false;
  if (!lease.gate_) {
    lease.gate_ = shared_from_this();
    lease.share_ = share;
    lease.kind_ = Kind::kGrowing;
  }
  bool counted = false;
  if (lease.kind_ == Kind::kGrowing) {
    const std::uint64_t reserve = bytes <= kReserveFrameBytes ? budget_.limit_bytes() / 16 : 0;
    counted = add_within(growing_, more, growing_limit() + reserve);
    if (!counted && !turn_taken_.exchange(true)) {
      growing_ -= lease.bytes_;
      lease.kind_ = Kind::kTurn;
    }
  }
  if ((counted || lease.kind_ == Kind::kTurn) && budget_.try_take(more)) {
    lease.bytes_ = bytes;
    return true;
  }
  if (counted) growing_ -= more;
  share->requests -= more;
  return false;
}

void MemoryGate::complete(MemoryLease& lease) noexcept {
  if (lease.kind_ == MemoryLease::Kind::kGrowing) growing_ -= lease.bytes_;
  if (lease.kind_ == MemoryLease::Kind::kTurn) turn_taken_ = false;
  lease.kind_ = MemoryLease::Kind::kWhole;
  if (has_waiters()) wake();
}

void MemoryGate::shrink(MemoryLease& lease, std::uint64_t bytes) noexcept {
  if (!lease.gate_ || lease.bytes_ <= bytes) return;
  MemoryLease rest;  // gives it back
  rest.gate_ = lease.gate_;
  rest.share_ = lease.share_;
  // The turn is had or not, whatever the size.
  rest.kind_ = lease.kind_ == MemoryLease::Kind::kTurn ? MemoryLease::Kind::kWhole : lease.kind_;
  rest.bytes_ = lease.bytes_ - bytes;
  lease.bytes_ = bytes;
}

bool MemoryGate::take_standing(std::uint64_t bytes, std::uint64_t most,
                               const std::shared_ptr<MemoryShare>& share, MemoryLease& lease) {
  if (!add_within(share->standing, bytes, most)) return false;
  if (add_within(standing_, bytes, standing_limit())) {
    if (budget_.try_take(bytes)) {
      lease = MemoryLease();
      lease.gate_ = shared_from_this();
      lease.share_ = share;
      lease.kind_ = MemoryLease::Kind::kStanding;
      lease.bytes_ = bytes;
      return true;
    }
    standing_ -= bytes;
  }
  share->standing -= bytes;
  return false;
}

void MemoryGate::give_back(const MemoryLease& lease) noexcept {
  using Kind = MemoryLease::Kind;
  if (lease.kind_ == Kind::kGrowing) growing_ -= lease.bytes_;
  if (lease.kind_ == Kind::kStanding) standing_ -= lease.bytes_;
  if (lease.kind_ == Kind::kTurn) turn_taken_ = false;
  if (lease.share_) {
    (lease.kind_ == Kind::kStanding ? lease.share_->standing : lease.share_->requests) -=
        lease.bytes_;
  }
  budget_.give_back(lease.bytes_);
  if (has_waiters()) wake();
}

void MemoryGate::wait(std::weak_ptr<SessionHandle> session, std::function<void(Session&)> retry) {
  MutexLock lock(mutex_);
  waiters_.push_back({std::move(session), std::move(retry)});
  waiting_.store(true);
}

void MemoryGate::wake() {
  std::vector<std::pair<std::shared_ptr<SessionHandle>, std::function<void(Session&)>>> woken;
  {
    MutexLock lock(mutex_);
    while (!waiters_.empty() && woken.size() < kWokenAtOnce) {
      // Those whose session has ended do not count.
      if (auto session = waiters_.front().session.lock()) {
        woken.emplace_back(std::move(session), std::move(waiters_.front().retry));
      }
      waiters_.pop_front();
    }
    waiting_.store(!waiters_.empty());
  }
  for (auto& [session, retry] : woken) session->post(std::move(retry));
}

}  // namespace runnel::broker
