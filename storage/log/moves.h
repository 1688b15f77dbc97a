// Moving batches: they are written anew into a data segment, and one commit makes the index point
// there. Compaction leaves some records out on the way, the cleaner does not.
//
// Before the commit nobody knows of the new bytes; after it nobody looks for the old ones. Bytes
// are durable before the commit that points to them, so a crash leaves one or the other.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "protocol/base/buffer.h"
#include "storage/commit/committer.h"
#include "storage/index/index.h"
#include "storage/log/partition.h"
#include "storage/log/reader.h"
#include "storage/log/segment_ledger.h"
#include "storage/segments/data_segments.h"
#include "storage/segments/journal.h"

namespace runnel::storage {

/// What takes the place of a run of one partition's entries.
struct Move {
  PartitionRef partition;
  Offset begin;  ///< the old entries' offsets, which are the new ones'
  Offset end;
  Offset start;                                    ///< log start when it was planned
  std::uint64_t moves = 0;                         ///< View::moves when it was planned
  std::vector<Offset> replaced;                    ///< bases of the old entries
  std::map<std::uint32_t, std::uint64_t> sources;  ///< segment -> bytes of the old entries there
  std::vector<IndexEntry> entries;
  std::uint64_t old_bytes = 0;  ///< without what was trimmed
  std::uint64_t new_bytes = 0;
  std::vector<Offset> ended;  ///< abort markers that are gone
  std::optional<CleanPoint> cleaned;
};

/// Collects a move. Not thread safe.
class MoveBuilder {
 public:
  MoveBuilder(PartitionRef partition, const Partition::View& view);

  /// The next entry that goes, in order and without gaps between them. `live_bytes` of it are not
  /// trimmed.
  void replace(const IndexEntry& old, std::uint64_t live_bytes);
  /// A batch that stays. `bytes_before` as in IndexEntry.
  void add(Buffer batch, std::uint64_t bytes_before);
  void end_transaction(Offset abort_marker) { move_.ended.push_back(abort_marker); }

  [[nodiscard]] std::size_t replaced() const noexcept { return move_.replaced.size(); }
  [[nodiscard]] std::uint64_t old_bytes() const noexcept { return move_.old_bytes; }
  [[nodiscard]] Offset end() const noexcept { return move_.end; }
  /// Writes the batches; they are not durable yet.
  [[nodiscard]] Result<Move> finish(DataSegments& data);

 private:
  struct Part {
    Buffer batch;
    std::uint64_t bytes_before = 0;
  };
  Move move_;
  std::uint64_t bytes_before_ = 0;  ///< of the first entry that goes
  std::vector<Part> parts_;
};

/// Commits moves. One thread at a time.
class Mover {
 public:
  Mover(Journal& journal, DataSegments& data, Index& index, Reader& reader, Committer& committer,
        SegmentLedger& segments)
      : journal_(journal),
        data_(data),
        index_(index),
        reader_(reader),
        committer_(committer),
        segments_(segments) {}

  /// All of them or none. A partition's moves are in order, and planned one upon the other.
  /// kPreconditionFailed if the log was trimmed meanwhile to where they would bring something back:
  /// plan again. `with` is committed along.
  [[nodiscard]] Status commit(std::vector<Move> moves, Mutations with = {});
  /// Changes nothing but a partition's clean point.
  [[nodiscard]] Status set_clean(const PartitionRef& partition, const CleanPoint& point,
                                 bool in_new_segment);

 private:
  class Change;

  Journal& journal_;
  DataSegments& data_;
  Index& index_;
  Reader& reader_;
  Committer& committer_;
  SegmentLedger& segments_;
};

}  // namespace runnel::storage
