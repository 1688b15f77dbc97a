// Lengths and counts that lie, and bombs: refused, without the memory they ask for.
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "protocol/record_batch/compression.h"
#include "tests/protocol/record_batch/samples.h"

namespace {
std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};

// Each block is preceded by its size, in room that keeps the block aligned.
constexpr std::size_t kSizeRoom = alignof(std::max_align_t);

void* counted_allocate(std::size_t size) {
  auto* const block = static_cast<unsigned char*>(std::malloc(size + kSizeRoom));
  if (block == nullptr) std::abort();
  std::memcpy(block, &size, sizeof size);
  const std::size_t live = live_bytes += size;
  std::size_t peak = peak_bytes.load();
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
  return block + kSizeRoom;
}
void counted_free(void* p) noexcept {
  if (p == nullptr) return;
  unsigned char* const block = static_cast<unsigned char*>(p) - kSizeRoom;
  std::size_t size = 0;
  std::memcpy(&size, block, sizeof size);
  live_bytes -= size;
  std::free(block);
}
}  // namespace

void* operator new(std::size_t size) {
  return counted_allocate(size);
}
void* operator new[](std::size_t size) {
  return counted_allocate(size);
}
void operator delete(void* p) noexcept {
  counted_free(p);
}
void operator delete[](void* p) noexcept {
  counted_free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  counted_free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
  counted_free(p);
}

