// One memory bound for the whole process: who wants memory that grows with load asks here first.
#pragma once

#include <atomic>
#include <cstdint>

namespace runnel::storage {

/// Counts bytes against a limit. Over it, callers stop reading from their sockets: back-pressure
/// instead of the OOM killer. Thread safe, lock free.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

  /// Takes `bytes` if they fit under the limit. A single request larger than the limit is let
  /// through when nothing else is held, so that it cannot wait for ever.
  [[nodiscard]] bool try_take(std::uint64_t bytes) noexcept {
    std::uint64_t held = held_.load(std::memory_order_relaxed);
    do {
      if (held != 0 && held + bytes > limit_) return false;
    } while (!held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::uint64_t bytes) noexcept {
    held_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t held_bytes() const noexcept {
    return held_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t limit_bytes() const noexcept { return limit_; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> held_{0};
};

}  // namespace runnel::storage
