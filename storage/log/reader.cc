#include "storage/log/reader.h"

#include <algorithm>

#include "storage/log/entry_check.h"

namespace runnel::storage {
namespace {

/// The size of the batch at the front of `bytes`, if it is sound and begins at `base`.
Result<std::size_t> check_batch(Bytes bytes, Offset base) {
  auto size = protocol::validate_batch(bytes, protocol::Depth::kCrc);
  if (size && protocol::BatchView(bytes).base_offset() != base) {
    return fail(ErrorCode::kCorrupt, "its base offset is damaged");
  }
  return size;
}

Error out_of_range(const Partition& partition, Offset from, const Partition::View& view) {
  return Error(ErrorCode::kOffsetOutOfRange,
               "offset " + std::to_string(from.value()) + " of " + partition.name() +
                   " is not there: the log holds " + std::to_string(view.start.offset.value()) +
                   " up to " + std::to_string(view.high_watermark.value()) +
                   "; start from the earliest or the latest offset");
}

Error lost(const IndexEntry& entry) {
  return Error(ErrorCode::kCorrupt,
               "offsets " + std::to_string(entry.base.value()) + " to " +
                   std::to_string(entry.last.value()) +
                   " are lost: they were damaged on disk, and a repair put what was left of them "
                   "into quarantine; reading can go on at offset " +
                   std::to_string(entry.last.value() + 1));
}

}  // namespace

Result<bool> Reader::for_each_entry(const Partition& partition, Offset from, Offset end,
                                    Index::Reads reads,
                                    const std::function<bool(const IndexEntry&)>& visit) const {
  std::vector<IndexEntry> recent;
  if (partition.recent_entries(from, recent)) {
    for (const IndexEntry& e : recent) {
      if (e.base >= end) break;
      if (e.last >= from && !visit(e)) break;
    }
    return true;
  }
  Status status;
  RUNNEL_TRY_ASSIGN(
      const bool complete,
      index_.scan_from_floor(Family::kIndex, keys::index_entry(partition.id(), Offset(0)),
                             keys::index_entry(partition.id(), from),
                             keys::index_entry(partition.id(), end), reads,
                             [&](std::string_view key, std::string_view value) {
                               auto entry = decode_index_entry(key, value);
                               if (!entry) {
                                 status = fail(entry.error());
                                 return false;
                               }
                               if (entry->last < from) return true;
                               return visit(*entry);
                             }));
  RUNNEL_TRY(status);
  return complete;
}

Result<std::shared_ptr<const File>> Reader::file_of(const IndexEntry& entry) const {
  const std::uint32_t number = entry.position.segment;
  auto file = is_data_segment(number) ? data_.file(number) : journal_.segment(number);
  if (!file && file.error().code() == ErrorCode::kNotFound) {
    return fail(ErrorCode::kCorrupt, file.error().message() + ", which holds the batch at offset " +
                                         std::to_string(entry.base.value()) +
                                         "; put the file back from a backup");
  }
  return file;
}

Result<Buffer> Reader::read_checked(const IndexEntry& entry) const {
  RUNNEL_TRY_ASSIGN(const auto file, file_of(entry));
  const VerifiedRanges::Loading loading(verified_, {{entry.position, entry.bytes}});
  auto batches = read_entry(entry, *file);
  if (!batches && batches.error().code() != ErrorCode::kIo) {
    verified_.distrust(entry.position, entry.bytes);
  }
  return batches;
}

Result<IndexEntry> Reader::entry_at(const Partition& partition, Offset offset) const {
  std::optional<IndexEntry> found;
  RUNNEL_TRY(
      for_each_entry(partition, offset, partition.view().high_watermark, [&](const IndexEntry& e) {
        found = e;
        return false;
      }));
  if (!found) {
    return fail(ErrorCode::kOffsetOutOfRange, "offset " + std::to_string(offset.value()) + " of " +
                                                  partition.name() + " has no batch");
  }
  return *found;
}

Status Reader::cut(const IndexEntry& entry, const File& file, Offset from, Offset end_offset,
                   const Limits& limits, Piece& piece, Offset& next) const {
  BatchWalker walker(file, entry.position.offset, entry.bytes);
  std::uint64_t end = 0;
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto step, walker.next());
    if (!step) {
      next = entry.last + 1;  // also where compaction removed what came last
      break;
    }
    if (step->base >= end_offset) break;
    if (step->last < from) continue;
    if (end == 0) {
      if (step->bytes > limits.budget && !limits.first_batch_free) {
        next = from;
        return {};
      }
      piece.slice.position = step->position;
      piece.position = {entry.position.segment, static_cast<std::uint32_t>(step->position)};
      piece.base = step->base;
    } else if (step->position + step->bytes - piece.slice.position > limits.budget) {
      break;
    }
    end = step->position + step->bytes;
    next = step->last + 1;
  }
  if (end != 0) piece.slice.length = end - piece.slice.position;
  return {};
}

