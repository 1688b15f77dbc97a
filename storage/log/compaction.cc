#include "storage/log/compaction.h"

#include <algorithm>

#include "protocol/record_batch/batch_filter.h"
#include "protocol/record_batch/control_record.h"
#include "storage/log/batch_walker.h"

namespace runnel::storage {
namespace {

using protocol::BatchView;
using protocol::FilteredBatch;

/// One move replaces at most so many entries, which bounds the commit, and about so many bytes,
/// which bounds the memory.
constexpr std::size_t kMoveEntries = 4096;
constexpr std::uint64_t kMoveBytes = 8u << 20;

Timestamp later(Timestamp time, std::int64_t by) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return by > kMost - time.value() ? Timestamp(kMost) : time + by;
}

Timestamp earlier(Timestamp time, std::int64_t by) {
  return by > time.value() ? Timestamp(0) : time - by;
}

}  // namespace

Result<Compactable> find_compactable(const CompactionEnvironment& environment,
                                     const PartitionRef& partition) {
  const TopicConfig config = partition->config();
  const Partition::View view = partition->view();
  const std::uint32_t current = environment.journal.current_segment();
  constexpr Timestamp kAny(std::numeric_limits<std::int64_t>::max());
  const Timestamp youngest = config.min_compaction_lag_ms == 0
                                 ? kAny
                                 : earlier(environment.now, config.min_compaction_lag_ms);
  const Timestamp oldest = earlier(environment.now, config.max_compaction_lag_ms);
  Compactable found;
  found.from = found.to = view.cleaned;
  std::optional<Timestamp> first;
  RUNNEL_TRY(environment.reader.for_each_entry(
      *partition, std::max(view.cleaned.offset, view.start.offset), view.stable.offset,
      [&](const IndexEntry& e) {
        if (e.is_lost()) {
          found.to = {e.last + 1, e.bytes_before};
          return true;
        }
        // A batch without a timestamp is as old as its segment's last write.
        Timestamp time = e.max_timestamp;
        if (time == kNoTimestamp && !is_data_segment(e.position.segment)) {
          time = environment.journal.closed_at(e.position.segment).value_or(environment.now);
        }
        if (e.last >= view.stable.offset || time > youngest) return false;
        const bool is_last = e.last + 1 >= view.high_watermark;
        if (is_last && e.position.segment == current) return false;
        if (is_last) {
          found.tail = e.last + 1;
          return false;
        }
        if (!first) first = time;
        if (e.position.segment == current) {
          found.in_the_way = *first < oldest && found.bytes == 0;
          return false;
        }
        found.bytes += e.bytes;
        found.to = {e.last + 1, e.bytes_before + e.bytes};
        return true;
      }));
  const std::uint64_t dirty = view.bytes - std::min(view.bytes, view.cleaned.bytes);
  found.total = view.live_bytes() - std::min(view.live_bytes(), dirty) + found.bytes;
  const double ratio = static_cast<double>(found.bytes) / static_cast<double>(found.total);
  found.is_due = found.bytes != 0 && (ratio > config.min_dirty_ratio || *first < oldest);
  return found;
}

Compaction::Compaction(const CompactionEnvironment& environment, PartitionRef partition)
    : environment_(environment),
      partition_(std::move(partition)),
      config_(partition_->config()),
      horizon_(later(environment.now, config_.delete_retention_ms)),
      keys_(environment.memory_bytes, environment.seed),
      last_(partition_->view().high_watermark - 1) {}

Result<Compaction::Entries> Compaction::some_entries(Offset from, Offset end) const {
  Entries entries;
  std::uint64_t bytes = 0;
  RUNNEL_TRY(environment_.reader.for_each_entry(*partition_, from, end, [&](const IndexEntry& e) {
    entries.push_back(e);
    bytes += e.bytes;
    return entries.size() < kMoveEntries && bytes < kMoveBytes;
  }));
  return entries;
}

Result<Buffer> Compaction::read(const IndexEntry& entry) {
  if (entry.bytes == 0) return Buffer();
  stats_.read_bytes += entry.bytes;
  return environment_.reader.read_checked(entry);
}

Status Compaction::load_aborted(const Entries& entries) {
  aborted_.clear();
  RUNNEL_TRY_ASSIGN(const auto aborted,
                    environment_.reader.aborted_between(*partition_, entries.front().base,
                                                        entries.back().last + 1));
  for (const AbortedRecord& a : aborted) aborted_[a.producer].push_back({a.first, a.marker});
  return {};
}

