// How large an answer may become. What it takes lies in memory as values and once more encoded, and
// its question may be very short.
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/kafka/call.h"

namespace runnel::broker {

/// The parts of an answer that vary have no more than this, nor than a request may have.
inline constexpr std::uint64_t kMaxAnswerBytes = 64u << 20;

/// What is left of an answer. For one thread.
class AnswerRoom {
 public:
  explicit AnswerRoom(Call& call)
      : whole_(std::min(kMaxAnswerBytes, call.service().memory().largest_request())),
        left_(whole_) {}

  /// False from the first part on that is too many: what comes later need not be looked up.
  [[nodiscard]] bool take(std::uint64_t bytes) noexcept {
    full_ = full_ || bytes > left_;
    if (!full_) left_ -= bytes;
    return !full_;
  }
  [[nodiscard]] bool full() const noexcept { return full_; }
  /// Whether a part of so many bytes has room in no answer.
  [[nodiscard]] bool is_too_small_for(std::uint64_t bytes) const noexcept { return bytes > whole_; }

 private:
  std::uint64_t whole_;
  std::uint64_t left_;
  bool full_ = false;
};

}  // namespace runnel::broker
