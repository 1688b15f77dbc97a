// After a start: replaying the journal from the last checkpoint, then building what is in memory.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "storage/commit/stager.h"
#include "storage/index/index.h"
#include "storage/log/segment_ledger.h"
#include "storage/log/topics.h"
#include "storage/segments/journal.h"

namespace runnel::storage {

/// What replay makes of frames that a start refuses.
enum class Replay {
  kStrict,
  /// For repair: what is missing between a partition's batches is passed over, and so are batches
  /// that are damaged.
  kOverGaps,
};

/// Used once, before there are threads. Replay is idempotent: the index may already hold some of
/// what the frames say, never more than the journal does. It is ahead of its checkpoint whenever it
/// made room in its memory since then.
class Recovery {
 public:
  /// Every producer counts as used `now`, which is monotonic.
  Recovery(Index& index, Producers& producers, Replay replay = Replay::kStrict,
           std::chrono::nanoseconds now = {})
      : index_(index), producers_(producers), over_gaps_(replay == Replay::kOverGaps), now_(now) {}

  /// Brings the index up to the journal's end: begin(), apply() for each frame, finish().
  [[nodiscard]] Status replay(Journal& journal);
  /// Reads the checkpoint, and the producers as the index holds them.
  [[nodiscard]] Status begin();
  /// The next frame from the checkpoint on.
  [[nodiscard]] Status apply(const FrameView& frame);
  [[nodiscard]] Status finish();
  /// Fills topics, partitions, live segments and fences from the index and what replay carried.
  [[nodiscard]] Status load(Topics& topics, SegmentLedger& segments, Stager& stager);

  [[nodiscard]] const JournalPoint& checkpoint() const noexcept { return checkpoint_; }
  /// Offsets that a partition's batches left out, and where in the journal that was seen.
  struct Gap {
    PartitionId partition;
    Offset first;
    Offset last;
    Position before;
  };
  [[nodiscard]] const std::vector<Gap>& gaps() const noexcept { return gaps_; }
  /// Of those that replay met; 0: none.
  [[nodiscard]] PartitionId greatest_partition() const noexcept;
  [[nodiscard]] const ReplayReport& report() const noexcept { return report_; }

 private:
  [[nodiscard]] Status replay_append(const FrameView& frame, PartitionId partition, Bytes batches,
                                     Position position);
  /// Over a batch that is damaged; what its head says is known to be right.
  void pass_over(Position position, PartitionId partition, const protocol::BatchView& batch,
                 PartitionState& to);
  [[nodiscard]] Status note_erase(const Mutations::Change& change);
  [[nodiscard]] Status note_put(const Mutations::Change& change);
  [[nodiscard]] Result<PartitionState*> carried(PartitionId partition);
  [[nodiscard]] Status apply_pending(std::size_t at_least);
  /// The index may hold it already, made when all that came before was known: that one is right.
  [[nodiscard]] Status replay_aborted(PartitionId partition, const AbortedRecord& aborted);
  [[nodiscard]] Status load_topics(Topics& topics);
  [[nodiscard]] Status load_producers();
  [[nodiscard]] Status load_segments(const Topics& topics, SegmentLedger& segments);

  Index& index_;
  Producers& producers_;
  const bool over_gaps_;
  const std::chrono::nanoseconds now_;
  std::vector<Gap> gaps_;
  JournalPoint checkpoint_;
  ReplayReport report_;
  Mutations pending_;
  std::unordered_map<PartitionId, PartitionState> carried_;
  /// Carried, but the index holds no state of them and no batch came yet: they were created after
  /// the checkpoint, or a later frame deletes them and the index knows it already.
  std::unordered_set<PartitionId> stateless_;
  /// Of those, the ones whose first batch has an offset that only a deleted one can have; and the
  /// refusal where a topic has such a partition all the same.
  std::unordered_map<PartitionId, Error> must_be_gone_;
};

}  // namespace runnel::storage