namespace runnel::protocol {
namespace {

constexpr std::int32_t kHuge = std::numeric_limits<std::int32_t>::max();
// Error messages, a reader's own state.
constexpr std::size_t kSmallChange = 16 << 10;

/// What `body` allocates beyond what was there before, at its peak.
template <class Body>
std::size_t peak_of(Body body) {
  const std::size_t before = live_bytes.load();
  peak_bytes = before;
  body();
  return peak_bytes.load() - before;
}

TEST(PeakOf, SeesWhatABufferAllocates) {
  EXPECT_GE(peak_of([] { (void)Buffer::allocate(1 << 20); }), std::size_t{1} << 20);
  EXPECT_LT(peak_of([] {}), 1u);
}

void expect_refused(Bytes batch, std::string_view what) {
  SCOPED_TRACE(what);
  const std::size_t peak = peak_of([&] {
    const auto valid = validate_batch(batch, Depth::kRecords);
    EXPECT_FALSE(valid);
    if (!valid) {
      EXPECT_EQ(valid.error().code(), ErrorCode::kMalformed) << valid.error().to_string();
    }
    EXPECT_FALSE(read_all(batch));
  });
  EXPECT_LT(peak, kSmallChange);
}

std::string record_of(const ByteWriter& body) {
  ByteWriter record;
  record.varint(static_cast<std::int64_t>(body.size())).raw(body.bytes());
  return std::string(as_text(record.bytes()));
}

ByteWriter start_of_a_record() {
  ByteWriter body;
  body.be(std::int8_t{0}).varint(0).varint(0);
  return body;
}

TEST(AnnouncedLengths, OfARecordKeyValueAndHeadersAreHeldAgainstTheBytes) {
  for (const std::int64_t huge :
       {std::int64_t{kHuge}, std::int64_t{kHuge} - 1, std::int64_t{100}, std::int64_t{-2},
        std::int64_t{-kHuge} - 1, std::int64_t{1} << 40, std::int64_t{-1} << 63}) {
    SCOPED_TRACE(huge);
    const std::string padding(20, '\0');
    ByteWriter record;
    record.varint(huge).raw(as_bytes(padding));
    expect_refused(batch_around(record.bytes(), 1).bytes(), "record");

    ByteWriter key = start_of_a_record();
    key.varint(huge).raw(as_bytes(padding));
    expect_refused(batch_around(as_bytes(record_of(key)), 1).bytes(), "key");

    ByteWriter value = start_of_a_record();
    value.varint(-1).varint(huge).raw(as_bytes(padding));
    expect_refused(batch_around(as_bytes(record_of(value)), 1).bytes(), "value");

    ByteWriter count = start_of_a_record();
    count.varint(-1).varint(-1).varint(huge).raw(as_bytes(padding));
    expect_refused(batch_around(as_bytes(record_of(count)), 1).bytes(), "header count");

    ByteWriter header_key = start_of_a_record();
    header_key.varint(-1).varint(-1).varint(1).varint(huge).raw(as_bytes(padding));
    expect_refused(batch_around(as_bytes(record_of(header_key)), 1).bytes(), "header key");

    ByteWriter header_value = start_of_a_record();
    header_value.varint(-1).varint(-1).varint(1).varint(0).varint(huge).raw(as_bytes(padding));
    expect_refused(batch_around(as_bytes(record_of(header_value)), 1).bytes(), "header value");
  }
}

TEST(AnnouncedLengths, AHeaderNeedsAKey) {
  ByteWriter body = start_of_a_record();
  body.varint(-1).varint(-1).varint(1).varint(-1).varint(-1);
  expect_refused(batch_around(as_bytes(record_of(body)), 1).bytes(), "null key");
}

TEST(AnnouncedLengths, ARecordEndsWithItsHeaders) {
  ByteWriter body = start_of_a_record();
  body.varint(-1).varint(-1).varint(0);
  EXPECT_TRUE(read_all(batch_around(as_bytes(record_of(body)), 1).bytes()));
  body.be(std::uint8_t{0});
  expect_refused(batch_around(as_bytes(record_of(body)), 1).bytes(), "one byte more");
}

TEST(AnnouncedLengths, OffsetDeltasCountUpFromZero) {
  const auto record_at = [](std::int32_t delta) {
    ByteWriter body;
    body.be(std::int8_t{0}).varint(0).varint(delta).varint(-1).varint(-1).varint(0);
    return record_of(body);
  };
  EXPECT_TRUE(read_all(batch_around(as_bytes(record_at(0) + record_at(1)), 2).bytes()));
  for (const auto& [first, second] : {std::pair{0, 0}, {0, 2}, {1, 2}, {1, 0}, {0, -1}, {-1, 0}}) {
    const std::string records = record_at(first) + record_at(second);
    expect_refused(batch_around(as_bytes(records), 2).bytes(), "deltas");
  }
}

TEST(AnnouncedLengths, MoreHeadersThanTheLimitAreRefusedThoughTheirBytesAreThere) {
  ByteWriter body = start_of_a_record();
  const std::size_t headers = kMaxRecordHeaders + 1;
  body.varint(-1).varint(-1).varint(static_cast<std::int64_t>(headers));
  for (std::size_t i = 0; i < headers; ++i) body.varint(0).varint(-1);
  expect_refused(batch_around(as_bytes(record_of(body)), 1).bytes(), "65537 headers");
}

TEST(AnnouncedLengths, ARecordCountIsHeldAgainstTheBytesWithoutReadingThem) {
  std::vector<OwnedRecord> records = sample_records();
  records.pop_back();  // Larger than what a refusal may allocate.
  const Buffer batch = batch_of(records);
  const auto with_count = [&](std::int32_t count, std::int32_t last_delta) {
    Buffer changed = Buffer::copy_of(batch.bytes());
    store_be(changed.mutable_data() + 57, count);
    store_be(changed.mutable_data() + 23, last_delta);
    seal(changed.mutable_bytes());
    return changed;
  };
  const auto fits = static_cast<std::int32_t>((batch.size() - kBatchHeaderBytes) / kMinRecordBytes);
  EXPECT_TRUE(validate_batch(with_count(fits, fits - 1).bytes(), Depth::kCrc));
  EXPECT_FALSE(validate_batch(with_count(fits + 1, fits).bytes(), Depth::kCrc));
  for (const std::int32_t count : {kHuge, 0, -1, -kHuge - 1}) {
    const auto last_delta = static_cast<std::int32_t>(std::int64_t{count} - 1);
    expect_refused(with_count(count, last_delta).bytes(), std::to_string(count));
    EXPECT_FALSE(validate_batch(with_count(count, last_delta).bytes(), Depth::kHeader));
  }
  const auto real = static_cast<std::int32_t>(records.size());
  expect_refused(with_count(real + 1, real).bytes(), "one too many");
  expect_refused(with_count(real - 1, real - 2).bytes(), "one too few");
  const Buffer gap = with_count(real, real);
  EXPECT_FALSE(validate_batch(gap.bytes(), Depth::kHeader)) << "nobody may send it";
  EXPECT_TRUE(read_all(gap.bytes())) << "compaction may leave it";
}

TEST(AnnouncedLengths, ACompressedBatchCountsAtMostWhatItMayDecompressTo) {
  const Buffer payload = *compress(Codec::kZstd, as_bytes("x"));
  const auto most = static_cast<std::int32_t>(kMaxDecompressedBytes / kMinRecordBytes);
  EXPECT_TRUE(
      validate_batch(batch_around(payload.bytes(), most, Codec::kZstd).bytes(), Depth::kCrc));
  EXPECT_FALSE(validate_batch(batch_around(payload.bytes(), most + 1, Codec::kZstd).bytes(),
                              Depth::kHeader));
}

TEST(AnnouncedLengths, OtherMagicsAndCodecsAreRefused) {
  Buffer batch = batch_of(sample_records());
  for (const int magic : {0, 1}) {
    store_be(batch.mutable_data() + 16, static_cast<std::int8_t>(magic));
    const auto result = validate_batch(batch.bytes(), Depth::kHeader);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), ErrorCode::kUnsupported);
  }
  store_be(batch.mutable_data() + 16, std::int8_t{3});
  expect_refused(batch.bytes(), "magic 3");
  store_be(batch.mutable_data() + 16, kBatchMagic);
  for (const int codec : {5, 6, 7}) {
    store_be(batch.mutable_data() + 21, static_cast<std::uint16_t>(codec));
    seal(batch.mutable_bytes());
    expect_refused(batch.bytes(), "codec");
  }
}

