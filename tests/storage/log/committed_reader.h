// What a reader of committed records does with a fetched run of batches, in the plainest way.
#pragma once

#include <algorithm>
#include <functional>
#include <set>

#include "protocol/record_batch/control_record.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::storage {

/// Calls `visit(record)` for each record that no aborted transaction wrote. False if the batches
/// can't be read. `aborted` as FetchedPartition has it.
inline bool for_each_committed(Bytes batches, const std::vector<AbortedTransaction>& aborted,
                               const std::function<void(const protocol::Record&)>& visit) {
  std::set<ProducerId> aborting;
  auto next = aborted.begin();
  while (!batches.empty()) {
    const auto size =
        protocol::validate_batch(batches, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
    if (!size) return false;
    const Bytes bytes = batches.first(*size);
    const protocol::BatchView batch(bytes);
    for (; next != aborted.end() && next->first <= batch.last_offset(); ++next) {
      aborting.insert(next->producer);
    }
    batches = batches.subspan(*size);
    if (batch.is_control()) {
      const auto marker = protocol::read_end_txn_batch(bytes);
      if (!marker) return false;
      if (marker->type == protocol::ControlType::kAbort) aborting.erase(batch.producer_id());
      continue;
    }
    if (batch.is_transactional() && aborting.contains(batch.producer_id())) continue;
    auto reader = protocol::RecordReader::open(bytes);
    for (auto r = reader->next(); r && *r; r = reader->next()) visit(**r);
  }
  return true;
}

/// Offsets and values of the committed records of a partition from `from` on, read with fetches of
/// at most `max_bytes`.
inline std::vector<std::pair<Offset, std::string>> read_committed(Store& store,
                                                                  const PartitionRef& partition,
                                                                  Offset from,
                                                                  std::uint32_t max_bytes,
                                                                  bool& readable) {
  std::vector<std::pair<Offset, std::string>> out;
  readable = true;
  while (true) {
    FetchRequest request;
    request.items.push_back({partition, from, max_bytes});
    request.committed_only = true;
    const auto fetched = store.fetch_and_wait(std::move(request));
    const FetchedPartition& head = fetched[0].head;
    readable = !head.error && head.last_stable <= head.high_watermark && head.next >= from &&
               (head.next == from || head.next <= head.last_stable);
    if (!readable || head.next == from) return out;
    readable = std::is_sorted(head.aborted.begin(), head.aborted.end(),
                              [](const auto& a, const auto& b) { return a.first < b.first; }) &&
               for_each_committed(fetched[0].batches.bytes(), head.aborted,
                                  [&](const protocol::Record& r) {
                                    if (r.offset < from) return;
                                    out.emplace_back(r.offset, std::string(r.value.value_or("")));
                                  });
    if (!readable) return out;
    from = head.next;
  }
}

}  // namespace runnel::storage
