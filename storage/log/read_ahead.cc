#include "storage/log/read_ahead.h"

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::storage {

std::optional<Offset> ReadAhead::given(PartitionId partition, Offset from, Offset next, bool waited,
                                       Time now) {
  MutexLock lock(mutex_);
  forget_left_ones(now);
  const auto known = runs_.find(partition);
  if (known == runs_.end()) {
    if (!waited || !make_room()) return std::nullopt;
    runs_.emplace(partition, Run{next, next, now});
    runs_known_ = runs_.size();
    return std::nullopt;
  }
  Run& run = known->second;
  run.used = now;
  if (run.reading) return std::nullopt;
  if (next > run.newest && next <= run.until) {
    run.reading = true;
    return run.until;
  }
  if (!waited) return std::nullopt;
  // Elsewhere, or faster than what was read for it, unless it follows what was waited for last.
  const bool follows = from == run.until;
  run = Run{next, next, now, follows};
  return follows ? std::optional(next) : std::nullopt;
}

bool ReadAhead::is_awaited(PartitionId partition, Time now) const {
  MutexLock lock(mutex_);
  const auto known = runs_.find(partition);
  return known != runs_.end() && now - known->second.used < kReaderLeft;
}

void ReadAhead::finished(PartitionId partition, Offset from, Offset until, bool waited) {
  MutexLock lock(mutex_);
  const auto known = runs_.find(partition);
  RUNNEL_ASSERT(known != runs_.end() && known->second.reading);
  Run& run = known->second;
  run.in_memory = waited ? 0 : run.in_memory + 1;
  if (until <= from || run.in_memory > kMaxInMemory) {
    runs_.erase(known);
    runs_known_ = runs_.size();
    return;
  }
  run.reading = false;
  run.newest = from;
  run.until = until;
}

void ReadAhead::forget_left_ones(Time now) {
  if (now - looked_ < kRunEnds) return;
  looked_ = now;
  std::erase_if(runs_, [&](const auto& run) {
    return !run.second.reading && now - run.second.used >= kRunEnds;
  });
  runs_known_ = runs_.size();
}

bool ReadAhead::make_room() {
  if (runs_.size() < kMaxRuns) return true;
  const auto idle =
      std::find_if(runs_.begin(), runs_.end(), [](const auto& run) { return !run.second.reading; });
  if (idle == runs_.end()) return false;
  runs_.erase(idle);
  return true;
}

}  // namespace runnel::storage
