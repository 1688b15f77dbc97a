// Deriving index entries and spans from the batches of an append: the same when a commit is written
// and when it is replayed.
#pragma once

#include "protocol/record_batch/record_batch.h"
#include "storage/index/index.h"
#include "storage/log/partition.h"
#include "storage/log/records.h"

namespace runnel::storage {

/// An index entry covers at most this many bytes, unless a single batch is larger. Bounds the walk
/// to an offset within an entry.
inline constexpr std::uint32_t kEntryBytes = 128u << 10;

/// Fed with one partition's batches of one frame, in order.
class EntryBuilder {
 public:
  /// `state` is carried forward; entries and finished spans go to `mutations`.
  EntryBuilder(PartitionId partition, PartitionState& state, Mutations& mutations)
      : partition_(partition), state_(state), mutations_(mutations) {}

  /// A batch whose base offset is stamped and whose first byte is at `position`.
  /// Returns true if the partition begins a new span (its first batch in that segment).
  bool add(const protocol::BatchView& batch, std::uint32_t bytes, Position position);
  /// After the last batch.
  void finish();
  [[nodiscard]] std::vector<IndexEntry>& entries() noexcept { return entries_; }

 private:
  void flush();

  PartitionId partition_;
  PartitionState& state_;
  Mutations& mutations_;
  IndexEntry open_;
  std::vector<IndexEntry> entries_;
};

}  // namespace runnel::storage
