#include "storage/log/moves.h"

#include <algorithm>
#include <unordered_set>

#include "storage/log/entry_builder.h"

namespace runnel::storage {
namespace {

Error overtaken(const Partition& partition) {
  return Error(ErrorCode::kPreconditionFailed,
               partition.name() + " was trimmed or deleted while batches of it were moved");
}

}  // namespace

MoveBuilder::MoveBuilder(PartitionRef partition, const Partition::View& view) {
  move_.partition = std::move(partition);
  move_.start = view.start.offset;
  move_.moves = view.moves;
}

void MoveBuilder::replace(const IndexEntry& old, std::uint64_t live_bytes) {
  RUNNEL_ASSERT(move_.replaced.empty() || old.base == move_.end);
  if (move_.replaced.empty()) {
    move_.begin = old.base;
    bytes_before_ = old.bytes_before;
  }
  move_.end = old.last + 1;
  move_.replaced.push_back(old.base);
  if (old.bytes != 0) move_.sources[old.position.segment] += old.bytes;
  move_.old_bytes += live_bytes;
}

void MoveBuilder::add(Buffer batch, std::uint64_t bytes_before) {
  move_.new_bytes += batch.size();
  parts_.push_back({std::move(batch), bytes_before});
}

Result<Move> MoveBuilder::finish(DataSegments& data) {
  std::vector<IndexEntry>& entries = move_.entries;
  if (parts_.empty()) {
    entries.push_back({move_.begin, move_.end - 1, {}, 0, kNoTimestamp, bytes_before_});
    return std::move(move_);
  }
  std::vector<Bytes> bytes;
  for (const Part& p : parts_) bytes.push_back(p.batch.bytes());
  RUNNEL_TRY_ASSIGN(Position position, data.write(bytes));
  // What was trimmed needs no entry any more.
  const Offset front = std::min(std::max(move_.begin, move_.start),
                                protocol::BatchView(bytes.front()).base_offset());
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const protocol::BatchView batch(bytes[i]);
    const auto size = static_cast<std::uint32_t>(bytes[i].size());
    if (entries.empty() || entries.back().bytes + size > kEntryBytes) {
      // Offsets that are gone belong to the entry before them.
      const Offset base = entries.empty() ? front : batch.base_offset();
      if (!entries.empty()) entries.back().last = base - 1;
      entries.push_back({base, base, position, 0, kNoTimestamp, parts_[i].bytes_before});
    }
    IndexEntry& entry = entries.back();
    entry.bytes += size;
    entry.max_timestamp = std::max(entry.max_timestamp, batch.max_timestamp());
    entry.heads = heads_checksum(bytes[i], entry.heads);
    position.offset += size;
  }
  entries.back().last = move_.end - 1;
  return std::move(move_);
}

/// One commit's worth of moves: builds the changes, then makes them in memory.
class Mover::Change {
 public:
  Change(Mover& mover, std::vector<Move> moves, Mutations with)
      : mover_(mover), moves_(std::move(moves)), mutations_(std::move(with)) {}

  Result<Mutations> build();
  void applied();

 private:
  struct PartitionChange {
    Partition::View view;
    Partition::Moved moved;
    bool open_span_closed = false;
    std::unordered_set<Offset> gone;  ///< bases of the entries that these moves replace
  };
  struct SpanChange {
    std::optional<Span> before;
    std::optional<Span> after;
  };
  using SpanKey = std::pair<PartitionId, std::uint32_t>;

  [[nodiscard]] Status add(const Move& move);
  [[nodiscard]] Result<SpanChange*> span_of(Partition& partition, std::uint32_t segment);
  /// Takes the move's offsets out of a span.
  [[nodiscard]] Status shrink(const Move& move, std::uint64_t bytes, SpanChange& span) const;
  [[nodiscard]] Result<bool> has_entries(Partition& partition, std::uint32_t segment, Offset from,
                                         Offset end) const;
  void extend(const Move& move, Timestamp newest, SpanChange& span) const;
  void put_spans();

