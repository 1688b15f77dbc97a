#include "broker/native/filtered_fetch.h"

#include <algorithm>

namespace runnel::broker {
namespace {

std::uint64_t size_of(const protocol::Record& record) {
  std::uint64_t size = protocol::kMinRecordBytes;
  size += record.key.value_or("").size() + record.value.value_or("").size();
  for (const protocol::RecordHeader& header : record.headers) {
    size += header.key.size() + header.value.value_or("").size();
  }
  return size;
}

/// Bytes of the budget, for a moment.
class BudgetedBytes {
 public:
  BudgetedBytes(storage::MemoryBudget& budget, std::uint64_t bytes)
      : budget_(budget), bytes_(budget.try_take(bytes) ? bytes : 0) {}
  ~BudgetedBytes() { budget_.give_back(bytes_); }
  BudgetedBytes(const BudgetedBytes&) = delete;
  BudgetedBytes& operator=(const BudgetedBytes&) = delete;
  explicit operator bool() const noexcept { return bytes_ != 0; }

 private:
  storage::MemoryBudget& budget_;
  const std::uint64_t bytes_;
};

std::vector<protocol::AbortedFrom> aborted_among(const storage::FetchedPartition& read) {
  std::vector<protocol::AbortedFrom> out;
  out.reserve(read.aborted.size());
  for (const storage::AbortedTransaction& t : read.aborted) out.push_back({t.producer, t.first});
  return out;
}

}  // namespace

FilteredFetch::FilteredFetch(std::shared_ptr<const protocol::RecordFilter> filter,
                             std::vector<protocol::native::FetchedPartition> heads,
                             std::vector<Item> items, std::uint64_t max_bytes,
                             storage::Clock& clock, storage::MemoryBudget& memory)
    : filter_(std::move(filter)),
      heads_(std::move(heads)),
      items_(std::move(items)),
      max_bytes_(max_bytes),
      clock_(clock),
      memory_(memory) {
  if (!items_.empty()) begin_item();
}

void FilteredFetch::begin_item() {
  const Item& item = items_[item_];
  slice_ = 0;
  read_ = Buffer();
  next_ = item.from;
  item_bytes_ = 0;
  aborted_.emplace(aborted_among(item.read));
}

void FilteredFetch::end_item() {
  protocol::native::FetchedPartition& head = heads_[items_[item_].head];
  head.filtered = true;
  head.next = next_;
  head.bytes = static_cast<std::uint32_t>(item_bytes_);
  ++item_;
  if (item_ < items_.size()) begin_item();
}

/// One batch that passes comes, however little was asked for.
bool FilteredFetch::is_enough(const Item& item) const {
  const bool item_is_full = item_bytes_ != 0 && item_bytes_ >= item.max_bytes;
  const bool answer_is_full = bytes_ != 0 && bytes_ >= max_bytes_;
  return item_is_full || answer_is_full || looked_at_ >= kMaxFilterWorkBytes ||
         worked_ >= kMaxFilterTime;
}

bool FilteredFetch::is_time_up() {
  constexpr std::uint64_t kAskEvery = 256u << 10;
  if (looked_at_ - looked_at_clock_ < kAskEvery) return false;
  looked_at_clock_ = looked_at_;
  return worked_ + (clock_.monotonic() - piece_begun_) >= kMaxFilterTime;
}

bool FilteredFetch::work() {
  piece_begun_ = clock_.monotonic();
  std::chrono::nanoseconds taken{0};
  while (item_ < items_.size() && taken < kFilterPiece) {
    const Item& item = items_[item_];
    if (is_enough(item)) {
      end_item();
      continue;
    }
    const Result<Step> step = next_batch();
    taken = clock_.monotonic() - piece_begun_;
    if (!step && next_ == item.from) {  // else it is told when the next fetch begins there
      protocol::native::FetchedPartition& head = heads_[item.head];
      head.error = step.error().code();
      head.error_message = step.error().message();
    }
    if (step && *step == Step::kNoMore) next_ = std::max(next_, item.read.next);
    if (!step || *step != Step::kNext) end_item();
  }
  worked_ += taken;
  return item_ == items_.size();
}

Result<FilteredFetch::Step> FilteredFetch::next_batch() {
  const storage::FetchedPartition& from = items_[item_].read;
  if (read_.empty()) {
    if (slice_ == from.slices.size()) return Step::kNoMore;
    const storage::FileSlice& slice = from.slices[slice_++];
    read_ = Buffer::allocate(slice.length);
    RUNNEL_TRY(slice.file->read_exactly(slice.position, read_.mutable_bytes()));
  }
  RUNNEL_TRY_ASSIGN(
      const std::size_t size,
      protocol::validate_batch(read_.bytes(), protocol::Depth::kCrc, protocol::Gaps::kAllowed));
  const Buffer batch = read_.slice(0, size);
  read_ = size < read_.size() ? read_.slice(size, read_.size() - size) : Buffer();
  RUNNEL_TRY_ASSIGN(const std::optional<Offset> stopped, filter(batch));
  const Offset next = stopped.value_or(protocol::BatchView(batch.bytes()).last_offset() + 1);
  next_ = std::max(next_, next);
  return stopped ? Step::kTimeIsUp : Step::kNext;
}

Result<std::optional<Offset>> FilteredFetch::filter(const Buffer& batch) {
  const Offset from = items_[item_].from;
  std::optional<Offset> stopped;
  RUNNEL_TRY_ASSIGN(const bool left_out, aborted_->leaves_out(batch.bytes()));
  if (left_out || protocol::BatchView(batch.bytes()).last_offset() < from) return stopped;
  std::uint64_t unreadable = 0;
  bool judged = false;
  const auto passes = [&](const protocol::Record& record) {
    if (stopped || record.offset < from) return false;
    // One at least: the next fetch begins behind it.
    if (judged && is_time_up()) {
      stopped = record.offset;
      return false;
    }
    judged = true;
    looked_at_ += size_of(record);
    const auto verdict = filter_->judge(record);
    if (verdict == protocol::RecordFilter::Verdict::kUnreadable) ++unreadable;
    return verdict == protocol::RecordFilter::Verdict::kHolds;
  };
  RUNNEL_TRY_ASSIGN(protocol::FilteredBatch left, look_through(batch, passes));
  heads_[items_[item_].head].unreadable += unreadable;
  if (left.outcome == protocol::FilteredBatch::Outcome::kEmpty) return stopped;
  const bool whole = left.outcome == protocol::FilteredBatch::Outcome::kUnchanged;
  batches_.push_back(whole ? batch : std::move(left.bytes));
  item_bytes_ += batches_.back().size();
  bytes_ += batches_.back().size();
  return stopped;
}

Result<protocol::FilteredBatch> FilteredFetch::look_through(const Buffer& batch,
                                                            const protocol::KeepRecord& passes) {
  if (protocol::BatchView(batch.bytes()).codec() == protocol::Codec::kNone) {
    return protocol::filter_batch(batch.bytes(), passes);
  }
  constexpr std::size_t kUsualRatio = 64;
  constexpr std::size_t kLeast = 256u << 10;
  const std::size_t usual = std::clamp(kUsualRatio * batch.size(), kLeast, kUsualUnpackedBytes);
  for (const std::size_t unpacked : {usual, protocol::kMaxDecompressedBytes}) {
    // What comes out of the codec, what is written of it, and that packed.
    const BudgetedBytes held(memory_, 3 * unpacked);
    if (!held) {
      return fail(ErrorCode::kOverloaded,
                  "the broker's memory is used up, and a filter needs some to unpack a batch; try "
                  "again later or raise its memory limit");
    }
    auto left = protocol::filter_batch(batch.bytes(), passes, std::nullopt, unpacked);
    const bool was_short = !left && left.error().code() == ErrorCode::kRecordTooLarge;
    if (!was_short || unpacked == protocol::kMaxDecompressedBytes) return left;
  }
  return fail(ErrorCode::kInternal, "a batch was not unpacked");
}

protocol::native::FetchReply FilteredFetch::take_reply() {
  RUNNEL_ASSERT(item_ == items_.size());
  return {std::move(heads_)};
}

}  // namespace runnel::broker
