#include "protocol/record_batch/batch_filter.h"

#include <algorithm>

#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_writer.h"

namespace runnel::protocol {
namespace {

/// The batch with other records; everything else stays as it was but what is given here.
Result<Buffer> with_records(Bytes batch, Bytes records, std::int32_t count, Timestamp base_time,
                            Timestamp max_time, std::uint16_t attributes) {
  const BatchView view(batch);
  Buffer packed;
  if (view.codec() != Codec::kNone) {
    RUNNEL_TRY_ASSIGN(packed, compress(view.codec(), records));
    records = packed.bytes();
  }
  const std::size_t total = kBatchHeaderBytes + records.size();
  if (total > kMaxBatchBytes) {
    return fail(ErrorCode::kRecordTooLarge, "the batch would have " + std::to_string(total) +
                                                " bytes, at most " +
                                                std::to_string(kMaxBatchBytes) + " fit");
  }
  Buffer out = Buffer::allocate(total);
  std::byte* const p = out.mutable_data();
  std::copy_n(batch.begin(), kBatchHeaderBytes, p);
  std::copy(records.begin(), records.end(), p + kBatchHeaderBytes);
  store_be(p + 8, static_cast<std::int32_t>(total - kBatchLengthOverhead));
  store_be(p + 21, attributes);
  store_be(p + 27, base_time.value());
  store_be(p + 35, max_time.value());
  store_be(p + 57, count);
  store_be(p + 17, crc32c(out.bytes().subspan(21)));
  return out;
}

}  // namespace

Result<FilteredBatch> filter_batch(Bytes batch, const KeepRecord& keep,
                                   std::optional<Timestamp> horizon, std::size_t max_bytes) {
  const BatchView view(batch);
  if (view.delete_horizon()) horizon.reset();
  Timestamp base_time = horizon.value_or(view.base_timestamp());
  Timestamp max_time = kNoTimestamp;
  RUNNEL_TRY_ASSIGN(auto reader, RecordReader::open(batch, max_bytes));
  ByteWriter records;
  std::int32_t count = 0;
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto record, reader.next());
    if (!record) break;
    if (!keep(*record)) continue;
    ++count;
    max_time = std::max(max_time, record->timestamp);
    write_record(records, {record->timestamp, record->key, record->value, record->headers},
                 record->timestamp - base_time,
                 static_cast<std::int32_t>(record->offset - view.base_offset()));
  }
  if (count == 0) return FilteredBatch{FilteredBatch::Outcome::kEmpty, {}};
  if (count == view.record_count() && !horizon) return FilteredBatch{};
  if (view.is_log_append_time()) max_time = view.max_timestamp();
  std::uint16_t attributes = view.attributes();
  if (horizon) attributes = static_cast<std::uint16_t>(attributes | kDeleteHorizonBit);
  const std::string bytes = records.take();
  RUNNEL_TRY_ASSIGN(Buffer made,
                    with_records(batch, as_bytes(bytes), count, base_time, max_time, attributes));
  return FilteredBatch{FilteredBatch::Outcome::kChanged, std::move(made)};
}

}  // namespace runnel::protocol