bool Compaction::is_aborted(const BatchView& batch) const {
  if (!batch.is_transactional() || batch.is_control()) return false;
  const auto of_producer = aborted_.find(batch.producer_id());
  if (of_producer == aborted_.end()) return false;
  const Offset base = batch.base_offset();
  return std::any_of(of_producer->second.begin(), of_producer->second.end(),
                     [&](const AbortedRange& a) { return a.first <= base && base < a.marker; });
}

Status Compaction::map_entry(Bytes batches) {
  Status status;
  for_each_batch(batches, [&](const BatchView& batch, Bytes bytes) {
    if (!status || batch.is_control() || is_aborted(batch)) return;
    const auto map = [&]() -> Status {
      RUNNEL_TRY_ASSIGN(auto records, protocol::RecordReader::open(bytes));
      while (true) {
        RUNNEL_TRY_ASSIGN(const auto record, records.next());
        if (!record) return {};
        if (record->key) keys_.put(*record->key, record->offset);
      }
    };
    status = map();
  });
  return status;
}

Result<CleanPoint> Compaction::map_keys(const Compactable& what) {
  CleanPoint end{std::max(what.from.offset, partition_->view().start.offset), what.from.bytes};
  while (end.offset < what.to.offset) {
    RUNNEL_TRY_ASSIGN(const Entries entries, some_entries(end.offset, what.to.offset));
    if (entries.empty()) break;  // trimmed meanwhile
    RUNNEL_TRY(load_aborted(entries));
    const std::uint64_t read_before = stats_.read_bytes;
    for (const IndexEntry& entry : entries) {
      RUNNEL_TRY_ASSIGN(const Buffer batches, read(entry));
      std::size_t records = 0;
      if (!batches.empty()) {
        for_each_batch(batches.bytes(), [&](const BatchView& batch, Bytes) {
          records += static_cast<std::size_t>(batch.record_count());
        });
      }
      // One entry is always taken, so that every pass gets on.
      if (keys_.size() != 0 && !keys_.has_room(records)) return end;
      if (!batches.empty()) RUNNEL_TRY(map_entry(batches.bytes()));
      end = {entry.last + 1, entry.bytes_before + entry.bytes};
    }
    RUNNEL_TRY(environment_.pace(stats_.read_bytes - read_before));
  }
  if (end.offset >= what.to.offset) RUNNEL_TRY(map_tail(what));
  return end;
}

Status Compaction::map_tail(const Compactable& what) {
  if (what.tail <= what.to.offset) return {};
  RUNNEL_TRY_ASSIGN(const Entries entries, some_entries(what.to.offset, what.tail));
  if (entries.empty()) return {};
  RUNNEL_TRY(load_aborted(entries));
  for (const IndexEntry& entry : entries) {
    RUNNEL_TRY_ASSIGN(const Buffer batches, read(entry));
    if (batches.empty()) continue;
    std::size_t records = 0;
    for_each_batch(batches.bytes(), [&](const BatchView& batch, Bytes) {
      records += static_cast<std::size_t>(batch.record_count());
    });
    if (!keys_.has_room(records)) return {};
    RUNNEL_TRY(map_entry(batches.bytes()));
  }
  return {};
}

void Compaction::count_removed(const BatchView& batch, std::int32_t left) {
  stats_.removed_records += static_cast<std::uint64_t>(batch.record_count() - left);
}

Status Compaction::filter_control(const Buffer& batch, std::uint64_t bytes_before, MoveBuilder& to,
                                  bool& changed) {
  const BatchView view(batch.bytes());
  const auto marker = protocol::read_end_txn_batch(batch.bytes());
  // A transaction's end stays while one of its records may be there.
  const bool needed = with_data_.erase(view.producer_id()) != 0 || !marker;
  const auto horizon = view.delete_horizon();
  if (needed || (horizon && *horizon > environment_.now)) {
    to.add(batch, bytes_before);
    return {};
  }
  changed = true;
  if (horizon) {
    count_removed(view, 0);
    if (marker->type == protocol::ControlType::kAbort) to.end_transaction(view.base_offset());
    return {};
  }
  RUNNEL_TRY_ASSIGN(FilteredBatch dated,
                    protocol::filter_batch(
                        batch.bytes(), [](const protocol::Record&) { return true; }, horizon_));
  to.add(std::move(dated.bytes), bytes_before);
  return {};
}

