// Erasure of a key's records: out of the log first, then out of every file.
//
// 1. requested: the end of each partition is noted, and the journal begins a new segment, so that
//    all that is meant lies in segments that are not written any more. What is kept names no key.
// 2. removed: the batches with such records are rewritten without them, as compaction does it, and
//    the dedup keys that guard them are erased. The counts are in the commits that rewrite. What
//    can't be read is passed over and tried again; until it can be, this step is not done.
// 3. gone: each segment from before is read as it is, whatever the index knows of it: old copies
//    that compaction, trimming or a cut-off move left behind count, too. A segment in which the key
//    is found is emptied by the cleaner's moves, and its file goes. When all that remain were found
//    clean, the receipt says so.
// Each step can be cut off and is taken up where it was. It is done in slices, so that compaction
// and cleaning have their turn between them.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
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
  std::string segment_files;      ///< where the segments are
  std::string snapshots;          ///< where files are held for backups
  std::uint64_t slice_bytes = 0;  ///< about so much is read and written at a time
};

/// request(), find(), list(), has_work() and has_more() are thread safe; load() and work() belong
/// to one thread at a time, the one that moves batches.
class Eraser {
 public:
  explicit Eraser(const EraserEnvironment& environment) : environment_(environment) {}

  /// Takes up what the index knows. Before anything else.
  [[nodiscard]] Status load();
  /// Durable when it returns. The same id again answers what became of the first request. Errors:
  /// kUnknownTopic, kInvalidArgument (also for the id of a request for another topic or, while it
  /// is not finished, another key), kOverloaded (too many are not finished).
  [[nodiscard]] Result<Erasure> request(std::string_view id, std::string_view topic,
                                        std::string_view key) RUNNEL_EXCLUDES(mutex_);
  /// All that is known of one. kNotFound.
  [[nodiscard]] Result<Erasure> find(std::string_view id) const RUNNEL_EXCLUDES(mutex_);
  /// All that are known, in short, by the time of their requests.
  [[nodiscard]] std::vector<Erasure> list() const RUNNEL_EXCLUDES(mutex_);
  /// One can go on now: it does not wait for damage to be mended.
  [[nodiscard]] bool has_work() const noexcept {
    return pending_ != 0 && environment_.clock.monotonic().count() >= due_;
  }
  /// The last work() ended with its slice, and would have gone on.
  [[nodiscard]] bool has_more() const noexcept { return has_more_ && has_work(); }

  struct Help {
    /// Called with bytes that were read and written; waits for its turn. An error ends the work.
    std::function<Status(std::uint64_t bytes)> pace;
    /// Moves everything that lives out of these segments.
    std::function<Status(const std::vector<std::uint32_t>& segments)> empty;
  };
  /// Does a slice of what can be done now, of the oldest request first. The first error; the others
  /// went on.
  [[nodiscard]] Status work(const Help& help) RUNNEL_EXCLUDES(mutex_);

 private:
  /// Offsets of one part that are to be looked through.
  struct Range {
    std::size_t part = 0;
    Offset from;
    Offset to;
  };
  /// How far the worker is with one erasure. Forgotten when the process ends: what counts then is
  /// ErasureRecord::rewritten.
  struct Progress {
    std::chrono::nanoseconds again_at{0};  ///< after a failure; monotonic
    // Out of the log.
    bool begun = false;
    std::deque<Range> todo;
    std::vector<Range> skipped;  ///< could not be read
    std::string why;             ///< the first of them could not
    enum class Step { kLook, kForgetGuards, kRewrite } step = Step::kLook;
    std::size_t part = 0;
    std::vector<Offset> found;  ///< records of `part` that are to go, in order
    std::string guards_from;    ///< dedup keys before it were looked at
    std::size_t rewritten = 0;  ///< of `found`
    // Out of the files. Segments that nobody writes do not change.
    std::uint32_t data_end = 0;     ///< data segments up to it may hold copies; 0: not known yet
    std::set<std::uint32_t> clean;  ///< does not hold the key
    std::set<std::uint32_t> stuck;  ///< holds it, and could not be emptied
    std::string why_stuck;
  };

  [[nodiscard]] bool is_over() const noexcept { return spent_ >= environment_.slice_bytes; }
  [[nodiscard]] Status pace(std::uint64_t bytes, const Help& help) {
    spent_ += bytes;
    return help.pace(bytes);
  }
  // eraser_removal.cc
  [[nodiscard]] Status remove(ErasureRecord& record, Progress& progress, const Help& help);
  /// Keeps up to where nothing is left to be removed.
  [[nodiscard]] Status save_progress(ErasureRecord& record, const Progress& progress);
  [[nodiscard]] Status finish_removal(ErasureRecord& record, Progress& progress);
  /// Null where the topic was deleted: its segments are what is left.
  [[nodiscard]] PartitionRef partition_of(const ErasureRecord& record, std::size_t part) const;
  [[nodiscard]] Status look(const ErasureRecord& record, Progress& progress, const Help& help);
  static void skip(Progress& progress, const Range& range, const Error& why);
  [[nodiscard]] Status forget_guards(ErasureRecord& record, Progress& progress, const Help& help);
  [[nodiscard]] Status erase_guards(ErasureRecord& record, const std::vector<std::string>& guards);
  [[nodiscard]] Status rewrite(ErasureRecord& record, Progress& progress, const Help& help);
  [[nodiscard]] Status rewrite_entry(ErasureRecord& record, std::size_t part,
                                     const PartitionRef& partition, const Partition::View& view,
                                     const IndexEntry& entry, const Buffer& batches);
  // eraser_files.cc
  [[nodiscard]] Status clear_files(ErasureRecord& record, Progress& progress, const Help& help);
  /// Those that may hold copies.
  [[nodiscard]] bool is_old(std::uint32_t segment, const ErasureRecord& record,
                            const Progress& progress) const;
  [[nodiscard]] std::vector<SegmentInfo> old_segments(const ErasureRecord& record,
                                                      const Progress& progress) const;
  [[nodiscard]] std::uint32_t newest_data() const;
  [[nodiscard]] Result<bool> holds_key(const SegmentInfo& segment, const KeyHash& key,
                                       const Help& help);
  /// Counts files that nothing above knows of, or that are held for a backup.
  [[nodiscard]] Status count_other_files(ErasureRecord& record, const Progress& progress) const;
  [[nodiscard]] Status finish(ErasureRecord& record);

  /// Keeps the record, together with other changes.
  [[nodiscard]] Status save(const ErasureRecord& record, Mutations with = {});
  void show(const ErasureRecord& record) RUNNEL_EXCLUDES(mutex_);
  /// Of those that are finished, the oldest, where there are too many.
  void forget_some(Mutations& to, std::vector<std::string>& forgotten) const
      RUNNEL_REQUIRES(mutex_);
  void note_due() RUNNEL_EXCLUDES(mutex_);

  const EraserEnvironment environment_;
  std::atomic<std::size_t> pending_{0};
  std::atomic<std::int64_t> due_{0};  ///< monotonic nanoseconds: nothing can be done before
  std::atomic<bool> has_more_{false};
  // The worker's.
  std::map<std::string, Progress> progress_;
  std::uint64_t spent_ = 0;  ///< of the slice

  mutable Mutex mutex_;
  /// Never changed, only replaced, so that nobody copies them under the lock. Of those that are
  /// finished the index has the whole, and here they are in short.
  using RecordRef = std::shared_ptr<const ErasureRecord>;
  std::map<std::string, RecordRef, std::less<>> known_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
