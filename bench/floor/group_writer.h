// Group commit at its barest: groups are written one after the other; a second thread syncs what
// is written while the next group is.
#pragma once

#include <sys/uio.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "bench/floor/files.h"

namespace runnel::bench {

/// write() belongs to one thread; `on_synced` runs on the syncer.
class GroupWriter {
 public:
  using OnSynced = std::function<void()>;
  explicit GroupWriter(const ScratchFile& file);
  ~GroupWriter();
  GroupWriter(const GroupWriter&) = delete;
  GroupWriter& operator=(const GroupWriter&) = delete;

  /// Writes a group behind the ones before. Waits while too much is written and not yet synced.
  [[nodiscard]] Status write(std::span<iovec> parts, OnSynced on_synced = {});
  /// Returns once all of it is synced.
  [[nodiscard]] Status finish();
  /// Times the syncer called fdatasync; after finish().
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }

 private:
  void run_syncer();

  const ScratchFile& file_;
  std::uint64_t position_ = 0;
  std::uint64_t syncs_ = 0;

  std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::uint64_t unsynced_bytes_ = 0;
  std::vector<OnSynced> written_;
  bool stopping_ = false;
  std::optional<Error> error_;
  std::thread syncer_;
};

}  // namespace runnel::bench
