// Erasure of a key's records: out of the log first, then out of every file.
//
// 1. requested: the end of each partition is noted, and the journal begins a new segment, so that
//    all that is meant lies in segments that are not written any more. What is kept names no key.
// 2. removed: the batches with such records are rewritten without them, as compaction does it, and
//    the dedup keys that guard them are erased. The counts are in the commits that rewrite.
// 3. gone: each segment from before is read as it is, whatever the index knows of it: old copies
//    that compaction, trimming or a cut-off move left behind count, too. A segment in which the key
//    is found is emptied by the cleaner's moves, and its file goes. When all that remain were found
//    clean, the receipt says so.
// Each step can be cut off and is taken up where it was.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/log/erasure_record.h"
#include "storage/log/moves.h"
#include "storage/log/topics.h"

namespace runnel::storage {

struct EraserEnvironment {
  Journal& journal;
  DataSegments& data;
  Index& index;
  Reader& reader;
  Committer& committer;
  Topics& topics;
  SegmentLedger& segments;
  Mover& mover;
  Clock& clock;
  Random& random;
  std::uint64_t frame_seed = 0;
  FileSystem& file_system;
  std::string snapshots;  ///< where files are held for backups
};

/// request(), list() and has_work() are thread safe; load() and work() belong to one thread at a
/// time, the one that moves batches.
class Eraser {
 public:
  explicit Eraser(const EraserEnvironment& environment) : environment_(environment) {}

  /// Takes up what the index knows. Before anything else.
  [[nodiscard]] Status load();
  /// Durable when it returns. The same id again answers what became of the first request. Errors:
  /// kUnknownTopic, kInvalidArgument, kOverloaded (too many are not finished).
  [[nodiscard]] Result<Erasure> request(std::string_view id, std::string_view topic,
                                        std::string_view key) RUNNEL_EXCLUDES(mutex_);
  /// All that is known, by the time of their requests.
  [[nodiscard]] std::vector<Erasure> list() const RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] bool has_work() const noexcept { return pending_.load() != 0; }

  struct Help {
    /// Called with bytes that were read and written; waits for its turn. An error ends the work.
    std::function<Status(std::uint64_t bytes)> pace;
    /// Moves everything that lives out of these segments.
    std::function<Status(const std::vector<std::uint32_t>& segments)> empty;
  };
  /// Does what can be done now. The first error; the others went on.
  [[nodiscard]] Status work(const Help& help) RUNNEL_EXCLUDES(mutex_);

 private:
  /// Entries of a partition that hold such records, and which.
  struct Found {
    PartitionRef partition;
    std::vector<IndexEntry> entries;
    std::vector<Offset> offsets;
    Offset end;  ///< looked through up to here
  };

  [[nodiscard]] Status remove(ErasureRecord& record, const Help& help);
  [[nodiscard]] Status finish_removal(ErasureRecord& record);
  [[nodiscard]] Result<Found> find(const ErasureRecord& record, std::size_t part,
                                   const Help& help) const;
  [[nodiscard]] Status erase_dedup(ErasureRecord& record, const Found& found);
  [[nodiscard]] Status rewrite(ErasureRecord& record, std::size_t part, const Found& found,
                               const Help& help);
  [[nodiscard]] Status rewrite_entry(ErasureRecord& record, std::size_t part, const Found& found,
                                     const IndexEntry& entry);
  [[nodiscard]] Status clear_files(ErasureRecord& record, const Help& help);
  [[nodiscard]] Result<bool> holds_key(std::uint32_t segment, const KeyHash& key) const;
  /// Keeps the record, together with other changes.
  [[nodiscard]] Status save(const ErasureRecord& record, Mutations with = {});
  void show(const ErasureRecord& record) RUNNEL_EXCLUDES(mutex_);
  /// Of those that are finished, the oldest, where there are too many.
  void forget_some(Mutations& to, std::vector<std::string>& forgotten) const
      RUNNEL_REQUIRES(mutex_);

  const EraserEnvironment environment_;
  std::atomic<std::size_t> pending_{0};
  /// The worker's: segments that an erasure found clean. They do not change.
  std::map<std::string, std::set<std::uint32_t>> clean_;
  std::map<std::string, std::uint32_t> data_end_;

  mutable Mutex mutex_;
  std::map<std::string, ErasureRecord> known_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
