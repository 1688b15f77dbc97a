#include <algorithm>
#include <utility>

#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"
#include "protocol/record_batch/record_writer.h"

namespace runnel::protocol {
namespace {

std::size_t uvarint_bytes(std::uint64_t v) {
  std::size_t n = 1;
  for (; v >= 0x80; v >>= 7) ++n;
  return n;
}
std::size_t varint_bytes(std::int64_t v) {
  return uvarint_bytes(zigzag(v));
}

std::size_t nullable_bytes(const std::optional<std::string_view>& text) {
  if (!text) return varint_bytes(-1);
  return varint_bytes(static_cast<std::int64_t>(text->size())) + text->size();
}

void write_nullable(ByteWriter& out, const std::optional<std::string_view>& text) {
  if (!text) {
    out.varint(-1);
    return;
  }
  out.varint(static_cast<std::int64_t>(text->size())).raw(as_bytes(*text));
}

std::size_t body_bytes(const NewRecord& record, std::int64_t timestamp_delta, std::int32_t index) {
  std::size_t n = 1 + varint_bytes(timestamp_delta) + varint_bytes(index);
  n += nullable_bytes(record.key) + nullable_bytes(record.value);
  n += varint_bytes(static_cast<std::int64_t>(record.headers.size()));
  for (const RecordHeader& h : record.headers) {
    n += nullable_bytes(h.key) + nullable_bytes(h.value);
  }
  return n;
}

}  // namespace

void write_record(ByteWriter& to, const NewRecord& record, std::int64_t timestamp_delta,
                  std::int32_t offset_delta) {
  to.varint(static_cast<std::int64_t>(body_bytes(record, timestamp_delta, offset_delta)));
  to.be(std::int8_t{0}).varint(timestamp_delta).varint(offset_delta);
  write_nullable(to, record.key);
  write_nullable(to, record.value);
  to.varint(static_cast<std::int64_t>(record.headers.size()));
  for (const RecordHeader& h : record.headers) {
    write_nullable(to, h.key);
    write_nullable(to, h.value);
  }
}

BatchBuilder::BatchBuilder(BatchOptions options) : options_(options) {}

void BatchBuilder::add(const NewRecord& record) {
  if (count_ == 0) base_timestamp_ = max_timestamp_ = record.timestamp;
  max_timestamp_ = std::max(max_timestamp_, record.timestamp);
  write_record(records_, record, record.timestamp - base_timestamp_, count_);
  most_headers_ = std::max(most_headers_, record.headers.size());
  ++count_;
}

void BatchBuilder::set_producer(ProducerId id, ProducerEpoch epoch,
                                std::int32_t base_sequence) noexcept {
  options_.producer_id = id;
  options_.producer_epoch = epoch;
  options_.base_sequence = base_sequence;
}

Result<Buffer> BatchBuilder::finish() {
  const std::string records = records_.take();
  records_.clear();
  const std::int32_t count = std::exchange(count_, 0);
  const std::size_t headers = std::exchange(most_headers_, 0);
  if (count == 0) return fail(ErrorCode::kInvalidArgument, "a record batch needs a record");
  if (headers > kMaxRecordHeaders) {
    return fail(ErrorCode::kInvalidArgument,
                "a record has " + std::to_string(headers) + " headers, at most " +
                    std::to_string(kMaxRecordHeaders) + " are allowed");
  }
  if (records.size() > kMaxDecompressedBytes) {
    return fail(ErrorCode::kRecordTooLarge,
                "the batch has " + std::to_string(records.size()) + " bytes of records, at most " +
                    std::to_string(kMaxDecompressedBytes) + " fit; send fewer or smaller records");
  }
  Bytes payload = as_bytes(records);
  Buffer compressed;
  if (options_.codec != Codec::kNone) {
    RUNNEL_TRY_ASSIGN(compressed, compress(options_.codec, payload, options_.level));
    payload = compressed.bytes();
  }
  const std::size_t total = kBatchHeaderBytes + payload.size();
  if (total > kMaxBatchBytes) {
    return fail(ErrorCode::kRecordTooLarge,
                "the batch has " + std::to_string(total) + " bytes, at most " +
                    std::to_string(kMaxBatchBytes) + " fit; send fewer or smaller records");
  }
  Buffer batch = Buffer::allocate(total);
  std::byte* const p = batch.mutable_data();
  const auto attributes = static_cast<std::uint16_t>(
      static_cast<unsigned>(options_.codec) | (options_.transactional ? kTransactionalBit : 0u) |
      (options_.control ? kControlBit : 0u));
  store_be(p, std::int64_t{0});
  store_be(p + 8, static_cast<std::int32_t>(total - kBatchLengthOverhead));
  store_be(p + 12, std::int32_t{0});
  store_be(p + 16, kBatchMagic);
  store_be(p + 21, attributes);
  store_be(p + 23, count - 1);
  store_be(p + 27, base_timestamp_.value());
  store_be(p + 35, max_timestamp_.value());
  store_be(p + 43, options_.producer_id.value());
  store_be(p + 51, options_.producer_epoch.value());
  store_be(p + 53, options_.base_sequence);
  store_be(p + 57, count);
  std::copy(payload.begin(), payload.end(), p + kBatchHeaderBytes);
  store_be(p + 17, crc32c(batch.bytes().subspan(21)));
  return batch;
}

}  // namespace runnel::protocol