  Mover& mover_;
  std::vector<Move> moves_;
  Mutations mutations_;
  std::map<Partition*, PartitionChange> partitions_;
  std::map<SpanKey, SpanChange> spans_;
};

Result<Mover::Change::SpanChange*> Mover::Change::span_of(Partition& partition,
                                                          std::uint32_t segment) {
  const auto [it, is_new] = spans_.try_emplace({partition.id(), segment});
  SpanChange& span = it->second;
  if (!is_new) return &span;
  const Span& open = partition.writer().state.open_span;
  if (open.segment == segment) {
    span.before = open;
    partitions_.at(&partition).open_span_closed = true;
  } else {
    RUNNEL_TRY_ASSIGN(const auto value,
                      mover_.index_.get(Family::kIndex, keys::span(partition.id(), segment)));
    if (value) {
      RUNNEL_TRY_ASSIGN(span.before, decode_span(segment, *value));
    }
  }
  span.after = span.before;
  return &span;
}

Result<bool> Mover::Change::has_entries(Partition& partition, std::uint32_t segment, Offset from,
                                        Offset end) const {
  bool found = false;
  if (from >= end) return found;
  const auto& gone = partitions_.at(&partition).gone;
  RUNNEL_TRY(mover_.reader_.for_each_entry(partition, from, end, [&](const IndexEntry& e) {
    found = e.bytes != 0 && e.position.segment == segment && !gone.contains(e.base);
    return !found;
  }));
  return found;
}

Status Mover::Change::shrink(const Move& move, std::uint64_t bytes, SpanChange& span) const {
  if (!span.after) return {};  // trimmed away meanwhile
  Span& s = *span.after;
  if (s.first >= move.begin && s.first < move.end) s.first = move.end;
  if (s.last >= move.begin && s.last < move.end) s.last = move.begin - 1;
  s.bytes -= std::min(s.bytes, bytes);
  s.max_timestamp = kTimestampUnknown;
  const Offset from = std::max(s.first, move.start);
  RUNNEL_TRY_ASSIGN(const bool before, has_entries(*move.partition, s.segment, from, move.begin));
  if (before) return {};
  RUNNEL_TRY_ASSIGN(const bool behind,
                    has_entries(*move.partition, s.segment, std::max(from, move.end), s.last + 1));
  if (!behind) span.after.reset();
  return {};
}

void Mover::Change::extend(const Move& move, Timestamp newest, SpanChange& span) const {
  const Offset first = move.entries.front().base;
  Timestamp max = kNoTimestamp;
  for (const IndexEntry& e : move.entries) max = std::max(max, e.max_timestamp);
  if (!span.after) {
    span.after = Span{move.entries.front().position.segment, first, move.end - 1, 0, max, newest};
  }
  Span& s = *span.after;
  s.first = std::min(s.first, first);
  s.last = std::max(s.last, move.end - 1);
  s.bytes += move.new_bytes;
  s.max_timestamp = std::max(s.max_timestamp, max);  // unknown stays unknown
  s.newest = std::max(s.newest, newest);
}