Status Compaction::filter_data(const Buffer& batch, std::uint64_t bytes_before, MoveBuilder& to,
                               bool& changed) {
  const BatchView view(batch.bytes());
  const auto horizon = view.delete_horizon();
  const bool marks_go = horizon && *horizon <= environment_.now;
  bool marks_stay = false;
  const auto keep = [&](const protocol::Record& record) {
    if (!record.key) return true;
    const auto newest = keys_.find(*record.key);
    if (newest && *newest > record.offset) return false;
    if (record.value) return true;
    marks_stay = marks_stay || !marks_go;
    return !marks_go;
  };
  RUNNEL_TRY_ASSIGN(FilteredBatch left, protocol::filter_batch(batch.bytes(), keep));
  if (marks_stay && !horizon) {
    RUNNEL_TRY_ASSIGN(left, protocol::filter_batch(batch.bytes(), keep, horizon_));
  }
  switch (left.outcome) {
    case FilteredBatch::Outcome::kUnchanged:
      to.add(batch, bytes_before);
      break;
    case FilteredBatch::Outcome::kChanged:
      changed = true;
      count_removed(view, BatchView(left.bytes.bytes()).record_count());
      to.add(std::move(left.bytes), bytes_before);
      break;
    case FilteredBatch::Outcome::kEmpty:
      changed = true;
      count_removed(view, 0);
      break;
  }
  return {};
}

Status Compaction::filter(const Buffer& batch, std::uint64_t bytes_before, MoveBuilder& to,
                          bool& changed) {
  const BatchView view(batch.bytes());
  if (view.last_offset() == last_) {
    to.add(batch, bytes_before);
    return {};
  }
  if (view.is_control()) return filter_control(batch, bytes_before, to, changed);
  if (view.is_transactional()) with_data_.insert(view.producer_id());
  if (is_aborted(view)) {
    changed = true;
    count_removed(view, 0);
    return {};
  }
  return filter_data(batch, bytes_before, to, changed);
}

Status Compaction::rewrite(const Entries& entries, const CleanPoint& clean) {
  RUNNEL_TRY(load_aborted(entries));
  const Partition::View view = partition_->view();
  if (view.deleted) return fail(topic_gone(*partition_));
  MoveBuilder builder(partition_, view);
  bool changed = false;
  for (const IndexEntry& entry : entries) {
    RUNNEL_TRY_ASSIGN(const Buffer batches, read(entry));
    std::uint64_t live = 0;
    for (std::size_t at = 0; at < batches.size();) {
      const std::size_t size = BatchView(batches.bytes().subspan(at)).total_bytes();
      const Buffer batch = batches.slice(at, size);
      if (BatchView(batch.bytes()).last_offset() >= view.start.offset) {
        live += size;
        RUNNEL_TRY(filter(batch, entry.bytes_before + at, builder, changed));
      }
      at += size;
    }
    builder.replace(entry, live);
  }
  if (!changed) return {};
  RUNNEL_TRY_ASSIGN(Move move, builder.finish(environment_.data));
  if (clean.offset > view.cleaned.offset) move.cleaned = clean;
  stats_.written_bytes += move.new_bytes;
  const std::uint64_t removed = move.old_bytes - std::min(move.old_bytes, move.new_bytes);
  std::vector<Move> moves;
  moves.push_back(std::move(move));
  RUNNEL_TRY(environment_.mover.commit(std::move(moves)));
  stats_.removed_bytes += removed;
  return {};
}

Status Compaction::run(const Compactable& what) {
  RUNNEL_TRY_ASSIGN(const CleanPoint end, map_keys(what));
  Offset at = partition_->view().start.offset;
  while (at < end.offset) {
    RUNNEL_TRY_ASSIGN(Entries entries, some_entries(at, end.offset));
    if (entries.empty()) break;
    if (entries.front().is_lost()) {
      at = entries.front().last + 1;
      continue;
    }
    // What is lost stays known: no move reaches over it.
    entries.erase(std::find_if(entries.begin(), entries.end(),
                               [](const IndexEntry& e) { return e.is_lost(); }),
                  entries.end());
    const std::uint64_t bytes_before = stats_.read_bytes + stats_.written_bytes;
    const IndexEntry& last = entries.back();
    RUNNEL_TRY(rewrite(entries, {last.last + 1, last.bytes_before + last.bytes}));
    at = last.last + 1;
    RUNNEL_TRY(environment_.pace(stats_.read_bytes + stats_.written_bytes - bytes_before));
  }
  if (partition_->view().cleaned.offset >= end.offset) return {};
  return environment_.mover.set_clean(partition_, end, /*in_new_segment=*/false);
}

}  // namespace runnel::storage
