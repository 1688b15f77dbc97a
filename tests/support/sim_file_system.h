// A disk in memory that loses what was not synced, fills up, fails and rots, driven by a seed: the
// same operations with the same seed give the same disk.
//
//   SimFileSystem disk(seed);
//   ... run the store on it ...
//   disk.power_cut(CutMode::kPrefix);   // every open File, every lock is dead from here
//   ... open the store again, look for what was acknowledged ...
//
// The model: a file's writes are durable after its sync(); names (create, rename, remove, link) are
// durable after sync_directory() of their directory. What was not synced survives a cut as CutMode
// says, and of each directory a random prefix of its operations (none with kDropAll). A rename is
// one operation, between directories too. After a sync() that failed, what it should have written
// stays readable until the cut and is never durable, as the Linux page cache does it. What was
// written directly is with the disk, which has a cache of its own: it is lost in the same ways.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/env/file_system.h"
#include "tests/support/sim_disk.h"

namespace runnel::storage {

/// What faults are counted over. Bits of a mask.
enum class SimOperation : std::uint32_t {
  kOpen = 1,
  kWrite = 2,
  kSync = 4,
  kAllocate = 8,
  kRename = 16,
  kSyncDirectory = 32,
  kTruncate = 64,
  kRemove = 128,  ///< files and directories
  kLink = 256,
  kCreateDirectory = 512,
  kRead = 1024,
};
/// All but reads.
inline constexpr std::uint32_t kSimChanges = 1023;

enum class FaultKind {
  kIo,
  kLowSpace,
  kShortWrite,  ///< a random part of a write lands, then kIo; as kIo for other operations
  kPowerOff,    ///< the power goes before the operation; everything fails until boot()
};

/// The `nth` matching operation from now on (1 is the next) fails; with `sticky`, all later ones.
struct Fault {
  std::uint64_t nth = 1;
  FaultKind kind = FaultKind::kIo;
  bool sticky = false;
  std::uint32_t operations = kSimChanges;  ///< mask of SimOperation
  std::string path_contains = {};          ///< counts only operations on such paths; empty: all
  CutMode cut = CutMode::kDropAll;         ///< for kPowerOff
};

struct SimFileInfo {
  std::string path;
  std::uint64_t size = 0;
  std::uint64_t unsynced_operations = 0;
};

/// A range of a file that was said not to be needed again soon.
struct SimReleased {
  std::string path;
  std::uint64_t position = 0;
  std::uint64_t length = 0;
};

struct SimCounters {
  std::uint64_t operations = 0;  ///< of kSimChanges, faults included
  std::uint64_t bytes_written = 0;
  std::uint64_t direct_bytes = 0;  ///< of them
  std::uint64_t syncs = 0;
  std::uint64_t directory_syncs = 0;
  std::uint64_t bytes_read = 0;
};

/// Thread safe. Must outlive its files and locks. descriptor() of its files is -1.
class SimFileSystem final : public FileSystem {
 public:
  explicit SimFileSystem(std::uint64_t seed) : disk_(seed) {}

  // ---- what happens to machines ----

  /// The power goes and comes back.
  void power_cut(CutMode mode);
  /// The power goes; every call fails with kIo until boot(). Use it where the dying process may
  /// still call in.
  void power_off(CutMode mode);
  void boot();
  /// kill -9: open files and locks die, what was written stays.
  void kill_process();
  /// Replaces the fault that was set before.
  void set_fault(Fault fault);
  void clear_fault();
  /// True once the fault has struck.
  [[nodiscard]] bool fault_struck() const;
  /// space() reports it; what goes beyond is refused with kLowSpace after writing what fits.
  /// Counted are the sizes of files that have a name or are open; holes count.
  void set_capacity(std::uint64_t bytes);
  /// A planted defect: syncs of files and directories succeed and keep nothing.
  void set_lying_sync(bool lying);
  /// Mounted for reading only: nothing can be locked, nor opened for writing.
  void set_read_only(bool read_only);
  /// Files can't be written to directly: they are opened without. False at first.
  void set_refuses_direct(bool refuses);
  /// What File::resident answers; true at first.
  void set_resident(bool resident);
  /// Of every file only the bytes before `position` are resident.
  void set_resident_before(std::uint64_t position);