bool Reader::plan_entry(const IndexEntry& entry, const FetchItem& item, Offset end, Limits limits,
                        bool blocking, Answer& answer, Status& status) const {
  FetchedPartition& out = answer.result.back();
  if (entry.base > out.next) {
    status = fail(ErrorCode::kCorrupt, "the index knows nothing of the records from offset " +
                                           std::to_string(out.next.value()) + " to " +
                                           std::to_string(entry.base.value() - 1) +
                                           "; see 'runnel check'");
    return false;
  }
  if (entry.is_lost()) {
    status = fail(lost(entry));
    return false;
  }
  if (entry.bytes == 0) {
    out.next = std::min(entry.last + 1, end);
    return true;
  }
  auto file = file_of(entry);
  if (!file) {
    status = fail(file.error());
    return false;
  }
  const std::uint64_t budget = std::min<std::uint64_t>(limits.budget, item.max_bytes);
  const std::uint64_t left = budget - std::min(budget, out.bytes);
  const bool must = out.bytes == 0 && limits.first_batch_free;
  Piece piece{.slice = {*file, entry.position.offset, entry.bytes},
              .position = entry.position,
              .base = entry.base,
              .last = entry.last,
              .entry = entry};
  Offset next = entry.last + 1;
  // Asked before anything of it is read: then all of it would look as if it had been there.
  piece.cached = (*file)->resident(entry.position.offset, entry.bytes);
  const bool whole = entry.base >= out.next && entry.last < end && entry.bytes <= left;
  if (!whole) {
    if (!blocking && !piece.cached) {
      answer.may_block = true;  // finding the batch would wait for the disk: plan in the pool
      return false;
    }
    piece.slice.length = 0;
    next = out.next;
    status = cut(entry, **file, out.next, end, {left, must, false}, piece, next);
    if (!status) return false;
    if (piece.slice.length == 0) {
      const bool behind = next > entry.last;
      out.next = std::min(next, end);
      return behind;
    }
  }
  out.bytes += piece.slice.length;
  out.next = std::min(next, end);
  piece.last = Offset(next.value() - 1);
  piece.checked = verified_.covers(piece.position, piece.slice.length);
  if (!piece.cached) answer.cold_bytes += piece.slice.length;
  if (!piece.sound()) answer.may_block = true;
  answer.pieces.back().push_back(std::move(piece));
  ++answer.piece_count;
  // What was cut off here comes first in the next fetch: nothing may be taken from behind it.
  return next > entry.last && out.bytes < budget && answer.piece_count < kMaxPieces;
}

void Reader::plan_once(const FetchItem& item, Limits limits, bool blocking, Answer& answer) const {
  FetchedPartition& out = answer.result.emplace_back();
  std::vector<Piece>& pieces = answer.pieces.emplace_back();
  const Partition::View view = item.partition->view();
  answer.seen.push_back({view.bytes, view.stable.bytes});
  answer.moves.push_back(view.moves);
  out.high_watermark = view.high_watermark;
  out.log_start = view.start.offset;
  out.last_stable = view.stable.offset;
  out.next = item.from;
  if (view.deleted) {
    out.error = topic_gone(*item.partition);
    return;
  }
  if (item.from < view.start.offset || item.from > view.high_watermark) {
    out.error = out_of_range(*item.partition, item.from, view);
    return;
  }
  const Offset end = limits.committed_only ? view.stable.offset : view.high_watermark;
  const bool no_room = limits.budget == 0 && !limits.first_batch_free;
  if (item.from >= end || no_room) return;

  Status status;
  const auto reads = blocking ? Index::Reads::kDisk : Index::Reads::kMemory;
  const auto complete =
      for_each_entry(*item.partition, item.from, end, reads, [&](const IndexEntry& entry) {
        return plan_entry(entry, item, end, limits, blocking, answer, status);
      });
  if (!complete) {
    status = fail(complete.error());
  } else if (!*complete) {
    answer.may_block = true;
  }
  if (!status && pieces.empty()) {
    // A trim that ran meanwhile explains a missing segment; anything else is said as it is.
    const Partition::View now = item.partition->view();
    out.error = item.from < now.start.offset ? out_of_range(*item.partition, item.from, now)
                                             : status.error().within(item.partition->name());
  }
}

