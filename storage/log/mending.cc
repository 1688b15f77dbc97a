#include "storage/log/mending.h"

#include <algorithm>

#include "storage/log/batch_walker.h"
#include "storage/log/entry_check.h"

namespace runnel::storage {

/// One partition at work.
struct Mending::Work {
  Partition& partition;
  Partition::View view;
  std::vector<IndexEntry> left;       // what stays, in order
  std::vector<Loss> losses;           // in order, not touching
  std::vector<std::uint64_t> before;  // bytes before each loss
  std::set<std::uint32_t> touched;    // segments that lost something
};

Result<std::vector<IndexEntry>> Mending::entries_of(const Partition& partition) const {
  std::vector<IndexEntry> entries;
  Status status;
  const Offset start = partition.view().start.offset;
  RUNNEL_TRY(index_.scan(Family::kIndex, keys::index_entry(partition.id(), Offset(0)),
                         keys::index_entry(partition.id() + 1, Offset(0)),
                         [&](std::string_view key, std::string_view value) {
                           const auto entry = decode_index_entry(key, value);
                           if (!entry) status = fail(entry.error());
                           if (entry && entry->last >= start) entries.push_back(*entry);
                           return status.has_value();
                         }));
  RUNNEL_TRY(status);
  return entries;
}

Result<bool> Mending::is_suspect(const IndexEntry& entry) {
  RUNNEL_TRY_ASSIGN(const auto file, segments_.open(entry.position.segment));
  return !file || std::any_of(damages_.begin(), damages_.end(),
                              [&](const Damage& d) { return touches(d, entry); });
}

Result<std::vector<IndexEntry>> Mending::salvage(const IndexEntry& entry) {
  RUNNEL_TRY_ASSIGN(const auto file, segments_.open(entry.position.segment));
  if (!file) return std::vector{lost_entry(entry.base, entry.last, entry.bytes_before)};
  Buffer bytes = Buffer::allocate(entry.bytes);
  RUNNEL_TRY_ASSIGN(const std::size_t got,
                    file->read(entry.position.offset, bytes.mutable_bytes()));
  return salvage_entry(entry, bytes.bytes().first(got));
}

void Mending::lose(Work& work, const IndexEntry& lost, const IndexEntry* from) {
  const Offset first = std::max(lost.base, work.view.start.offset);
  if (lost.last < first) return;
  if (work.losses.empty() || work.losses.back().range.last + 1 != first) {
    work.losses.push_back({work.partition.id(),
                           {work.partition.topic(), work.partition.index(), first, lost.last},
                           {}});
    work.before.push_back(lost.bytes_before);
  }
  Loss& loss = work.losses.back();
  loss.range.last = lost.last;
  if (from != nullptr) loss.from.push_back(*from);
}

Status Mending::look_at(Work& work, const IndexEntry& entry, Mutations& to) {
  bool suspect = false;
  if (entry.bytes != 0) {
    RUNNEL_TRY_ASSIGN(suspect, is_suspect(entry));
  }
  if (!suspect) {
    work.left.push_back(entry);
    return {};
  }
  RUNNEL_TRY_ASSIGN(const std::vector<IndexEntry> pieces, salvage(entry));
  if (pieces.size() == 1 && pieces[0].bytes == entry.bytes) {
    work.left.push_back(entry);
    return {};
  }
  work.touched.insert(entry.position.segment);
  to.erase(Family::kIndex, keys::index_entry(work.partition.id(), entry.base));
  for (const IndexEntry& piece : pieces) {
    if (piece.is_lost()) {
      lose(work, piece, &entry);
      continue;
    }
    to.put(Family::kIndex, keys::index_entry(work.partition.id(), piece.base), encode(piece));
    work.left.push_back(piece);
  }
  return {};
}

void Mending::put_losses(const Work& work, Mutations& to) const {
  const PartitionId id = work.partition.id();
  for (std::size_t i = 0; i < work.losses.size(); ++i) {
    const Loss& loss = work.losses[i];
    const LostRange& range = loss.range;
    to.put(Family::kIndex, keys::index_entry(id, range.first),
           encode(lost_entry(range.first, range.last, work.before[i])));
    const std::string why =
        loss.from.empty() ? "in commits that can't be read" : loss.from[0].position.to_string();
    to.put(Family::kIndex, keys::lost(id, range.first),
           encode(LostRecord{range.first, range.last, now_, why}));
  }
}

Status Mending::put_spans(Work& work, Mutations& to) {
  for (const std::uint32_t segment : work.touched) {
    std::optional<Span> after;
    for (const IndexEntry& e : work.left) {
      if (e.bytes == 0 || e.position.segment != segment) continue;
      if (!after) after = Span{segment, e.base, e.last, 0, kNoTimestamp};
      after->last = e.last;
      after->bytes += e.bytes;
      after->max_timestamp = std::max(after->max_timestamp, e.max_timestamp);
    }
    PartitionState& state = work.partition.writer().state;
    if (state.open_span.segment == segment) {
      state.open_span = after.value_or(Span{});
      work.partition.writer().dirty = true;
      continue;
    }
    const std::string key = keys::span(work.partition.id(), segment);
    if (!after) {
      to.erase(Family::kIndex, key);
      continue;
    }
    RUNNEL_TRY_ASSIGN(const auto value, index_.get(Family::kIndex, key));
    if (value) {
      RUNNEL_TRY_ASSIGN(const Span before, decode_span(segment, *value));
      after->newest = before.newest;
    }
    to.put(Family::kIndex, key, encode(*after));
  }
  return {};
}

Status Mending::put_start(const Work& work, Mutations& to) {
  // Where nothing was compacted each entry says how much was before it.
  if (work.view.cleaned.offset == Offset(0) || work.touched.empty()) return {};
  const Offset start = work.view.start.offset;
  std::uint64_t live = 0;
  for (const IndexEntry& e : work.left) {
    if (e.bytes == 0) continue;
    if (e.base >= start) {
      live += e.bytes;
      continue;
    }
    RUNNEL_TRY_ASSIGN(const auto file, segments_.open(e.position.segment));
    BatchWalker walker(*file, e.position.offset, e.bytes);
    while (true) {
      RUNNEL_TRY_ASSIGN(const auto step, walker.next());
      if (!step) break;
      if (step->last >= start) live += step->bytes;
    }
  }
  to.put(Family::kMeta, keys::log_start(work.partition.id()),
         encode(LogStart{start, work.partition.writer().state.bytes - live}));
  return {};
}

Result<std::vector<Mending::Loss>> Mending::mend(Partition& partition, Mutations& to) {
  Work work{partition, partition.view(), {}, {}, {}, {}};
  RUNNEL_TRY_ASSIGN(const std::vector<IndexEntry> entries, entries_of(partition));
  Offset expected = work.view.start.offset;
  std::uint64_t bytes_before = work.view.start.bytes;
  for (const IndexEntry& entry : entries) {
    if (entry.base > expected) {
      lose(work, lost_entry(expected, entry.base - 1, bytes_before), nullptr);
    }
    expected = entry.last + 1;
    bytes_before = entry.bytes_before + entry.bytes;
    RUNNEL_TRY(look_at(work, entry, to));
  }
  const Offset end = partition.writer().state.next;
  if (expected < end) lose(work, lost_entry(expected, end - 1, bytes_before), nullptr);
  put_losses(work, to);
  RUNNEL_TRY(put_spans(work, to));
  RUNNEL_TRY(put_start(work, to));
  return std::move(work.losses);
}

}  // namespace runnel::storage
