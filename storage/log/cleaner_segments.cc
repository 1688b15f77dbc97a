// Segments that are mostly dead: what is left of them is moved, sorted by partition, and they go.
#include <algorithm>
#include <unordered_map>

#include "storage/log/cleaner.h"

namespace runnel::storage {
namespace {

/// A segment of which less than this is live is rewritten ...
constexpr double kWorthIt = 0.4;
/// ... and more of them, the emptiest first, while all together take more than this of what is
/// live, and two segments.
constexpr double kSpacePerLive = 1.2;
constexpr std::uint64_t kSegmentsAllowed = 2;
constexpr double kNeverWorthIt = 0.9;
/// A store that little is written to is looked at this often.
constexpr std::chrono::minutes kLookAgain{5};
constexpr std::size_t kMoveEntries = 4096;
constexpr std::uint64_t kMoveBytes = 8u << 20;

/// What is left of a span, by its part of the offsets.
std::uint64_t live_bytes(const Span& span, Offset start) {
  if (span.last < start) return 0;
  if (span.first >= start) return span.bytes;
  const auto all = static_cast<double>(span.last - span.first + 1);
  const auto left = static_cast<double>(span.last - start + 1);
  return static_cast<std::uint64_t>(static_cast<double>(span.bytes) * left / all);
}

}  // namespace

Result<std::vector<Cleaner::Victim>> Cleaner::find_victims(
    const std::unordered_set<std::uint32_t>& except, std::uint32_t newest) {
  std::unordered_map<std::uint32_t, std::uint64_t> live;
  std::uint64_t all_live = 0;
  const auto count = [&](const Partition::View& view, const Span& span) {
    const std::uint64_t bytes = live_bytes(span, view.start.offset);
    live[span.segment] += bytes;
    all_live += bytes;
  };
  Status status;
  RUNNEL_TRY(index_.scan_prefix(
      Family::kIndex, keys::kSpans, [&](std::string_view key, std::string_view value) {
        const auto parsed = keys::parse_span(key);
        const PartitionRef partition = parsed ? topics_.partition(parsed->partition) : nullptr;
        if (!partition) return true;
        const auto span = decode_span(parsed->segment, value);
        if (!span) status = fail(span.error());
        if (span) count(partition->view(), *span);
        return status.has_value();
      }));
  RUNNEL_TRY(status);
  for (const PartitionRef& partition : topics_.all_partitions()) {
    const Partition::View view = partition->view();
    if (view.open_span.segment != 0) count(view, view.open_span);
  }
  std::vector<Victim> all;
  std::uint64_t disk = journal_.disk_bytes() + data_.disk_bytes();
  const auto add = [&](const SegmentInfo& segment) {
    all.push_back({segment.number, segment.bytes, live[segment.number]});
  };
  const std::uint32_t current = journal_.current_segment();
  for (const SegmentInfo& segment : journal_.segments()) {
    if (segment.number < current) add(segment);
  }
  for (const SegmentInfo& segment : data_.segments()) {
    if (!data_.is_current(segment.number)) add(segment);
  }
  const auto fraction = [](const Victim& v) {
    return static_cast<double>(v.live) / static_cast<double>(std::max<std::uint64_t>(1, v.bytes));
  };
  std::sort(all.begin(), all.end(),
            [&](const Victim& a, const Victim& b) { return fraction(a) < fraction(b); });
  const double allowed = kSpacePerLive * static_cast<double>(all_live) +
                         static_cast<double>(kSegmentsAllowed * options_.segment_bytes);
  std::vector<Victim> victims;
  std::uint64_t moved = 0;
  for (const Victim& v : all) {
    const bool too_much = static_cast<double>(disk) > allowed && fraction(v) < kNeverWorthIt;
    if (fraction(v) >= kWorthIt && !too_much) break;
    disk -= std::min(disk, v.bytes - std::min(v.bytes, v.live));
    if (segments_.is_dead(v.number) || except.contains(v.number) || v.number > newest) continue;
    victims.push_back(v);
    moved += v.live;
    if (moved >= options_.segment_bytes) break;
  }
  return victims;
}

Result<std::vector<Cleaner::Piece>> Cleaner::pieces_of(const std::vector<Victim>& victims) const {
  std::unordered_set<std::uint32_t> chosen;
  for (const Victim& v : victims) chosen.insert(v.number);
  std::vector<Piece> pieces;
  for (const PartitionRef& partition : topics_.all_partitions()) {
    RUNNEL_TRY_ASSIGN(const auto spans, reader_.spans_of(*partition, partition->view()));
    for (const Span& span : spans) {
      if (chosen.contains(span.segment)) pieces.push_back({partition, span});
    }
  }
  return pieces;
}

Status Cleaner::clean_segments(bool paced) {
  std::unordered_set<std::uint32_t> tried;
  std::erase_if(damaged_, [&](const auto& d) { return d.second < options_.clock->monotonic(); });
  for (const auto& [number, until] : damaged_) tried.insert(number);
  // What a round writes is not looked at before the next one, so that each round ends.
  std::uint32_t newest = kDataSegmentBit;
  for (const SegmentInfo& s : data_.segments()) newest = std::max(newest, s.number);
  while (true) {
    // Whatever makes a segment emptier writes a frame.
    const std::uint64_t written = journal_.written_bytes() + data_.written_bytes();
    if (written == looked_at_written_) return {};
    // To look at every span takes a while where there are many.
    const bool much = written - looked_at_written_ >= options_.segment_bytes / 8;
    if (paced && !much && options_.clock->monotonic() < look_again_) return {};
    look_again_ = options_.clock->monotonic() + kLookAgain;
    RUNNEL_TRY_ASSIGN(const std::vector<Victim> victims, find_victims(tried, newest));
    if (victims.empty()) {
      looked_at_written_ = written;
      return {};
    }
    std::uint64_t live = 0;
    for (const Victim& v : victims) {
      tried.insert(v.number);
      live += v.live;
    }
    debt_ = debt_found_ + live;
    RUNNEL_TRY(check_room());
    RUNNEL_TRY_ASSIGN(const std::vector<Piece> pieces, pieces_of(victims));
    RUNNEL_TRY(past_damage(move_pieces(pieces, paced), victims));
  }
}

Status Cleaner::past_damage(Status moved, const std::vector<Victim>& victims) {
  if (moved || moved.error().code() != ErrorCode::kCorrupt) return moved;
  options_.report(moved.error());
  for (const Victim& v : victims) {
    if (!segments_.is_dead(v.number)) damaged_[v.number] = options_.clock->monotonic() + kLookAgain;
  }
  return {};
}

namespace {

/// Moves as they pile up, committed together.
class Pile {
 public:
  Pile(Reader& reader, DataSegments& data, Mover& mover, std::atomic<std::uint64_t>& read_bytes)
      : reader_(reader), data_(data), mover_(mover), read_bytes_(read_bytes) {}

