#include "storage/segments/space_guard.h"

#include <utility>

namespace runnel::storage {

SpaceGuard::SpaceGuard(SpaceGuardOptions options) : options_(std::move(options)) {}

std::uint64_t SpaceGuard::healed_at() const noexcept {
  return options_.low_space_bytes + options_.low_space_bytes / 4;
}

Status SpaceGuard::open() {
  MutexLock lock(mutex_);
  has_ballast_ = options_.file_system->exists(options_.ballast_path);
  if (has_ballast_) {
    RUNNEL_TRY_ASSIGN(const auto file, options_.file_system->open(options_.ballast_path, {}));
    RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
    // Left by a crash in between, or of another setting.
    if (size != options_.ballast_bytes) RUNNEL_TRY(drop_ballast());
  }
  RUNNEL_TRY(measure());
  // The index can't be opened without writing.
  if (free_bytes() < options_.ballast_bytes) RUNNEL_TRY(drop_ballast());
  return look();
}

bool SpaceGuard::check() {
  MutexLock lock(mutex_);
  if (!look()) low_.store(true, std::memory_order_relaxed);
  return low();
}

Status SpaceGuard::drop() {
  MutexLock lock(mutex_);
  RUNNEL_TRY(drop_ballast());
  RUNNEL_TRY(measure());
  low_.store(true, std::memory_order_relaxed);
  return {};
}

Status SpaceGuard::measure() {
  RUNNEL_TRY_ASSIGN(const SpaceInfo space, options_.file_system->space(options_.directory));
  free_.store(space.available_bytes, std::memory_order_relaxed);
  if (space.available_bytes < options_.low_space_bytes) {
    low_.store(true, std::memory_order_relaxed);
  } else if (space.available_bytes >= healed_at()) {
    low_.store(false, std::memory_order_relaxed);
  }
  return {};
}

Status SpaceGuard::look() {
  RUNNEL_TRY(measure());
  if (!has_ballast_ && options_.ballast_bytes != 0 &&
      free_bytes() >= healed_at() + options_.ballast_bytes) {
    const Status made = make_ballast();
    // Somebody else took the room meanwhile; the next look tries again.
    if (!made && made.error().code() != ErrorCode::kLowSpace) return made;
    RUNNEL_TRY(measure());
  }
  return {};
}

Status SpaceGuard::drop_ballast() {
  if (!has_ballast_) return {};
  RUNNEL_TRY(options_.file_system->remove(options_.ballast_path));
  has_ballast_ = false;
  return {};
}

Status SpaceGuard::make_ballast() {
  FileSystem& fs = *options_.file_system;
  const auto fill = [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const auto file, fs.open(options_.ballast_path,
                                               {.write = true, .create = true, .truncate = true}));
    return file->allocate(options_.ballast_bytes);
  };
  if (Status filled = fill(); !filled) {
    // Best effort: open() deletes a ballast of another size.
    if (fs.exists(options_.ballast_path)) static_cast<void>(fs.remove(options_.ballast_path));
    return filled;
  }
  has_ballast_ = true;
  return fs.sync_directory(parent_directory(options_.ballast_path));
}

}  // namespace runnel::storage
