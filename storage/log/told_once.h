// Messages that would come again and again: the first of each counts.
#pragma once

#include <set>
#include <string>

#include "protocol/base/thread_annotations.h"

namespace runnel::storage {

/// Thread safe. Bounded: with too many of them it begins anew.
class ToldOnce {
 public:
  [[nodiscard]] bool is_new(const std::string& text) RUNNEL_EXCLUDES(mutex_) {
    constexpr std::size_t kMost = 1000;
    MutexLock lock(mutex_);
    if (told_.size() >= kMost) told_.clear();
    return told_.insert(text).second;
  }

 private:
  Mutex mutex_;
  std::set<std::string> told_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
