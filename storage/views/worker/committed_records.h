// The records of what was fetched that count: those of committed transactions and of no
// transaction.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/record_batch/abort_filter.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::storage::views {

/// Calls `visit(Bytes batch) -> Result<bool>` for each of `batches` with records that count, in
/// order, until it says false (enough) or fails. `aborted` is what came with the batches. Errors:
/// the visit's, and kCorrupt or kMalformed for what is no batch.
template <class Visit>
[[nodiscard]] Status for_each_committed_batch(Bytes batches,
                                              const std::vector<AbortedTransaction>& aborted,
                                              Visit&& visit) {
  std::vector<protocol::AbortedFrom> transactions;
  for (const AbortedTransaction& one : aborted) transactions.push_back({one.producer, one.first});
  protocol::AbortFilter filter(std::move(transactions));
  while (!batches.empty()) {
    RUNNEL_TRY_ASSIGN(
        const std::size_t size,
        protocol::validate_batch(batches, protocol::Depth::kCrc, protocol::Gaps::kAllowed));
    const Bytes batch = batches.first(size);
    batches = batches.subspan(size);
    RUNNEL_TRY_ASSIGN(const bool left_out, filter.leaves_out(batch));
    if (left_out) continue;
    RUNNEL_TRY_ASSIGN(const bool go_on, visit(batch));
    if (!go_on) break;
  }
  return {};
}

/// Calls `visit(const protocol::Record&) -> Result<bool>` for each record of a batch, in order,
/// until it says false or fails. A record's views live during the call.
template <class Visit>
[[nodiscard]] Status for_each_record(Bytes batch, Visit&& visit) {
  RUNNEL_TRY_ASSIGN(auto reader, protocol::RecordReader::open(batch));
  while (true) {
    RUNNEL_TRY_ASSIGN(const protocol::Record* const record, reader.next_in_place());
    if (record == nullptr) return {};
    RUNNEL_TRY_ASSIGN(const bool go_on, visit(*record));
    if (!go_on) return {};
  }
}

}  // namespace runnel::storage::views
