#include "storage/log/entry_check.h"

#include <algorithm>
#include <optional>

#include "protocol/record_batch/record_batch.h"
#include "storage/segments/data_segments.h"

namespace runnel::storage {

Status check_entry(const IndexEntry& entry, Bytes bytes) {
  const bool moved = is_data_segment(entry.position.segment);
  Offset expected = entry.base;
  for (Bytes rest = bytes; !rest.empty();) {
    RUNNEL_TRY_ASSIGN(
        const std::size_t size,
        protocol::validate_batch(rest, protocol::Depth::kCrc,
                                 moved ? protocol::Gaps::kAllowed : protocol::Gaps::kRefused));
    const protocol::BatchView batch(rest);
    const bool follows = moved ? batch.base_offset() >= expected : batch.base_offset() == expected;
    if (!follows || batch.last_offset() > entry.last) {
      return fail(ErrorCode::kCorrupt, "its base offset is damaged");
    }
    expected = batch.last_offset() + 1;
    rest = rest.subspan(size);
  }
  if (moved && heads_checksum(bytes) != entry.heads) {
    return fail(ErrorCode::kCorrupt, "the head of a batch is damaged");
  }
  return {};
}

Result<Buffer> read_entry(const IndexEntry& entry, const File& file) {
  Buffer bytes = Buffer::allocate(entry.bytes);
  RUNNEL_TRY(file.read_exactly(entry.position.offset, bytes.mutable_bytes()));
  if (const Status s = check_entry(entry, bytes.bytes()); !s) {
    return fail(s.error().within("the batches from offset " + std::to_string(entry.base.value()) +
                                 " (" + entry.position.to_string() + ")"));
  }
  return bytes;
}

IndexEntry lost_entry(Offset first, Offset last, std::uint64_t bytes_before) {
  return {first, last, IndexEntry::kLostPosition, 0, kNoTimestamp, bytes_before};
}

namespace {

using protocol::BatchView;

/// Whether the heads of all batches are what was written, whatever became of their bodies.
bool heads_hold(const IndexEntry& entry, Bytes bytes) {
  if (bytes.size() != entry.bytes) return false;
  for (Bytes rest = bytes; !rest.empty();) {
    if (rest.size() < protocol::kBatchHeaderBytes) return false;
    const std::size_t size = BatchView(rest).total_bytes();
    if (size < protocol::kBatchHeaderBytes || size > rest.size()) return false;
    rest = rest.subspan(size);
  }
  return heads_checksum(bytes) == entry.heads;
}

class Salvage {
 public:
  Salvage(const IndexEntry& entry, Bytes bytes)
      : entry_(entry),
        bytes_(bytes),
        moved_(is_data_segment(entry.position.segment)),
        expected_(entry.base) {}

  std::vector<IndexEntry> run() {
    for (std::size_t at = 0; at < bytes_.size();) {
      const Bytes rest = bytes_.subspan(at);
      if (const std::size_t size = sound_batch(rest); size != 0) {
        add(rest.first(size), at);
        at += size;
        continue;
      }
      if (!lost_from_) lose(rest);
      // Behind it goes on what its length says, if there is a batch that follows.
      if (rest.size() < protocol::kBatchHeaderBytes) break;
      const std::size_t size = BatchView(rest).total_bytes();
      if (size < protocol::kBatchHeaderBytes || size > rest.size()) break;
      at += size;
    }
    if (!lost_from_ && bytes_.size() < entry_.bytes && expected_ <= entry_.last) lose({});
    if (lost_from_) {
      out_.push_back(lost_entry(*lost_from_, entry_.last, entry_.bytes_before));
    } else if (!out_.empty()) {
      out_.back().last = entry_.last;
    }
    return std::move(out_);
  }

 private:
  /// Size of the batch that `rest` begins with if it is sound and may stand there; else 0.
  std::size_t sound_batch(Bytes rest) const {
    const auto size = protocol::validate_batch(
        rest, protocol::Depth::kCrc, moved_ ? protocol::Gaps::kAllowed : protocol::Gaps::kRefused);
    if (!size) return 0;
    const BatchView batch(rest);
    const Offset base = batch.base_offset();
    const bool follows = moved_ || lost_from_ ? base >= expected_ : base == expected_;
    return follows && batch.last_offset() <= entry_.last ? *size : 0;
  }
  void add(Bytes bytes, std::size_t at) {
    const BatchView batch(bytes);
    const bool begins = out_.empty() || lost_from_.has_value();
    if (lost_from_) {
      out_.push_back(lost_entry(*lost_from_, batch.base_offset() - 1, entry_.bytes_before));
    }
    if (begins) {
      Position position = entry_.position;
      position.offset += static_cast<std::uint32_t>(at);
      const Offset base = lost_from_ ? batch.base_offset() : entry_.base;
      out_.push_back({base, base, position, 0, kNoTimestamp, entry_.bytes_before + at});
    }
    lost_from_.reset();
    IndexEntry& open = out_.back();
    open.last = batch.last_offset();
    open.bytes += static_cast<std::uint32_t>(bytes.size());
    open.max_timestamp = std::max(open.max_timestamp, batch.max_timestamp());
    if (moved_) open.heads = heads_checksum(bytes, open.heads);
    expected_ = batch.last_offset() + 1;
  }
  /// The batch that `rest` begins with is lost, and what follows until one is sound.
  void lose(Bytes rest) {
    Offset from = expected_;
    // Its head is known to be right there, and compaction may have left a gap before it.
    if (moved_ && !out_.empty() && rest.size() >= protocol::kBatchHeaderBytes) {
      from = std::max(from, BatchView(rest).base_offset());
    }
    if (!out_.empty()) out_.back().last = from - 1;
    lost_from_ = from;
    expected_ = from + 1;
  }

  const IndexEntry& entry_;
  const Bytes bytes_;
  const bool moved_;
  Offset expected_;                  // of the next batch, at least
  std::optional<Offset> lost_from_;  // what is at hand is lost from here on
  std::vector<IndexEntry> out_;
};

}  // namespace

std::vector<IndexEntry> salvage_entry(const IndexEntry& entry, Bytes bytes) {
  if (bytes.size() == entry.bytes && check_entry(entry, bytes)) return {entry};
  if (is_data_segment(entry.position.segment) && !heads_hold(entry, bytes)) {
    return {lost_entry(entry.base, entry.last, entry.bytes_before)};
  }
  return Salvage(entry, bytes).run();
}

}  // namespace runnel::storage