void Reader::plan_partition(const FetchItem& item, Limits limits, bool blocking,
                            Answer& answer) const {
  while (true) {
    plan_once(item, limits, blocking, answer);
    // Where batches were moved meanwhile they may have been looked for in the wrong place, or what
    // was the log's last batch may be gone because another one is.
    const bool moved = item.partition->view().moves != answer.moves.back();
    const FetchedPartition& out = answer.result.back();
    if (!moved || (!out.error && out.bytes != 0)) return;
    answer.result.pop_back();
    answer.pieces.pop_back();
    answer.seen.pop_back();
    answer.moves.pop_back();
  }
}

Reader::Answer Reader::plan(const FetchRequest& request, bool blocking) const {
  Answer answer;
  answer.result.reserve(request.items.size());
  for (const FetchItem& item : request.items) {
    std::uint64_t left = request.max_bytes - std::min(request.max_bytes, answer.bytes);
    if (answer.piece_count >= kMaxPieces) left = 0;
    plan_partition(item, {left, answer.bytes == 0, request.committed_only}, blocking, answer);
    answer.bytes += answer.result.back().bytes;
    if (answer.result.back().error) answer.final = true;
  }
  if (answer.piece_count >= kMaxPieces) answer.final = true;
  return answer;
}

Result<std::size_t> Reader::verify_piece(const Piece& piece, std::vector<std::byte>& bytes,
                                         Offset& next, Status& status) const {
  if (is_data_segment(piece.position.segment)) {
    // Where batches have gaps between them, a whole entry tells whether their heads are sound.
    bytes.resize(piece.entry.bytes);
    RUNNEL_TRY(piece.slice.file->read_exactly(piece.entry.position.offset, bytes));
    status = check_entry(piece.entry, bytes);
    if (status) next = piece.last + 1;
    return status ? piece.slice.length : 0;
  }
  bytes.resize(piece.slice.length);
  RUNNEL_TRY(piece.slice.file->read_exactly(piece.slice.position, bytes));
  std::size_t good = 0;
  while (good < bytes.size()) {
    const auto size = check_batch(Bytes(bytes).subspan(good), next);
    if (!size) {
      status = fail(size.error());
      break;
    }
    next = protocol::BatchView(Bytes(bytes).subspan(good)).last_offset() + 1;
    good += *size;
  }
  return good;
}

std::vector<SegmentRange> Reader::ranges_of(const std::vector<Piece>& pieces, std::size_t k) {
  std::vector<SegmentRange> ranges;
  for (; k < pieces.size(); ++k) {
    const IndexEntry& entry = pieces[k].entry;
    const std::uint64_t end = entry.position.offset + std::uint64_t{entry.bytes};
    const bool goes_on = !ranges.empty() && ranges.back().from.segment == entry.position.segment &&
                         ranges.back().from < entry.position;
    if (goes_on) {
      ranges.back().length = end - ranges.back().from.offset;
    } else {
      ranges.push_back({entry.position, entry.bytes});
    }
  }
  return ranges;
}

void Reader::distrust_from(const std::vector<Piece>& pieces, std::size_t k, std::size_t good) {
  // All of it is in memory now: that must not make it look sound to the next reader.
  std::vector<SegmentRange> ranges = ranges_of(pieces, k);
  if (!is_data_segment(ranges.front().from.segment)) {
    const std::uint64_t sound = pieces[k].position.offset + good - ranges.front().from.offset;
    ranges.front().from.offset += static_cast<std::uint32_t>(sound);
    ranges.front().length -= sound;
  }
  for (const SegmentRange& range : ranges) verified_.distrust(range.from, range.length);
}

std::vector<SegmentRange> Reader::cold_ranges(const Answer& answer) {
  std::vector<SegmentRange> cold;
  for (const auto& pieces : answer.pieces) {
    if (std::all_of(pieces.begin(), pieces.end(), [](const Piece& p) { return p.cached; }))
      continue;
    const auto ranges = ranges_of(pieces, 0);
    cold.insert(cold.end(), ranges.begin(), ranges.end());
  }
  return cold;
}

