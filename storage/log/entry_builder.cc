#include "storage/log/entry_builder.h"

#include <algorithm>

namespace runnel::storage {

bool EntryBuilder::add(const protocol::BatchView& batch, std::uint32_t bytes, Position position) {
  RUNNEL_ASSERT(batch.base_offset() == state_.next);
  bool new_span = false;
  Span& span = state_.open_span;
  if (span.segment != position.segment) {
    if (span.segment != 0) {
      mutations_.put(Family::kIndex, keys::span(partition_, span.segment), encode(span));
    }
    span = {position.segment, batch.base_offset(), batch.last_offset(), 0, kNoTimestamp};
    new_span = true;
  }
  span.last = batch.last_offset();
  span.bytes += bytes;
  span.max_timestamp = std::max(span.max_timestamp, batch.max_timestamp());

  if (open_.bytes != 0 && open_.bytes + bytes > kEntryBytes) flush();
  if (open_.bytes == 0) {
    open_ = {batch.base_offset(), batch.last_offset(), position, 0, kNoTimestamp, state_.bytes};
  }
  open_.last = batch.last_offset();
  open_.bytes += bytes;
  open_.max_timestamp = std::max(open_.max_timestamp, batch.max_timestamp());
  state_.next = batch.last_offset() + 1;
  state_.bytes += bytes;
  return new_span;
}

void EntryBuilder::finish() {
  if (open_.bytes != 0) flush();
}

void EntryBuilder::flush() {
  mutations_.put(Family::kIndex, keys::index_entry(partition_, open_.base), encode(open_));
  entries_.push_back(open_);
  open_ = {};
}

}  // namespace runnel::storage