Status Mover::Change::add(const Move& move) {
  Partition& partition = *move.partition;
  const auto [it, is_new] = partitions_.try_emplace(&partition);
  PartitionChange& change = it->second;
  if (is_new) {
    change.view = partition.view();
    change.moved.cleaned = change.view.cleaned;
  }
  const bool trimmed_into =
      change.view.start.offset != move.start && change.view.start.offset > move.begin;
  if (change.view.deleted || change.view.moves != move.moves || trimmed_into) {
    return fail(overtaken(partition));
  }
  const PartitionId id = partition.id();
  change.gone.insert(move.replaced.begin(), move.replaced.end());
  Timestamp newest = kNoTimestamp;
  for (const auto& [segment, bytes] : move.sources) {
    RUNNEL_TRY_ASSIGN(SpanChange* const span, span_of(partition, segment));
    if (span->before && is_data_segment(segment)) newest = std::max(newest, span->before->newest);
    if (const auto closed = mover_.journal_.closed_at(segment); closed) {
      if (!is_data_segment(segment)) newest = std::max(newest, *closed);
    }
    RUNNEL_TRY(shrink(move, bytes, *span));
  }
  for (const Offset base : move.replaced) {
    mutations_.erase(Family::kIndex, keys::index_entry(id, base));
  }
  for (const IndexEntry& e : move.entries) {
    mutations_.put(Family::kIndex, keys::index_entry(id, e.base), encode(e));
  }
  for (const Offset marker : move.ended) {
    mutations_.erase(Family::kIndex, keys::aborted(id, marker));
  }
  if (move.new_bytes != 0) {
    RUNNEL_TRY_ASSIGN(SpanChange* const span,
                      span_of(partition, move.entries.front().position.segment));
    extend(move, newest, *span);
  }
  change.moved.end = std::max(change.moved.end, move.end);
  change.moved.removed_bytes += move.old_bytes - move.new_bytes;  // may wrap: see LogStart
  if (move.cleaned && move.cleaned->offset > change.moved.cleaned.offset) {
    change.moved.cleaned = *move.cleaned;
  }
  // An erasure may be the first to take bytes out of the partition.
  if (change.moved.removed_bytes != 0 && change.moved.cleaned.offset == Offset(0)) {
    change.moved.cleaned = kTakenFrom;
  }
  return {};
}

void Mover::Change::put_spans() {
  for (const auto& [key, span] : spans_) {
    if (span.after) {
      mutations_.put(Family::kIndex, keys::span(key.first, key.second), encode(*span.after));
    } else if (span.before) {
      mutations_.erase(Family::kIndex, keys::span(key.first, key.second));
    }
  }
}

Result<Mutations> Mover::Change::build() {
  for (const Move& move : moves_) RUNNEL_TRY(add(move));
  put_spans();
  for (auto& [partition, change] : partitions_) {
    change.moved.open_span = change.open_span_closed ? Span{} : partition->writer().state.open_span;
    if (change.moved.removed_bytes != 0) {
      LogStart start = change.view.start;
      start.bytes += change.moved.removed_bytes;
      mutations_.put(Family::kMeta, keys::log_start(partition->id()), encode(start));
    }
    if (change.moved.cleaned.offset != change.view.cleaned.offset) {
      mutations_.put(Family::kMeta, keys::clean_point(partition->id()),
                     encode(change.moved.cleaned));
    }
  }
  return std::move(mutations_);
}

void Mover::Change::applied() {
  for (const auto& [key, span] : spans_) {
    if (span.after && !span.before) mover_.segments_.add(key.second);
  }
  for (const Move& move : moves_) {
    for (const IndexEntry& e : move.entries) mover_.reader_.verified().add(e.position, e.bytes);
  }
  for (auto& [partition, change] : partitions_) {
    if (change.open_span_closed) {
      partition->writer().state.open_span = {};
      partition->writer().dirty = true;
    }
    partition->set_moved(change.moved);
  }
  // Last: who finds a segment gone has to see that its batches were moved.
  for (const auto& [key, span] : spans_) {
    if (span.before && !span.after) mover_.segments_.remove(key.second);
  }
}

Status Mover::commit(std::vector<Move> moves, Mutations with) {
  RUNNEL_TRY(data_.sync());
  Change change(*this, std::move(moves), std::move(with));
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) { return change.build(); };
  work.applied = [&] { change.applied(); };
  return committer_.run(std::move(work));
}

Status Mover::set_clean(const PartitionRef& partition, const CleanPoint& point,
                        bool in_new_segment) {
  Partition::Moved moved;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    const Partition::View view = partition->view();
    if (view.deleted) return fail(overtaken(*partition));
    moved.open_span = view.open_span;
    moved.cleaned = point;
    if (in_new_segment) journal_.leave_segment();
    Mutations m;
    m.put(Family::kMeta, keys::clean_point(partition->id()), encode(point));
    return m;
  };
  work.applied = [&] { partition->set_moved(moved); };
  return committer_.run(std::move(work));
}

}  // namespace runnel::storage
