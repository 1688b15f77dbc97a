// The aborted transactions that readers of committed records leave out.
#include <algorithm>

#include "storage/log/reader.h"

namespace runnel::storage {
namespace {

/// So many entries of a partition's list the caller's thread walks; longer ways the pool goes.
constexpr std::size_t kWalkedAtOnce = 256;

}  // namespace

Result<bool> Reader::walk_aborted(const Partition& partition, AbortedMap::Range range,
                                  Index::Reads reads,
                                  const std::function<bool(const AbortedRecord&)>& visit) const {
  Status status;
  RUNNEL_TRY_ASSIGN(const bool complete,
                    index_.scan(Family::kIndex, keys::aborted(partition.id(), range.first),
                                keys::aborted(partition.id(), range.last + 1), reads,
                                [&](std::string_view key, std::string_view value) {
                                  const auto aborted = decode_aborted(key, value);
                                  if (!aborted) status = fail(aborted.error());
                                  return aborted && visit(*aborted);
                                }));
  RUNNEL_TRY(status);
  return complete;
}

Result<std::vector<AbortedMap::Range>> Reader::mapped_aborted(const Partition& partition,
                                                              Offset from, Offset next) const {
  // Published is what the index has already: everything up to the last abort is there to be read.
  const Partition::View view = partition.view();
  Partition::Aborted& aborted = partition.aborted();
  MutexLock lock(aborted.mutex);
  aborted.map.forget_before(view.start.offset);
  const Offset known = std::max(aborted.map.last(), view.start.offset - 1);
  if (known < view.last_abort) {
    const auto add = [&](const AbortedRecord& a) RUNNEL_REQUIRES(aborted.mutex) {
      aborted.map.add(a);
      return true;
    };
    RUNNEL_TRY(walk_aborted(partition, {known + 1, view.last_abort}, Index::Reads::kDisk, add));
  }
  return aborted.map.find(from, next);
}

Result<std::vector<AbortedRecord>> Reader::aborted_between(const Partition& partition, Offset from,
                                                           Offset next) const {
  std::vector<AbortedRecord> found;
  RUNNEL_TRY_ASSIGN(const auto ranges, mapped_aborted(partition, from, next));
  for (const AbortedMap::Range& range : ranges) {
    const auto add = [&](const AbortedRecord& aborted) {
      if (aborted.first < next) found.push_back(aborted);
      return aborted.stable < next;
    };
    RUNNEL_TRY(walk_aborted(partition, range, Index::Reads::kDisk, add));
  }
  return found;
}

Result<bool> Reader::find_aborted(const Partition& partition, Offset from, bool anyhow,
                                  FetchedPartition& out) const {
  const Offset last_abort = partition.view().last_abort;
  if (from > last_abort) return true;
  std::vector<AbortedMap::Range> ranges{{from, last_abort}};
  if (anyhow) {
    RUNNEL_TRY_ASSIGN(ranges, mapped_aborted(partition, from, out.next));
  }
  const auto reads = anyhow ? Index::Reads::kDisk : Index::Reads::kMemory;
  std::size_t walked = 0;
  bool complete = true;
  const auto add = [&](const AbortedRecord& aborted) {
    if (!anyhow && ++walked > kWalkedAtOnce) {
      complete = false;
      return false;
    }
    if (aborted.first < out.next) out.aborted.push_back({aborted.producer, aborted.first});
    // What ends later began at the stable offset or behind it.
    return aborted.stable < out.next;
  };
  for (const AbortedMap::Range& range : ranges) {
    RUNNEL_TRY_ASSIGN(const bool all_there, walk_aborted(partition, range, reads, add));
    complete = complete && all_there;
  }
  if (!complete) {
    out.aborted.clear();
    return false;
  }
  std::sort(out.aborted.begin(), out.aborted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return true;
}

bool Reader::add_aborted(const FetchRequest& request, bool anyhow, Answer& answer) const {
  if (!request.committed_only) return true;
  for (std::size_t i = 0; i < answer.result.size(); ++i) {
    FetchedPartition& out = answer.result[i];
    out.aborted.clear();
    if (out.bytes == 0) continue;
    const Partition& partition = *request.items[i].partition;
    const auto found = find_aborted(partition, request.items[i].from, anyhow, out);
    if (found && !*found) return false;
    if (found) continue;
    out.error = found.error().within(partition.name());
    out.bytes = 0;  // without the list, aborted records would pass for committed ones
    out.aborted.clear();
    answer.pieces[i].clear();
  }
  return true;
}

}  // namespace runnel::storage
