// The index: what is looked up. A small ordered store of key families on RocksDB, without a log of
// its own: the journal is the log, and only what the journal has made durable is applied here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"

namespace rocksdb {
class WriteBatch;
}

namespace runnel::storage {

/// Key families, one RocksDB column family each. Written into frames: never renumbered.
enum class Family : std::uint8_t {
  kIndex = 0,  ///< where batches lie
  kMeta = 1,   ///< topics, partitions, producers, consumer offsets, fences, broker state
  kDedup = 2,  ///< dedup keys
};
inline constexpr std::size_t kFamilyCount = 3;

/// Changes that are applied together. Not thread safe.
class Mutations {
 public:
  /// Written into frames: never renumbered.
  enum class Kind : std::uint8_t { kPut = 1, kErase = 2, kEraseRange = 3 };
  struct Change {
    Kind kind;
    Family family;
    std::string key;
    std::string value;  ///< kPut: the value; kEraseRange: the end of the range, itself kept
  };

  void put(Family family, std::string key, std::string value) {
    changes_.push_back({Kind::kPut, family, std::move(key), std::move(value)});
  }
  void erase(Family family, std::string key) {
    changes_.push_back({Kind::kErase, family, std::move(key), {}});
  }
  void erase_range(Family family, std::string begin, std::string end) {
    changes_.push_back({Kind::kEraseRange, family, std::move(begin), std::move(end)});
  }
  void add(Change change) { changes_.push_back(std::move(change)); }
  [[nodiscard]] const std::vector<Change>& changes() const noexcept { return changes_; }
  [[nodiscard]] bool empty() const noexcept { return changes_.empty(); }
  void clear() noexcept { changes_.clear(); }

 private:
  std::vector<Change> changes_;
};

struct IndexOptions {
  std::string directory;
  FileSystem* file_system = nullptr;
  std::uint64_t memory_bytes = 32u << 20;  ///< memtables and block cache together
  /// Changes nothing on disk: what apply() is given is kept in memory and shown as if it were
  /// there; flush() fails. For one thread.
  bool read_only = false;
  /// Asked while dedup keys are compacted: false drops the entry. Any thread, must be quick.
  std::function<bool(std::string_view value)> dedup_alive;
  /// What to do while the disk is full; any thread.
  struct FullDisk {
    /// Asked before a write is tried again: makes room or waits a moment; false gives up.
    /// `attempt` counts from 0.
    std::function<bool(int attempt)> wait;
    /// What was tried again is done.
    std::function<void()> over;
  };
  FullDisk full_disk;
  /// RocksDB's warnings and errors; any thread.
  std::function<void(std::string_view)> warn;
};

/// Thread safe; apply() belongs to one thread at a time, so that order is the journal's.
class Index {
 public:
  /// Opens or creates. Errors: kIo, kCorrupt (with the file), kLowSpace.
  [[nodiscard]] static Result<std::unique_ptr<Index>> open(IndexOptions options);
  ~Index();

  /// Erased ranges are looked up and erased key by key: RocksDB 7.8's own range deletion makes it
  /// abort in compactions (docs/decisions). A crash inside apply is harmless, as replay applies it
  /// again.
  [[nodiscard]] Status apply(const Mutations& mutations);
  [[nodiscard]] Result<std::optional<std::string>> get(Family family, std::string_view key) const;

  /// Called for each entry; returning false ends the scan.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  /// Entries with begin <= key < end, in order.
  [[nodiscard]] Status scan(Family family, std::string_view begin, std::string_view end,
                            const Visit& visit) const;
  /// What a scan may wait for.
  enum class Reads {
    kDisk,
    kMemory,  ///< nothing is read from a disk, nor deleted
  };
  /// The same. False: what comes next has to be read from the disk; what was visited is right.
  [[nodiscard]] Result<bool> scan(Family family, std::string_view begin, std::string_view end,
                                  Reads reads, const Visit& visit) const;
  /// The same, but starts at the last entry whose key is <= `at` if that is >= `begin`, otherwise
  /// at the first one after `at`.
  [[nodiscard]] Result<bool> scan_from_floor(Family family, std::string_view begin,
                                             std::string_view at, std::string_view end, Reads reads,
                                             const Visit& visit) const;
  /// Entries whose key begins with `prefix`.
  [[nodiscard]] Status scan_prefix(Family family, std::string_view prefix,
                                   const Visit& visit) const;

  /// Of the entries whose key begins with `prefix`, the last one of each run of keys that have
  /// their first `group_bytes` bytes in common. Seeks, so that the length of a run costs nothing.
  /// Keys are longer than `group_bytes`.
  [[nodiscard]] Status scan_last_of_each(Family family, std::string_view prefix,
                                         std::size_t group_bytes, const Visit& visit) const;

  /// Makes all that was applied durable in the index itself (all families together).
  [[nodiscard]] Status flush();
  /// Saves all that was applied and leaves the files that hold it in `directory`, which must not
  /// exist: links where that is possible, for they never change. Any thread.
  [[nodiscard]] Status checkpoint(const std::string& directory);
  /// Rewrites a family on disk, so that no file holds what was erased from it. Takes as long as
  /// reading and writing all of it; reads and writes go on. What was not flushed is not touched.
  [[nodiscard]] Status compact(Family family);
  /// Verifies every block's checksum. For offline checks.
  [[nodiscard]] Status verify() const;

 private:
  Index();
  [[nodiscard]] Status write(rocksdb::WriteBatch& batch);
  [[nodiscard]] Status erase_range(Family family, std::string_view begin, std::string_view end);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace runnel::storage
