// Which batches belong to transactions that were aborted.
#pragma once

#include <cstddef>
#include <unordered_set>
#include <utility>
#include <vector>

#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

/// A transaction that was aborted: its producer's transactional batches from `first` up to the
/// abort marker are no records.
struct AbortedFrom {
  ProducerId producer;
  Offset first;
};

/// Follows the transactions through a partition's batches. Not thread safe.
class AbortFilter {
 public:
  /// Those among the batches, by ascending `first`.
  explicit AbortFilter(std::vector<AbortedFrom> aborted) : aborted_(std::move(aborted)) {}

  /// For each whole batch, in order: whether its records are to be left out; control batches always
  /// are. Errors: those of read_end_txn_batch.
  [[nodiscard]] Result<bool> leaves_out(Bytes batch);

 private:
  const std::vector<AbortedFrom> aborted_;
  std::size_t passed_ = 0;
  std::unordered_set<ProducerId> open_;
};

}  // namespace runnel::protocol
