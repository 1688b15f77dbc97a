#include "broker/http/record_scan.h"

#include <algorithm>

#include "broker/http/limits.h"
#include "protocol/record_batch/abort_filter.h"

namespace runnel::broker::http {
namespace {

constexpr std::chrono::milliseconds kPiece{2};
/// Compressed batches that unpack to more than 64 times their size, or than this, ask for the most
/// that one can take.
constexpr std::size_t kUsualUnpackedBytes = 8u << 20;

tl::unexpected<Error> no_memory() {
  return fail(ErrorCode::kOverloaded,
              "the broker's memory is used up, and reading needs some; try again later or raise "
              "its memory limit");
}

std::size_t size_of(const protocol::Record& record) {
  std::size_t size = record.key.value_or("").size() + record.value.value_or("").size();
  for (const auto& h : record.headers) size += h.key.size() + h.value.value_or("").size();
  return size;
}

}  // namespace

Result<Offset> find_place(const storage::Store& store, const storage::PartitionRef& partition,
                          const protocol::Place& place) {
  using Kind = protocol::Place::Kind;
  const storage::PartitionInfo info = store.partition_info(partition);
  const std::int64_t start = info.log_start.value();
  const std::int64_t end = info.last_stable.value();
  switch (place.kind) {
    case Kind::kStart:
      return info.log_start;
    case Kind::kEnd:
      return info.last_stable;
    case Kind::kOffset:
      if (place.value > end) {
        return fail(ErrorCode::kOffsetOutOfRange,
                    "offset " + std::to_string(place.value) + " is behind the end of partition " +
                        std::to_string(info.index.value()) + ", which is " + std::to_string(end) +
                        "; take an offset from " + std::to_string(start) + " on, or end");
      }
      return Offset(std::max(place.value, start));
    case Kind::kTime: {
      RUNNEL_TRY_ASSIGN(const auto found,
                        store.find_offset(partition, {storage::OffsetQuery::Kind::kTime,
                                                      Timestamp(place.value), true}));
      return found.offset == kNoOffset ? info.last_stable : found.offset;
    }
    case Kind::kBeforeEnd:
      return Offset(std::max(start, place.value > end ? start : end - place.value));
    case Kind::kAfterStart:
      return Offset(place.value > end - start ? end : start + place.value);
  }
  return info.last_stable;
}

RecordScan::RecordScan(storage::Store& store, MemoryGate& memory, storage::Clock& clock,
                       std::shared_ptr<const protocol::RecordFilter> filter,
                       std::vector<ReadFrom> from, ScanLimits limits, Write write)
    : store_(store),
      memory_(memory),
      clock_(clock),
      filter_(std::move(filter)),
      from_(std::move(from)),
      limits_(limits),
      write_(std::move(write)) {}

Cursor RecordScan::cursor() const {
  Cursor out;
  for (const ReadFrom& f : from_) out.emplace_back(f.partition, f.next);
  return out;
}

void RecordScan::restart() {
  text_.clear();
  count_ = 0;
  taken_ = 0;
  unreadable_ = 0;
  looked_at_ = 0;
  worked_ = {};
  at_ = 0;
  progress_ = false;
  at_end_ = false;
  error_.reset();
}

bool RecordScan::is_full() const noexcept {
  return count_ >= limits_.records || text_.size() >= limits_.bytes ||
         looked_at_ >= kMaxLookedAtBytes || worked_ >= kMaxReadTime;
}

/// Partitions have their turns: in a round each gives its share of what is still wanted.
bool RecordScan::work() {
  const auto begun = clock_.monotonic();
  std::chrono::nanoseconds taken{0};
  while (taken < kPiece) {
    if (is_full()) return true;
    if (at_ == from_.size()) {
      if (!progress_) {
        at_end_ = true;
        return true;
      }
      at_ = 0;
      progress_ = false;
    }
    const std::size_t share =
        std::max<std::size_t>(1, (limits_.records - count_) / (from_.size() - at_));
    const auto more = read_piece(from_[at_], share);
    if (!more) {
      if (text_.empty()) error_ = more.error();
      return true;  // else it is told when the next answer begins there
    }
    progress_ = progress_ || *more;
    if (!*more || taken_ >= share) {
      taken_ = 0;
      ++at_;
    }
    taken = clock_.monotonic() - begun;
    if (taken >= kPiece) break;
  }
  worked_ += taken;
  return is_full();
}

Result<bool> RecordScan::read_piece(ReadFrom& from, std::size_t quota) {
  if (from.end && from.next >= *from.end) return false;
  storage::FetchRequest request;
  request.items.push_back({from.ref, from.next, limits_.read_bytes});
  request.max_bytes = limits_.read_bytes;
  request.committed_only = true;
  const auto fetched = store_.fetch_and_wait(std::move(request));
  const storage::FetchedPartition& head = fetched.at(0).head;
  if (head.error) {
    if (head.error->code() == ErrorCode::kOffsetOutOfRange && from.next < head.log_start) {
      from.next = head.log_start;  // retention was faster
      return true;
    }
    return fail(*head.error);
  }
  const Offset before = from.next;
  Bytes rest = fetched.at(0).batches.bytes();
  MemoryLease lease;
  if (rest.size() > limits_.read_bytes && !memory_.try_take(2 * rest.size(), lease)) {
    return no_memory();
  }
  std::vector<protocol::AbortedFrom> aborted;
  for (const auto& t : head.aborted) aborted.push_back({t.producer, t.first});
  protocol::AbortFilter aborts(std::move(aborted));
  while (!rest.empty() && !is_full() && taken_ < quota) {
    RUNNEL_TRY_ASSIGN(const std::size_t size, protocol::validate_batch(rest, protocol::Depth::kCrc,
                                                                       protocol::Gaps::kAllowed));
    const Bytes batch = rest.first(size);
    rest = rest.subspan(size);
    RUNNEL_TRY_ASSIGN(const bool left_out, aborts.leaves_out(batch));
    const Offset last = protocol::BatchView(batch).last_offset();
    if (left_out) {
      from.next = std::max(from.next, last + 1);
    } else if (last >= from.next) {
      RUNNEL_TRY(read_batch(from, batch, quota));
    }
  }
  if (rest.empty() && !is_full() && taken_ < quota) from.next = std::max(from.next, head.next);
  if (from.end) from.next = std::min(from.next, std::max(before, *from.end));
  return from.next > before;
}

Status RecordScan::read_batch(ReadFrom& from, Bytes batch, std::size_t quota) {
  MemoryLease unpacked;
  RUNNEL_TRY_ASSIGN(auto reader, open(batch, unpacked));
  const auto begun = clock_.monotonic();
  for (;;) {
    RUNNEL_TRY_ASSIGN(const protocol::Record* record, reader.next_in_place());
    if (record == nullptr) break;
    if (record->offset < from.next) continue;
    if (from.end && record->offset >= *from.end) {
      from.next = *from.end;
      return {};
    }
    if (is_full() || taken_ >= quota) return {};
    const std::size_t size = size_of(*record);
    // A regular expression may be slow: a batch of many records is left in its midst.
    constexpr std::uint64_t kAskEvery = 256u << 10;
    const bool ask = (looked_at_ + size) / kAskEvery != looked_at_ / kAskEvery;
    looked_at_ += size;
    if (ask && worked_ + (clock_.monotonic() - begun) >= kMaxReadTime) worked_ = kMaxReadTime;
    const auto verdict =
        filter_ ? filter_->judge(*record) : protocol::RecordFilter::Verdict::kHolds;
    if (verdict == protocol::RecordFilter::Verdict::kUnreadable) ++unreadable_;
    const Offset next = record->offset + 1;
    if (verdict == protocol::RecordFilter::Verdict::kHolds) {
      // Escaped, text may have six times as many bytes.
      MemoryLease lease;
      if (size > kMaxReadBytes && !memory_.try_take(6 * size, lease)) return no_memory();
      from.next = next;
      write_(*record, from.partition, *this, text_);
      ++count_;
      ++taken_;
    }
    from.next = next;
  }
  from.next = std::max(from.next, protocol::BatchView(batch).last_offset() + 1);
  return {};
}

Result<protocol::RecordReader> RecordScan::open(Bytes batch, MemoryLease& lease) {
  if (protocol::BatchView(batch).codec() == protocol::Codec::kNone) {
    return protocol::RecordReader::open(batch);
  }
  const std::size_t usual =
      std::clamp<std::size_t>(64 * batch.size(), 256u << 10, kUsualUnpackedBytes);
  for (const std::size_t most : {usual, protocol::kMaxDecompressedBytes}) {
    lease = MemoryLease();
    if (!memory_.try_take(2 * most, lease)) return no_memory();
    auto reader = protocol::RecordReader::open(batch, most);
    const bool larger = !reader && reader.error().code() == ErrorCode::kRecordTooLarge;
    if (!larger || most == protocol::kMaxDecompressedBytes) return reader;
  }
  return no_memory();
}

}  // namespace runnel::broker::http