  /// Moves the entry as a part of the run before it if it follows it.
  Status add(const PartitionRef& partition, const IndexEntry& entry) {
    RUNNEL_TRY_ASSIGN(const Buffer batches, reader_.read_checked(entry));
    read_bytes_ += entry.bytes;
    const bool follows = run_ && partition == partition_ && run_->end() == entry.base;
    if (!follows) {
      RUNNEL_TRY(end_run());
      // Moves of one commit are planned upon the same state.
      if (partition != partition_) {
        partition_ = partition;
        view_ = partition->view();
      }
      run_.emplace(partition, view_);
    }
    std::uint64_t live = 0;
    for (std::size_t at = 0; at < batches.size();) {
      const protocol::BatchView view(batches.bytes().subspan(at));
      const std::size_t size = view.total_bytes();
      if (view.last_offset() >= view_.start.offset) {
        live += size;
        run_->add(batches.slice(at, size), entry.bytes_before + at);
      }
      at += size;
    }
    run_->replace(entry, live);
    entries_ += 1;
    bytes_ += entry.bytes;
    return {};
  }
  [[nodiscard]] bool is_full() const noexcept {
    return entries_ >= kMoveEntries || bytes_ >= kMoveBytes;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  Status commit() {
    RUNNEL_TRY(end_run());
    partition_ = nullptr;
    entries_ = 0;
    bytes_ = 0;
    if (moves_.empty()) return {};
    std::vector<Move> moves;
    moves.swap(moves_);
    Status status = mover_.commit(std::move(moves));
    // What was trimmed meanwhile is looked at in the next round.
    if (!status && status.error().code() == ErrorCode::kPreconditionFailed) return {};
    return status;
  }

 private:
  Status end_run() {
    if (!run_) return {};
    RUNNEL_TRY_ASSIGN(Move move, run_->finish(data_));
    moves_.push_back(std::move(move));
    run_.reset();
    return {};
  }

  Reader& reader_;
  DataSegments& data_;
  Mover& mover_;
  std::atomic<std::uint64_t>& read_bytes_;
  PartitionRef partition_;
  Partition::View view_;
  std::optional<MoveBuilder> run_;
  std::vector<Move> moves_;
  std::size_t entries_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Status Cleaner::move_pieces(const std::vector<Piece>& pieces, bool paced) {
  Pile pile(reader_, data_, mover_, read_bytes_);
  Status first;
  for (const Piece& piece : pieces) {
    Offset at = std::max(piece.span.first, piece.partition->view().start.offset);
    const Offset end = piece.span.last + 1;
    while (at < end) {
      std::vector<IndexEntry> entries;
      std::size_t seen = 0;
      Offset next = end;
      RUNNEL_TRY(reader_.for_each_entry(*piece.partition, at, end, [&](const IndexEntry& e) {
        next = e.last + 1;
        if (e.bytes != 0 && e.position.segment == piece.span.segment) entries.push_back(e);
        return ++seen < kMoveEntries;
      }));
      if (seen == 0) break;
      at = next;
      for (const IndexEntry& entry : entries) {
        if (const Status s = pile.add(piece.partition, entry); !s) {
          if (s.error().code() != ErrorCode::kCorrupt) return s;
          if (first) first = fail(s.error().within(piece.partition->name()));  // stays there
        }
        if (!pile.is_full()) continue;
        const std::uint64_t bytes = pile.bytes();
        RUNNEL_TRY(pile.commit());
        RUNNEL_TRY(pace(2 * bytes, paced));
      }
    }
  }
  RUNNEL_TRY(pile.commit());
  return first;
}

Status Cleaner::remove_dead_data() {
  MutexLock lock(removals_);
  Status first;
  for (const SegmentInfo& segment : data_.segments()) {
    if (!segments_.is_dead(segment.number)) continue;
    if (data_.is_current(segment.number)) data_.leave_current();
    reader_.verified().forget(segment.number);
    const Status removed = data_.remove(segment.number);
    if (first && !removed) first = removed;
  }
  return first;
}

}  // namespace runnel::storage