void Reader::verify(Answer& answer) {
  std::vector<std::byte> bytes;
  // Others who find it in memory meanwhile check it as well.
  const VerifiedRanges::Loading loading(verified_, cold_ranges(answer));
  // All that is cold is asked for at once: the disk does not wait for us between two pieces.
  for (const auto& pieces : answer.pieces) {
    for (const Piece& piece : pieces) {
      if (!piece.cached) piece.slice.file->will_need(piece.slice.position, piece.slice.length);
    }
  }
  for (std::size_t i = 0; i < answer.result.size(); ++i) {
    FetchedPartition& out = answer.result[i];
    auto& pieces = answer.pieces[i];
    for (std::size_t k = 0; k < pieces.size(); ++k) {
      Piece& piece = pieces[k];
      if (piece.sound()) continue;
      Status status;
      Offset expected = piece.base;
      const auto sound = verify_piece(piece, bytes, expected, status);
      if (!sound) status = fail(sound.error());
      const std::size_t good = sound.value_or(0);
      if (status && is_data_segment(piece.position.segment)) {
        verified_.add(piece.entry.position, piece.entry.bytes);
      } else {
        verified_.add(piece.position, good);
      }
      if (status) continue;
      distrust_from(pieces, k, good);
      // Serve what is whole before the damage; the damaged batch answers for itself alone.
      out.next = expected;
      piece.slice.length = good;
      if (k == 0 && good == 0) {
        out.error = Error(ErrorCode::kCorrupt,
                          "the batch at offset " + std::to_string(expected.value()) +
                              " is damaged on disk (" + piece.position.to_string() +
                              "): " + status.error().message() +
                              "; whatever is damaged there ends before offset " +
                              std::to_string(piece.last.value() + 1) + ", where reading can go on");
      }
      pieces.resize(good == 0 ? k : k + 1);
      break;
    }
    out.bytes = 0;
    for (const Piece& p : pieces) out.bytes += p.slice.length;
  }
}

bool Reader::moved_since(const FetchRequest& request, const Answer& answer) {
  if (!request.committed_only) return false;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    if (request.items[i].partition->view().moves != answer.moves[i]) return true;
  }
  return false;
}

void Reader::answer_blocking(const FetchRequest& request, const FetchCallback& done) {
  Answer answer;
  do {
    answer = plan(request, /*blocking=*/true);
    verify(answer);
    static_cast<void>(add_aborted(request, /*anyhow=*/true, answer));
  } while (moved_since(request, answer));
  hand_over(request, std::move(answer), done);
}

void Reader::deliver(const FetchRequest& request, Answer answer, const FetchCallback& done) {
  if (answer.may_block) {
    // The pool reads the bytes once: this checks them and warms the page cache for sendfile.
    in_pool([this, request, done] { answer_blocking(request, done); });
    return;
  }
  const bool listed = add_aborted(request, /*anyhow=*/false, answer);
  if (listed && !moved_since(request, answer)) return hand_over(request, std::move(answer), done);
  if (listed) {
    in_pool([this, request, done] { answer_blocking(request, done); });
    return;
  }
  in_pool([this, request, done, answer = std::make_shared<Answer>(std::move(answer))] {
    static_cast<void>(add_aborted(request, /*anyhow=*/true, *answer));
    if (moved_since(request, *answer)) return answer_blocking(request, done);
    hand_over(request, std::move(*answer), done);
  });
}

void Reader::hand_over(const FetchRequest& request, Answer answer, const FetchCallback& done) {
  go_ahead(request, answer);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < answer.result.size(); ++i) {
    FetchedPartition& out = answer.result[i];
    auto& slices = out.slices;
    slices.reserve(answer.pieces[i].size());
    for (Piece& p : answer.pieces[i]) slices.push_back(std::move(p.slice));
    bytes += out.bytes;
  }
  fetched_bytes_ += bytes;
  cached_bytes_ += bytes - std::min(bytes, answer.cold_bytes);
  ++fetches_;
  done(std::move(answer.result));
}

FetchTicket Reader::fetch(FetchRequest request, FetchCallback done) {
  Answer answer = plan(request, /*blocking=*/false);
  const bool waits = request.max_wait.count() > 0 && !answer.final && !answer.may_block &&
                     !request.items.empty() && answer.bytes < request.min_bytes;
  if (waits) return wait(std::move(request), std::move(done), std::move(answer));
  deliver(request, std::move(answer), done);
  return 0;
}

}  // namespace runnel::storage
