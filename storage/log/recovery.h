// After a start: replaying the journal from the last checkpoint, then building what is in memory.
#pragma once

#include <unordered_map>

#include "storage/commit/stager.h"
#include "storage/index/index.h"
#include "storage/log/segment_ledger.h"
#include "storage/log/topics.h"
#include "storage/segments/journal.h"

namespace runnel::storage {

/// Used once, before there are threads. Replay is idempotent: the index may already hold some of
/// what the frames say, never more than the journal does.
class Recovery {
 public:
  Recovery(Index& index, Journal& journal, Producers& producers)
      : index_(index), journal_(journal), producers_(producers) {}

  /// Brings the index up to the journal's end.
  [[nodiscard]] Status replay();
  /// Fills topics, partitions, live segments and fences from the index and what replay carried.
  [[nodiscard]] Status load(Topics& topics, SegmentLedger& segments, Stager& stager);

  [[nodiscard]] const JournalPoint& checkpoint() const noexcept { return checkpoint_; }
  [[nodiscard]] const ReplayReport& report() const noexcept { return report_; }

 private:
  [[nodiscard]] Status replay_frame(const FrameView& frame);
  [[nodiscard]] Status replay_append(const FrameView& frame, PartitionId partition, Bytes batches,
                                     Position position);
  void note_erase(const Mutations::Change& change);
  [[nodiscard]] Result<PartitionState*> carried(PartitionId partition);
  [[nodiscard]] Status apply_pending(std::size_t at_least);
  /// The index may hold it already, made when all that came before was known: that one is right.
  [[nodiscard]] Status replay_aborted(PartitionId partition, const AbortedRecord& aborted);
  [[nodiscard]] Status load_topics(Topics& topics);
  [[nodiscard]] Status load_producers();
  [[nodiscard]] Status load_segments(const Topics& topics, SegmentLedger& segments);

  Index& index_;
  Journal& journal_;
  Producers& producers_;
  JournalPoint checkpoint_;
  ReplayReport report_;
  Mutations pending_;
  std::unordered_map<PartitionId, PartitionState> carried_;
};

}  // namespace runnel::storage
