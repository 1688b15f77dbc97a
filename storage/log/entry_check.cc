#include "storage/log/entry_check.h"

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

}  // namespace runnel::storage
