#include "storage/log/batch_walker.h"

#include <algorithm>

namespace runnel::storage {
namespace {
constexpr std::uint64_t kWindowBytes = 16u << 10;
}  // namespace

Status BatchWalker::fill() {
  const std::uint64_t want = std::min(kWindowBytes, end_ - at_);
  window_.resize(want);
  window_at_ = at_;
  return file_.read_exactly(at_, window_);
}

Result<std::optional<BatchWalker::Step>> BatchWalker::next() {
  using protocol::kBatchHeaderBytes;
  if (at_ == end_) return std::optional<Step>();
  if (end_ - at_ < kBatchHeaderBytes) {
    return fail(ErrorCode::kCorrupt, "a record batch in " + file_.path() + " at byte " +
                                         std::to_string(at_) + " is cut short");
  }
  const bool in_window =
      at_ >= window_at_ && at_ + kBatchHeaderBytes <= window_at_ + window_.size();
  if (!in_window) RUNNEL_TRY(fill());
  const protocol::BatchView view(Bytes(window_).subspan(at_ - window_at_));
  const std::uint64_t bytes = view.total_bytes();
  if (bytes < kBatchHeaderBytes || bytes > end_ - at_ || view.last_offset_delta() < 0) {
    return fail(ErrorCode::kCorrupt, "the length of a record batch in " + file_.path() +
                                         " at byte " + std::to_string(at_) + " is damaged");
  }
  const Step step{at_, bytes, view.base_offset(), view.last_offset(), view.max_timestamp()};
  at_ += bytes;
  return std::optional<Step>(step);
}

}  // namespace runnel::storage
