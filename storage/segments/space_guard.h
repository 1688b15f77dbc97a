// Watches the room on the data directory's disk, and keeps a ballast file there: some space that
// can be given back, so that a full disk can still be opened, deleted from and trimmed.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "protocol/base/error.h"
#include "protocol/base/thread_annotations.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

struct SpaceGuardOptions {
  std::string directory;
  std::string ballast_path;
  std::uint64_t low_space_bytes = 0;  ///< less than this free: low
  std::uint64_t ballast_bytes = 0;    ///< 0: no ballast
  FileSystem* file_system = nullptr;
};

/// Thread safe. Low begins below low_space_bytes and ends at 1.25 times that, so that it does not
/// flutter. The ballast is the room in which a full disk is cleared: whoever has to make room drops
/// it, an open of a full disk does as well, and it is made again once the disk would not be low
/// with it.
class SpaceGuard {
 public:
  explicit SpaceGuard(SpaceGuardOptions options);

  /// First look: drops the ballast of a full disk, makes it where there is room. Errors: kIo.
  [[nodiscard]] Status open() RUNNEL_EXCLUDES(mutex_);
  /// Looks again; true if space is low. Where the disk can't be asked it counts as low.
  bool check() RUNNEL_EXCLUDES(mutex_);
  /// Gives the ballast's space back at once.
  [[nodiscard]] Status drop() RUNNEL_EXCLUDES(mutex_);

  /// As of the last look.
  [[nodiscard]] bool low() const noexcept { return low_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t free_bytes() const noexcept {
    return free_.load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] Status look() RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status measure() RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status drop_ballast() RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status make_ballast() RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t healed_at() const noexcept;

  const SpaceGuardOptions options_;
  Mutex mutex_;
  bool has_ballast_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> low_{false};
  std::atomic<std::uint64_t> free_{0};
};

}  // namespace runnel::storage
