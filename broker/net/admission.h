// Counts connections against their limits.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

/// Thread safe. Held by shared_ptr, for its tickets refer to it.
class Admission : public std::enable_shared_from_this<Admission> {
 public:
  /// `per_address` 0: no limit.
  Admission(std::size_t total, std::size_t per_address)
      : total_(total), per_address_(per_address) {}

  /// A ticket to be held as long as the connection lives; null if a limit is reached.
  [[nodiscard]] std::shared_ptr<void> admit(const std::string& host);
  [[nodiscard]] std::size_t count();
  /// True once no ticket is held; false if `timeout` passes first.
  [[nodiscard]] bool wait_until_empty(std::chrono::milliseconds timeout);

 private:
  void leave(const std::string& host);

  const std::size_t total_;
  const std::size_t per_address_;
  Mutex mutex_;
  std::condition_variable_any emptied_;
  std::size_t count_ RUNNEL_GUARDED_BY(mutex_) = 0;
  /// Kept only where there is a limit per address.
  std::unordered_map<std::string, std::size_t> by_host_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::broker
