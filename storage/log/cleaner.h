// The cleaner: compacts the topics that ask for it, and gives back the space of what was deleted or
// trimmed inside segments by moving what is left of them into data segments, sorted by partition.
// So is what was kept for long, while little is written. Erasures are its work as well.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/env/random.h"
#include "storage/log/compaction.h"
#include "storage/log/eraser.h"
#include "storage/log/moves.h"
#include "storage/log/topics.h"

namespace runnel::storage {

struct CleanerOptions {
  std::string directory;
  FileSystem* file_system = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  std::uint64_t memory_bytes = 32u << 20;  ///< for the keys of one partition
  std::uint64_t segment_bytes = 256u << 20;
  /// Reads and writes together, while there are writers to be yielded to. Raised to eight times the
  /// rate of what is appended, so that no debt grows for ever. 0: no limit.
  std::uint64_t bytes_per_second = 0;
  std::uint64_t keep_free_bytes = 0;  ///< half of it is left alone
  std::chrono::milliseconds interval{15'000};
  std::uint64_t frame_seed = 0;    ///< the store's
  std::function<Timestamp()> now;  ///< as retention believes it
  std::function<void(const Error&)> report;
};

struct CleanerStats {
  std::uint64_t read_bytes = 0;       ///< since the start
  std::uint64_t written_bytes = 0;    ///< since the start
  std::uint64_t compacted_bytes = 0;  ///< that compaction removed
  std::uint64_t passes = 0;           ///< over partitions
  std::uint64_t debt_bytes = 0;       ///< still to be looked at or moved, when last looked
  std::uint64_t rate = 0;             ///< bytes a second, in the last round that did something
};

/// Thread safe. A round looks at everything once; rounds run in a thread of their own, or when
/// run() is called.
class Cleaner {
 public:
  Cleaner(CleanerOptions options, Journal& journal, DataSegments& data, Index& index,
          Reader& reader, Committer& committer, Topics& topics, SegmentLedger& segments);
  ~Cleaner() { stop(); }

  /// Rounds in the background, paced.
  void start();
  /// Ends a round that runs between two of its moves. Idempotent.
  void stop();
  /// One round now, as fast as it goes. The first error; what else could be done was done.
  [[nodiscard]] Status run();
  [[nodiscard]] CleanerStats stats() const;
  /// While it is locked no data segment is removed.
  [[nodiscard]] Mutex& removals() noexcept { return removals_; }

  /// Before start().
  [[nodiscard]] Status load_erasures() { return eraser_.load(); }
  /// Eraser::request(); it is begun at once where there is a thread.
  [[nodiscard]] Result<Erasure> request_erasure(std::string_view id, std::string_view topic,
                                                std::string_view key) RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] Result<Erasure> erasure(std::string_view id) const { return eraser_.find(id); }
  [[nodiscard]] std::vector<Erasure> erasures() const { return eraser_.list(); }

 private:
  struct Victim {
    std::uint32_t number = 0;
    std::uint64_t bytes = 0;  ///< of the file
    std::uint64_t live = 0;   ///< of its batches, about
  };
  struct Piece {
    PartitionRef partition;
    Span span;
  };

  void work();
  /// Until the interval is over, much was appended, or an erasure may go on (not where the round
  /// before `failed`); false: stop.
  [[nodiscard]] bool wait(bool failed) RUNNEL_EXCLUDES(mutex_);
  [[nodiscard]] Status round(bool paced) RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] Status erase_keys(bool paced) RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] Status compact_topics(bool paced) RUNNEL_REQUIRES(round_mutex_);
  /// Nothing: there is no need to look.
  [[nodiscard]] Result<std::optional<Compactable>> look_at(const CompactionEnvironment& environment,
                                                           const PartitionRef& partition)
      RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] Status compact(const CompactionEnvironment& environment,
                               const PartitionRef& partition, Compactable what)
      RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] CompactionEnvironment make_environment(bool paced);
  // cleaner_segments.cc
  [[nodiscard]] Status clean_segments(bool paced) RUNNEL_REQUIRES(round_mutex_);
  /// Segments worth rewriting, about as many as give one, without those of `except`
  /// and data segments after `newest`.
  [[nodiscard]] Result<std::vector<Victim>> find_victims(
      const std::unordered_set<std::uint32_t>& except, std::uint32_t newest)
      RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] Result<std::vector<Piece>> pieces_of(const std::vector<Victim>& victims) const;
  [[nodiscard]] Status move_pieces(const std::vector<Piece>& pieces, bool paced)
      RUNNEL_REQUIRES(round_mutex_);
  /// What is damaged stays where it is and is reported; its segment is left alone for a while, and
  /// the others go on.
  [[nodiscard]] Status past_damage(Status moved, const std::vector<Victim>& victims)
      RUNNEL_REQUIRES(round_mutex_);
  // cleaner_sorting.cc
  /// Moves what was kept for long in segments of several partitions, the oldest first. Paced: one
  /// of them, where little is written.
  [[nodiscard]] Status sort_segments(bool paced) RUNNEL_REQUIRES(round_mutex_);
  /// Segments that sorting helps, in order.
  [[nodiscard]] Result<std::vector<std::uint32_t>> find_unsorted() RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] bool little_was_written() const RUNNEL_REQUIRES(round_mutex_);
  [[nodiscard]] Status remove_dead_data() RUNNEL_REQUIRES(round_mutex_) RUNNEL_EXCLUDES(removals_);
  [[nodiscard]] Status pace(std::uint64_t bytes, bool paced);
  [[nodiscard]] Status check_room() const;

  const CleanerOptions options_;
  Journal& journal_;
  DataSegments& data_;
  Index& index_;
  Reader& reader_;
  Committer& committer_;
  Topics& topics_;
  SegmentLedger& segments_;
  Mover mover_;
  Eraser eraser_;

  std::atomic<std::uint64_t> read_bytes_{0};
  std::atomic<std::uint64_t> compacted_bytes_{0};
  std::atomic<std::uint64_t> passes_{0};
  std::atomic<std::uint64_t> debt_{0};
  std::atomic<std::uint64_t> rate_{0};

  Mutex removals_;
  Mutex round_mutex_;
  /// What the victims were last looked for with: nothing changes while this does not.
  std::uint64_t looked_at_written_ RUNNEL_GUARDED_BY(round_mutex_) = 0;
  std::chrono::nanoseconds look_again_ RUNNEL_GUARDED_BY(round_mutex_){0};
  std::uint64_t debt_found_ RUNNEL_GUARDED_BY(round_mutex_) = 0;
  std::uint64_t appended_at_round_ RUNNEL_GUARDED_BY(round_mutex_) =
      0;  ///< when the last one ended
  /// Segments with damage, and until when (by the clock) they are left alone.
  std::unordered_map<std::uint32_t, std::chrono::nanoseconds> damaged_
      RUNNEL_GUARDED_BY(round_mutex_);
  /// Journal segments that are sorted, or were tried: what is damaged stays in them.
  std::unordered_set<std::uint32_t> sorted_ RUNNEL_GUARDED_BY(round_mutex_);

  std::chrono::steady_clock::time_point pace_from_;  ///< the round's thread only
  std::uint64_t appended_at_pace_ = 0;

  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace runnel::storage
