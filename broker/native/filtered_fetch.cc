#include "broker/native/filtered_fetch.h"

#include "protocol/record_batch/batch_filter.h"

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

std::vector<protocol::AbortedFrom> aborted_among(const storage::FetchedPartition& read) {
  std::vector<protocol::AbortedFrom> out;
  out.reserve(read.aborted.size());
  for (const storage::AbortedTransaction& t : read.aborted) out.push_back({t.producer, t.first});
  return out;
}

}  // namespace

FilteredFetch::FilteredFetch(std::shared_ptr<const protocol::RecordFilter> filter,
                             std::vector<protocol::native::FetchedPartition> heads,
                             std::vector<Item> items, std::uint64_t max_bytes)
    : filter_(std::move(filter)),
      heads_(std::move(heads)),
      items_(std::move(items)),
      max_bytes_(max_bytes) {
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
  return item_is_full || answer_is_full || looked_at_ >= kMaxFilterWorkBytes;
}

bool FilteredFetch::work(storage::Clock& clock) {
  const auto end = clock.monotonic() + kFilterPiece;
  while (item_ < items_.size()) {
    const Item& item = items_[item_];
    if (is_enough(item)) {
      end_item();
      continue;
    }
    const Result<bool> more = next_batch();
    if (!more && next_ == item.from) {  // else it is told when the next fetch begins there
      protocol::native::FetchedPartition& head = heads_[item.head];
      head.error = more.error().code();
      head.error_message = more.error().message();
    }
    if (more && !*more) next_ = std::max(next_, item.read.next);
    if (!more || !*more) end_item();
    if (clock.monotonic() >= end) break;
  }
  return item_ == items_.size();
}

Result<bool> FilteredFetch::next_batch() {
  const storage::FetchedPartition& from = items_[item_].read;
  if (read_.empty()) {
    if (slice_ == from.slices.size()) return false;
    const storage::FileSlice& slice = from.slices[slice_++];
    read_ = Buffer::allocate(slice.length);
    RUNNEL_TRY(slice.file->read_exactly(slice.position, read_.mutable_bytes()));
  }
  RUNNEL_TRY_ASSIGN(
      const std::size_t size,
      protocol::validate_batch(read_.bytes(), protocol::Depth::kHeader, protocol::Gaps::kAllowed));
  const Buffer batch = read_.slice(0, size);
  read_ = size < read_.size() ? read_.slice(size, read_.size() - size) : Buffer();
  RUNNEL_TRY(filter(batch));
  next_ = std::max(next_, protocol::BatchView(batch.bytes()).last_offset() + 1);
  return true;
}

Status FilteredFetch::filter(const Buffer& batch) {
  const Offset from = items_[item_].from;
  RUNNEL_TRY_ASSIGN(const bool left_out, aborted_->leaves_out(batch.bytes()));
  if (left_out || protocol::BatchView(batch.bytes()).last_offset() < from) return {};
  std::uint64_t unreadable = 0;
  const auto passes = [&](const protocol::Record& record) {
    looked_at_ += size_of(record);
    if (record.offset < from) return false;
    const auto verdict = filter_->judge(record);
    if (verdict == protocol::RecordFilter::Verdict::kUnreadable) ++unreadable;
    return verdict == protocol::RecordFilter::Verdict::kHolds;
  };
  RUNNEL_TRY_ASSIGN(protocol::FilteredBatch left, protocol::filter_batch(batch.bytes(), passes));
  heads_[items_[item_].head].unreadable += unreadable;
  if (left.outcome == protocol::FilteredBatch::Outcome::kEmpty) return {};
  const bool whole = left.outcome == protocol::FilteredBatch::Outcome::kUnchanged;
  batches_.push_back(whole ? batch : std::move(left.bytes));
  item_bytes_ += batches_.back().size();
  bytes_ += batches_.back().size();
  return {};
}

protocol::native::FetchReply FilteredFetch::take_reply() {
  RUNNEL_ASSERT(item_ == items_.size());
  return {std::move(heads_)};
}

}  // namespace runnel::broker
