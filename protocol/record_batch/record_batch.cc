#include "protocol/record_batch/record_batch.h"

#include <array>

#include "protocol/record_batch/crc32c.h"

namespace runnel::protocol {
namespace {

constexpr std::array<std::string_view, 5> kCodecNames = {"none", "gzip", "snappy", "lz4", "zstd"};
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kCrcFrom = 21;

static_assert(kBatchHeaderBytes + kMaxDecompressedBytes <= 0x7fffffff);

tl::unexpected<Error> malformed(std::string message) {
  return fail(ErrorCode::kMalformed, "record batch: " + std::move(message));
}

Status check_magic(std::int8_t magic) {
  if (magic == kBatchMagic) return {};
  if (magic == 0 || magic == 1) {
    return fail(ErrorCode::kUnsupported,
                "record batch: magic " + std::to_string(magic) +
                    " is the message format before Kafka 0.11; send magic 2 (Produce v3 or later)");
  }
  return malformed("magic is " + std::to_string(magic) + ", expected 2");
}

Status check_counts(const BatchView& batch, std::size_t size, Gaps gaps) {
  const std::int32_t count = batch.record_count();
  if (count < 1)
    return malformed("record count is " + std::to_string(count) + ", expected 1 or more");
  const std::int32_t last = batch.last_offset_delta();
  if (gaps == Gaps::kRefused ? last != count - 1 : last < count - 1) {
    return malformed("last offset delta is " + std::to_string(last) +
                     ", expected record count - 1 = " + std::to_string(count - 1) +
                     (gaps == Gaps::kRefused ? "" : " or more"));
  }
  const unsigned codec = batch.attributes() & kCodecMask;
  if (codec >= kCodecNames.size()) {
    return malformed("codec is " + std::to_string(codec) + ", expected 0 to 4");
  }
  // A count moves the partition's next offset, so it is held against the bytes that must carry it.
  const std::size_t records =
      batch.codec() == Codec::kNone ? size - kBatchHeaderBytes : kMaxDecompressedBytes;
  if (static_cast<std::size_t>(count) > records / kMinRecordBytes) {
    return malformed("record count is " + std::to_string(count) + ", at most " +
                     std::to_string(records / kMinRecordBytes) + " fit into its bytes");
  }
  return {};
}

Status check_records(Bytes batch) {
  RUNNEL_TRY_ASSIGN(auto reader, RecordReader::open(batch));
  while (true) {
    RUNNEL_TRY_ASSIGN(auto record, reader.next());
    if (!record) return {};
  }
}

void stamp_times(MutableBytes batch, int attributes, Timestamp max) noexcept {
  const std::size_t total = BatchView(batch).total_bytes();
  RUNNEL_ASSERT(total >= kBatchHeaderBytes && total <= batch.size());
  store_be(batch.data() + 21, static_cast<std::uint16_t>(attributes));
  store_be(batch.data() + 35, max.value());
  store_be(batch.data() + kCrcAt, crc32c(batch.subspan(kCrcFrom, total - kCrcFrom)));
}

}  // namespace

std::string_view name_of(Codec codec) noexcept {
  const auto i = static_cast<std::size_t>(codec);
  return i < kCodecNames.size() ? kCodecNames[i] : "unknown";
}

Result<Codec> codec_named(std::string_view name) {
  for (std::size_t i = 0; i < kCodecNames.size(); ++i) {
    if (kCodecNames[i] == name) return static_cast<Codec>(i);
  }
  return fail(ErrorCode::kInvalidArgument, "unknown compression \"" + std::string(name) +
                                               "\"; use none, gzip, snappy, lz4 or zstd");
}

void stamp_batch(MutableBytes batch, Offset base_offset, LeaderEpoch epoch) noexcept {
  RUNNEL_ASSERT(batch.size() >= kBatchHeaderBytes);
  store_be(batch.data(), base_offset.value());
  store_be(batch.data() + 12, epoch.value());
}

void stamp_append_time(MutableBytes batch, Timestamp now) noexcept {
  stamp_times(batch, BatchView(batch).attributes() | kLogAppendTimeBit, now);
}

void stamp_create_time(MutableBytes batch, Timestamp latest) noexcept {
  stamp_times(batch, BatchView(batch).attributes() & ~kLogAppendTimeBit, latest);
}

Result<std::size_t> validate_batch(Bytes bytes, Depth depth, Gaps gaps) {
  if (bytes.size() > kMagicAt) RUNNEL_TRY(check_magic(load_be<std::int8_t>(&bytes[kMagicAt])));
  if (bytes.size() < kBatchHeaderBytes) {
    return malformed("a header has 61 bytes, only " + std::to_string(bytes.size()) + " are there");
  }
  RUNNEL_TRY_ASSIGN(const auto size, batch_size(bytes));
  RUNNEL_ASSERT(size.has_value());
  if (*size > bytes.size()) {
    return malformed("its length says " + std::to_string(*size) + " bytes, only " +
                     std::to_string(bytes.size()) + " are there");
  }
  const BatchView view(bytes);
  RUNNEL_TRY(check_counts(view, *size, gaps));
  if (depth == Depth::kHeader) return *size;
  const std::uint32_t crc = crc32c(bytes.subspan(kCrcFrom, *size - kCrcFrom));
  if (crc != view.crc()) {
    return fail(ErrorCode::kCorrupt, "record batch: checksum is " + std::to_string(crc) +
                                         ", the header says " + std::to_string(view.crc()) +
                                         "; the bytes changed after the producer made them");
  }
  if (depth == Depth::kRecords) RUNNEL_TRY(check_records(bytes.first(*size)));
  return *size;
}

Result<std::optional<std::size_t>> batch_size(Bytes bytes) {
  if (bytes.size() < kBatchLengthOverhead) return std::nullopt;
  const auto length = load_be<std::int32_t>(&bytes[8]);
  constexpr auto kLeast = static_cast<std::int32_t>(kBatchHeaderBytes - kBatchLengthOverhead);
  constexpr auto kMost = static_cast<std::int32_t>(kMaxBatchBytes - kBatchLengthOverhead);
  if (length < kLeast || length > kMost) {
    return malformed("length is " + std::to_string(length) + ", expected " +
                     std::to_string(kLeast) + " to " + std::to_string(kMost));
  }
  return kBatchLengthOverhead + static_cast<std::size_t>(length);
}

}  // namespace runnel::protocol
