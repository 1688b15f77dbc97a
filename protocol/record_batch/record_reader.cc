#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {
namespace {

// Bytes of one record. Every record that a producer brings is walked, and nearly all of a record's
// varints are one or two bytes long: those are read here, the others by ByteReader.
class RecordBytes {
 public:
  explicit RecordBytes(Bytes bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  [[nodiscard]] bool at_end() const { return p_ == end_; }
  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - p_); }

  bool skip_byte() {
    if (p_ == end_) return false;
    ++p_;
    return true;
  }
  bool varint32(std::int32_t& out) {
    std::uint32_t raw = 0;
    if (!short_varint(raw)) {
      ByteReader in = rest();
      out = in.varint32();
      return take_up(in);
    }
    out = static_cast<std::int32_t>(unzigzag(raw));
    return true;
  }
  bool varint64(std::int64_t& out) {
    std::uint32_t raw = 0;
    if (!short_varint(raw)) {
      ByteReader in = rest();
      out = in.varint();
      return take_up(in);
    }
    out = unzigzag(raw);
    return true;
  }
  bool bytes(std::int32_t size, std::string_view& out) {
    if (size < 0 || static_cast<std::size_t>(size) > remaining()) return false;
    out = as_text({p_, static_cast<std::size_t>(size)});
    p_ += size;
    return true;
  }
  /// A length, then that many bytes; -1 is null.
  bool nullable(std::optional<std::string_view>& out) {
    std::int32_t size = 0;
    if (!varint32(size)) return false;
    if (size == -1) {
      out.reset();
      return true;
    }
    return bytes(size, out.emplace());
  }

 private:
  bool short_varint(std::uint32_t& out) {
    if (remaining() < 2) return false;
    const auto first = std::to_integer<std::uint32_t>(p_[0]);
    const auto second = std::to_integer<std::uint32_t>(p_[1]);
    if (first < 0x80) {
      out = first;
      ++p_;
      return true;
    }
    out = (first & 0x7f) | second << 7;
    if (second >= 0x80) return false;
    p_ += 2;
    return true;
  }
  [[nodiscard]] ByteReader rest() const { return ByteReader(Bytes{p_, remaining()}); }
  bool take_up(const ByteReader& in) {
    p_ = end_ - in.remaining();
    return in.ok();
  }

  const std::byte* p_;
  const std::byte* end_;
};

/// Reads the headers of one record; null or what is wrong with them.
const char* read_headers(RecordBytes& in, std::vector<RecordHeader>& out) {
  out.clear();
  std::int32_t count = 0;
  constexpr std::size_t kLeastHeaderBytes = 2;  // two lengths
  if (!in.varint32(count) || count < 0) return "its header count is not a valid varint";
  const auto headers = static_cast<std::size_t>(count);
  if (headers > in.remaining() / kLeastHeaderBytes) {
    return "its header count exceeds the bytes that remain";
  }
  if (headers > kMaxRecordHeaders) return "it has more than 65536 headers";
  for (std::size_t i = 0; i < headers; ++i) {
    std::optional<std::string_view> key;
    RecordHeader header;
    if (!in.nullable(key) || !key) return "a header's key length does not fit";
    if (!in.nullable(header.value)) return "a header's value length does not fit";
    header.key = *key;
    out.push_back(header);
  }
  return nullptr;
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
  RUNNEL_TRY_ASSIGN(const Record* record, next_in_place());
  if (record == nullptr) return std::nullopt;
  return *record;
}

Result<const Record*> RecordReader::next_in_place() {
  if (index_ == count_) {
    if (at_ != records_.size()) return stop("bytes follow the last record");
    return nullptr;
  }
  RecordBytes all(records_.subspan(at_));
  std::int32_t length = 0;
  if (!all.varint32(length) || length < 0) return stop("its length is not a valid varint");
  std::string_view body;
  if (!all.bytes(length, body)) return stop("its length exceeds the bytes that remain");

  RecordBytes in(as_bytes(body));
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  // Attributes: no bit has a meaning yet.
  if (!in.skip_byte() || !in.varint64(timestamp_delta) || !in.varint32(offset_delta)) {
    return stop("it ends within its deltas");
  }
  // Ascending, with room for those that follow; without gaps that leaves one.
  if (offset_delta < least_delta_ || offset_delta > last_delta_ - (count_ - 1 - index_)) {
    return stop("its offset delta is " + std::to_string(offset_delta));
  }
  Record& record = record_;
  record.offset = base_offset_ + offset_delta;
  record.timestamp = append_time_.value_or(base_timestamp_ + timestamp_delta);
  if (!in.nullable(record.key)) return stop("its key length does not fit");
  if (!in.nullable(record.value)) return stop("its value length does not fit");
  if (const char* wrong = read_headers(in, headers_)) return stop(wrong);
  if (!in.at_end()) return stop("bytes follow its headers");
  record.headers = headers_;
  at_ = records_.size() - all.remaining();
  least_delta_ = offset_delta + 1;
  ++index_;
  return &record;
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
