#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {
namespace {

// A varint length, then that many bytes; -1 is null. False if the bytes do not hold it.
bool read_nullable(ByteReader& in, std::optional<std::string_view>& out) {
  const std::int32_t size = in.varint32();
  out.reset();
  if (!in.ok() || size < -1) return false;
  if (size == -1) return true;
  const Bytes bytes = in.take(static_cast<std::size_t>(size));
  if (!in.ok()) return false;
  out = as_text(bytes);
  return true;
}

}  // namespace

Result<RecordReader> RecordReader::open(Bytes batch, std::size_t max_bytes) {
  RUNNEL_TRY_ASSIGN(const std::size_t size, validate_batch(batch, Depth::kHeader, Gaps::kAllowed));
  const BatchView view(batch);
  RecordReader reader;
  reader.records_ = batch.subspan(kBatchHeaderBytes, size - kBatchHeaderBytes);
  if (view.codec() != Codec::kNone) {
    auto plain = decompress(view.codec(), reader.records_, max_bytes);
    if (!plain) return fail(plain.error().within("record batch"));
    reader.decompressed_ = *std::move(plain);
    reader.records_ = reader.decompressed_.bytes();
  }
  reader.count_ = view.record_count();
  reader.last_delta_ = view.last_offset_delta();
  reader.base_offset_ = view.base_offset();
  reader.base_timestamp_ = view.base_timestamp();
  if (view.is_log_append_time()) reader.append_time_ = view.max_timestamp();
  return reader;
}

Result<std::optional<Record>> RecordReader::next() {
  if (index_ == count_) {
    if (at_ != records_.size()) return stop("bytes follow the last record");
    return std::nullopt;
  }
  ByteReader all(records_.subspan(at_));
  const std::int32_t length = all.varint32();
  if (!all.ok() || length < 0) return stop("its length is not a valid varint");
  const Bytes body = all.take(static_cast<std::size_t>(length));
  if (!all.ok()) return stop("its length exceeds the bytes that remain");

  ByteReader in(body);
  in.be<std::int8_t>();  // Attributes: no bit has a meaning yet.
  const std::int64_t timestamp_delta = in.varint();
  const std::int32_t offset_delta = in.varint32();
  if (!in.ok()) return stop("it ends within its deltas");
  // Ascending, with room for those that follow; without gaps that leaves one.
  if (offset_delta < least_delta_ || offset_delta > last_delta_ - (count_ - 1 - index_)) {
    return stop("its offset delta is " + std::to_string(offset_delta));
  }
  Record record;
  record.offset = base_offset_ + offset_delta;
  record.timestamp = append_time_.value_or(base_timestamp_ + timestamp_delta);
  if (!read_nullable(in, record.key)) return stop("its key length does not fit");
  if (!read_nullable(in, record.value)) return stop("its value length does not fit");
  if (const char* wrong = read_headers(in)) return stop(wrong);
  if (!in.at_end()) return stop("bytes follow its headers");
  record.headers = headers_;
  at_ = records_.size() - all.remaining();
  least_delta_ = offset_delta + 1;
  ++index_;
  return record;
}

const char* RecordReader::read_headers(ByteReader& in) {
  headers_.clear();
  const std::int32_t count = in.varint32();
  constexpr std::size_t kLeastHeaderBytes = 2;  // two lengths
  if (!in.ok() || count < 0) return "its header count is not a valid varint";
  const auto headers = static_cast<std::size_t>(count);
  if (headers > in.remaining() / kLeastHeaderBytes) {
    return "its header count exceeds the bytes that remain";
  }
  if (headers > kMaxRecordHeaders) return "it has more than 65536 headers";
  for (std::size_t i = 0; i < headers; ++i) {
    std::optional<std::string_view> key;
    RecordHeader header;
    if (!read_nullable(in, key) || !key) return "a header's key length does not fit";
    if (!read_nullable(in, header.value)) return "a header's value length does not fit";
    header.key = *key;
    headers_.push_back(header);
  }
  return nullptr;
}

tl::unexpected<Error> RecordReader::stop(std::string_view what) {
  std::string message = "record batch: record " + std::to_string(index_) + " of " +
                        std::to_string(count_) + " at byte " + std::to_string(at_) +
                        " of the records: ";
  message += what;
  index_ = count_;
  at_ = records_.size();
  return fail(ErrorCode::kMalformed, std::move(message));
}

}  // namespace runnel::protocol