// Bombs: the most output for the least input that each format can carry.

constexpr std::size_t kBomb = 128u << 20;
static_assert(kBomb > kMaxDecompressedBytes);

std::string gzip_bomb() {
  z_stream z{};
  EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string zeros(1 << 20, '\0'), out(kBomb / 900, '\0');
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  for (std::size_t at = 0; at < kBomb; at += zeros.size()) {
    z.next_in = reinterpret_cast<Bytef*>(zeros.data());
    z.avail_in = static_cast<uInt>(zeros.size());
    EXPECT_EQ(deflate(&z, Z_NO_FLUSH), Z_OK);
  }
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// One raw block of copies of 64 bytes from the byte before: 3 bytes each.
std::string snappy_bomb() {
  ByteWriter out;
  out.uvarint(kBomb).le(std::uint8_t{0}).le(std::uint8_t{'x'});  // a literal of one byte
  const std::string_view copy_64("\xfe\x01\x00", 3);
  for (std::size_t at = 1; at + 64 <= kBomb; at += 64) out.raw(as_bytes(copy_64));
  const std::string_view copy_63("\xfa\x01\x00", 3);
  return out.raw(as_bytes(copy_63)).take();
}

/// Many frames of 4 MiB blocks: 255 bytes for each byte of a run's length.
std::string lz4_bomb() {
  LZ4F_preferences_t options{};
  options.frameInfo.blockSizeID = LZ4F_max4MB;
  const std::string zeros(64 << 20, '\0');
  std::string frame(LZ4F_compressFrameBound(zeros.size(), &options), '\0');
  frame.resize(
      LZ4F_compressFrame(frame.data(), frame.size(), zeros.data(), zeros.size(), &options));
  std::string out;
  for (std::size_t at = 0; at < kBomb; at += zeros.size()) out += frame;
  return out;
}

/// A frame without its size, of blocks that repeat one byte 128 KiB times: 4 bytes each.
std::string zstd_bomb() {
  ByteWriter out;
  // Magic; no content size; a window of 128 KiB (2^(10 + 7)).
  out.le(std::uint32_t{0xfd2fb528}).le(std::uint8_t{0}).le(std::uint8_t{7 << 3});
  constexpr std::uint32_t kBlock = 128 << 10;
  for (std::size_t at = 0; at < kBomb; at += kBlock) {
    const bool last = at + kBlock >= kBomb;
    const std::uint32_t header = (kBlock << 3) | (1u << 1) | (last ? 1u : 0u);
    out.le(static_cast<std::uint16_t>(header)).le(static_cast<std::uint8_t>(header >> 16));
    out.le(std::uint8_t{'x'});
  }
  return out.take();
}

struct Bomb {
  Codec codec;
  std::string bytes;
  std::size_t least_ratio;
};

const std::vector<Bomb>& bombs() {
  static const std::vector<Bomb> all = {{Codec::kGzip, gzip_bomb(), 1000},
                                        {Codec::kSnappy, snappy_bomb(), 21},
                                        {Codec::kLz4, lz4_bomb(), 250},
                                        {Codec::kZstd, zstd_bomb(), 32'000}};
  return all;
}

TEST(Bombs, StopAtTheLimitWithBoundedMemory) {
  for (const Bomb& bomb : bombs()) {
    SCOPED_TRACE(name_of(bomb.codec));
    EXPECT_GE(kBomb / bomb.bytes.size(), bomb.least_ratio);
    for (const std::size_t limit : {std::size_t{0}, std::size_t{1}, std::size_t{100'000},
                                    std::size_t{8} << 20, kMaxDecompressedBytes}) {
      SCOPED_TRACE(limit);
      const std::size_t peak = peak_of([&] {
        const auto out = decompress(bomb.codec, as_bytes(bomb.bytes), limit);
        ASSERT_FALSE(out);
        EXPECT_EQ(out.error().code(), ErrorCode::kRecordTooLarge) << out.error().to_string();
      });
      EXPECT_LT(peak, 2 * limit + kSmallChange);
    }
  }
}

TEST(Bombs, AreValidDataThatALargerLimitTakes) {
  // Otherwise the test above could pass on bytes that are merely broken.
  for (const Bomb& bomb : bombs()) {
    SCOPED_TRACE(name_of(bomb.codec));
    const auto out = decompress(bomb.codec, as_bytes(bomb.bytes), kBomb);
    ASSERT_TRUE(out) << out.error().to_string();
    EXPECT_EQ(out->size(), kBomb);
    const auto short_by_one = decompress(bomb.codec, as_bytes(bomb.bytes), kBomb - 1);
    ASSERT_FALSE(short_by_one);
    EXPECT_EQ(short_by_one.error().code(), ErrorCode::kRecordTooLarge);
  }
}

TEST(Bombs, InABatchAreRefusedByTheReader) {
  for (const Bomb& bomb : bombs()) {
    SCOPED_TRACE(name_of(bomb.codec));
    const Buffer batch = batch_around(as_bytes(bomb.bytes), 1, bomb.codec);
    EXPECT_TRUE(validate_batch(batch.bytes(), Depth::kCrc)) << "which does not decompress";
    const auto deep = validate_batch(batch.bytes(), Depth::kRecords);
    ASSERT_FALSE(deep);
    EXPECT_EQ(deep.error().code(), ErrorCode::kRecordTooLarge);
    const std::size_t peak = peak_of([&] { EXPECT_FALSE(read_all(batch.bytes(), 1 << 20)); });
    EXPECT_LT(peak, (2u << 20) + kSmallChange);
  }
}

TEST(Bombs, ASnappyLengthIsBelievedOnlyAsFarAsItsBytesReach) {
  ByteWriter raw;
  raw.uvarint(60u << 20).raw(as_bytes(std::string_view("\xfe\x01\x00", 3)));
  const std::size_t peak = peak_of([&] {
    const auto out = decompress(Codec::kSnappy, raw.bytes(), kMaxDecompressedBytes);
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code(), ErrorCode::kMalformed);
  });
  EXPECT_LT(peak, kSmallChange);
}

TEST(Bombs, NoBufferIsAsLargeAsAnAnnouncedContentSize) {
  // zstd: magic, an 8-byte content size in a single segment, which makes it the window, too.
  ByteWriter zstd;
  zstd.le(std::uint32_t{0xfd2fb528}).le(std::uint8_t{0xe0}).le(std::uint64_t{60u << 20});
  zstd.le(std::uint16_t{(1 << 3) | 1}).le(std::uint8_t{0}).le(std::uint8_t{'x'});  // 1 byte, last
  // lz4: a frame whose header says 60 MiB, then nothing.
  LZ4F_preferences_t options{};
  options.frameInfo.contentSize = 60u << 20;
  LZ4F_cctx* context = nullptr;
  ASSERT_FALSE(LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)));
  std::string lz4(LZ4F_HEADER_SIZE_MAX, '\0');
  lz4.resize(LZ4F_compressBegin(context, lz4.data(), lz4.size(), &options));
  LZ4F_freeCompressionContext(context);
  for (const auto& [codec, bytes] :
       {std::pair{Codec::kZstd, std::string(as_text(zstd.bytes()))}, std::pair{Codec::kLz4, lz4}}) {
    SCOPED_TRACE(name_of(codec));
    const std::size_t peak = peak_of([&, &c = codec, &b = bytes] {
      const auto out = decompress(c, as_bytes(b), kMaxDecompressedBytes);
      ASSERT_FALSE(out);
      EXPECT_EQ(out.error().code(), ErrorCode::kMalformed) << out.error().to_string();
    });
    EXPECT_LT(peak, kSmallChange);
  }
}

/// An empty frame that asks for a window of 2^log bytes.
std::string zstd_with_window(int log) {
  ByteWriter out;
  out.le(std::uint32_t{0xfd2fb528}).le(std::uint8_t{0});
  out.le(static_cast<std::uint8_t>((log - 10) << 3));
  return out.le(std::uint16_t{1}).le(std::uint8_t{0}).take();
}

TEST(Bombs, AZstdWindowIsAtMostTheLimitOr8MiB) {
  const auto takes = [](int log, std::size_t limit) {
    const auto out = decompress(Codec::kZstd, as_bytes(zstd_with_window(log)), limit);
    if (!out) {
      EXPECT_EQ(out.error().code(), ErrorCode::kRecordTooLarge) << out.error().to_string();
    }
    return out.has_value();
  };
  for (const std::size_t limit : {0u, 1u, 1000u, 8u << 20}) {
    EXPECT_TRUE(takes(23, limit)) << limit;
    EXPECT_FALSE(takes(24, limit)) << limit;
  }
  EXPECT_TRUE(takes(24, (8u << 20) + 1));
  EXPECT_TRUE(takes(26, kMaxDecompressedBytes));
  EXPECT_FALSE(takes(27, kMaxDecompressedBytes));
  EXPECT_FALSE(takes(28, std::size_t{1} << 30)) << "128 MiB is the most, whatever the limit";
}

}  // namespace
}  // namespace runnel::protocol