  // ---- damage, at once durable; false if there is no such file or byte ----

  bool flip_bit(const std::string& path, std::uint64_t position, unsigned bit = 0);
  /// Cuts the file; also makes durable what is left of it.
  bool damage_truncate(const std::string& path, std::uint64_t size);
  bool damage_remove(const std::string& path);

  // ---- looking ----

  /// Every file by path, in order of path.
  [[nodiscard]] std::vector<SimFileInfo> files() const;
  [[nodiscard]] SimCounters counters() const;
  /// What File::dont_need was called with, in order.
  [[nodiscard]] std::vector<SimReleased> released() const {
    const MutexLock lock(mutex_);
    return released_;
  }

  Result<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status link(const std::string& from, const std::string& to) override;
  Status create_directory(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
  bool exists(const std::string& path) override;
  bool is_directory(const std::string& path) override;
  Result<std::int64_t> modified(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;

 private:
  friend class SimFile;
  friend class SimLock;
  struct Handle {
    SimNodePtr node;
    std::uint64_t generation = 0;  // which process opened it
    bool writable = false;
    std::size_t block_bytes = 1;
    const std::string& path;
  };

  Result<std::size_t> read(const Handle& handle, std::uint64_t position, MutableBytes into) const;
  Status write(const Handle& handle, std::uint64_t position, std::span<iovec> parts);
  Status sync(const Handle& handle);
  Status allocate(const Handle& handle, std::uint64_t size);
  Status truncate(const Handle& handle, std::uint64_t size);
  Result<std::uint64_t> size(const Handle& handle) const;
  void close(const Handle& handle);
  void unlock(std::uint64_t node, std::uint64_t generation);

  /// The fault due for this operation, if any; counts it.
  Status begin(SimOperation operation, const std::string& path) const RUNNEL_REQUIRES(mutex_);
  Status check(const Handle& handle, bool writes) const RUNNEL_REQUIRES(mutex_);
  Status powered(const std::string& path) const RUNNEL_REQUIRES(mutex_);
  Status write_whole(const Handle& handle, std::uint64_t position, Bytes bytes)
      RUNNEL_REQUIRES(mutex_);
  Result<SimDisk::Place> existing(const std::string& path) const RUNNEL_REQUIRES(mutex_);
  SimNodePtr file_at(const std::string& path) const RUNNEL_REQUIRES(mutex_);
  void end_processes() const RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t room() const RUNNEL_REQUIRES(mutex_);

  // Reading counts and can set off a fault as well, hence mutable.
  mutable Mutex mutex_;
  mutable SimDisk disk_ RUNNEL_GUARDED_BY(mutex_);
  mutable std::optional<Fault> fault_ RUNNEL_GUARDED_BY(mutex_);
  mutable bool struck_ RUNNEL_GUARDED_BY(mutex_) = false;
  mutable bool off_ RUNNEL_GUARDED_BY(mutex_) = false;
  mutable SimCounters counters_ RUNNEL_GUARDED_BY(mutex_);
  mutable std::uint64_t generation_ RUNNEL_GUARDED_BY(mutex_) = 1;
  mutable std::set<std::uint64_t> locked_ RUNNEL_GUARDED_BY(mutex_);  // node ids
  std::uint64_t capacity_ RUNNEL_GUARDED_BY(mutex_) = std::uint64_t{1} << 50;
  bool lying_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::uint64_t resident_before_ RUNNEL_GUARDED_BY(mutex_) = UINT64_MAX;
  bool refuses_direct_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool read_only_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::vector<SimReleased> released_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
