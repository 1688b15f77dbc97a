// Memory that grows with load is paid for. Who cannot pay stops reading and waits here.
//
// The budget is shared so that nobody can be shut out:
// - Frames that are arriving pay for the bytes that came, up to 3/8 of the limit together; those up
//   to 64 KiB may use 1/16 more. When that is used up, one frame at a time has "the turn": it may
//   take up to the largest request more, so there is always one that can become complete. Complete
//   requests end by themselves.
// - What stays until a client takes it back (subscriptions, waiting fetches, lookups that are
//   queued) gets at most a quarter together.
// - One connection's requests hold at most a quarter together.
#pragma once

#include <atomic>
#include <chrono>
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

/// A frame that has begun must be complete after this time, or go on at this rate: it holds memory.
/// Sooner while frames wait for memory.
inline constexpr std::chrono::seconds kFrameGrace{10};
inline constexpr std::chrono::seconds kFrameGraceWhenShort{2};
inline constexpr std::uint64_t kFrameBytesPerSecond = 16u << 10;

/// What one connection holds. Leases share it.
struct MemoryShare {
  std::atomic<std::uint64_t> requests{0};  ///< bytes of frames, arriving and complete
  std::atomic<std::uint64_t> standing{0};  ///< bytes of what stays
};

/// Bytes taken from the budget; given back on destruction. Thread compatible.
class MemoryLease {
 public:
  MemoryLease() = default;
  MemoryLease(MemoryLease&& other) noexcept { *this = std::move(other); }
  MemoryLease& operator=(MemoryLease&& other) noexcept;
  ~MemoryLease() { release(); }

  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// Keeps `token` as long as the lease lives.
  void keep(std::shared_ptr<const void> token) { token_ = std::move(token); }

 private:
  friend class MemoryGate;
  enum class Kind : std::uint8_t { kWhole, kGrowing, kTurn, kStanding };
  void release() noexcept;

  std::shared_ptr<MemoryGate> gate_;
  std::shared_ptr<MemoryShare> share_;
  std::shared_ptr<const void> token_;
  std::uint64_t bytes_ = 0;
  Kind kind_ = Kind::kWhole;
};

/// The budget and the sessions that wait for it. Thread safe. Leases may outlive the service, not
/// the budget.
class MemoryGate : public std::enable_shared_from_this<MemoryGate> {
 public:
  explicit MemoryGate(storage::MemoryBudget& budget) : budget_(budget) {}

  /// A whole request at once. False if the budget has not that much left.
  [[nodiscard]] bool try_take(std::uint64_t bytes, MemoryLease& lease);
  /// For a frame that is arriving: raises `lease`, which begins empty, to `bytes`. False if that
  /// must wait; the lease stays what it was.
  [[nodiscard]] bool grow(std::uint64_t bytes, const std::shared_ptr<MemoryShare>& share,
                          MemoryLease& lease);
  /// The frame has arrived: it makes place for other frames.
  void complete(MemoryLease& lease) noexcept;
  /// Gives back what is above `bytes`.
  void shrink(MemoryLease& lease, std::uint64_t bytes) noexcept;
  /// For what stays. `most`: bytes that the connection may hold of it. False if it is too much for
  /// the connection or for the broker.
  [[nodiscard]] bool take_standing(std::uint64_t bytes, std::uint64_t most,
                                   const std::shared_ptr<MemoryShare>& share, MemoryLease& lease);

  /// Largest request that is taken in; a quarter of the limit, so that one cannot starve the rest.
  [[nodiscard]] std::uint64_t largest_request() const noexcept { return budget_.limit_bytes() / 4; }
  /// `retry` is posted to `session` once, when memory may be there.
  void wait(std::weak_ptr<SessionHandle> session, std::function<void(Session&)> retry)
      RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] bool has_waiters() const noexcept { return waiting_.load(); }
  /// Less than half of what arriving frames may take is taken: one of them may have room for more
  /// than has come.
  [[nodiscard]] bool is_ample() const noexcept { return growing_.load() < growing_limit() / 2; }
  /// Time for a frame to become complete, or to show that it goes on.
  [[nodiscard]] std::chrono::seconds frame_grace() const noexcept {
    return turn_taken_.load() ? kFrameGraceWhenShort : kFrameGrace;
  }
  /// Lets the first waiters try again.
  void wake() RUNNEL_EXCLUDES(mutex_);

 private:
  friend class MemoryLease;
  struct Waiter {
    std::weak_ptr<SessionHandle> session;
    std::function<void(Session&)> retry;
  };

  [[nodiscard]] std::uint64_t growing_limit() const noexcept {
    return budget_.limit_bytes() / 8 * 3;
  }
  [[nodiscard]] std::uint64_t standing_limit() const noexcept { return budget_.limit_bytes() / 4; }
  void give_back(const MemoryLease& lease) noexcept;

  storage::MemoryBudget& budget_;
  std::atomic<std::uint64_t> growing_{0};   ///< bytes of frames that arrive without the turn
  std::atomic<std::uint64_t> standing_{0};  ///< bytes of what stays
  std::atomic<bool> turn_taken_{false};
  std::atomic<bool> waiting_{false};
  Mutex mutex_;
  std::deque<Waiter> waiters_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::broker
