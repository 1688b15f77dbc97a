// What other writers of the four formats may send, and the limits at their exact borders.
#include "protocol/record_batch/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/protocol/record_batch/samples.h"

namespace runnel::protocol {
namespace {

/// Half noise, half repeats: compresses, and takes several blocks of every codec.
std::string sample_text(std::size_t size) {
  std::mt19937_64 engine(11);
  std::string text = random_text(engine, size / 2);
  while (text.size() < size) text += "a line that repeats itself\n";
  text.resize(size);
  return text;
}

std::string compressed(Codec codec, std::string_view text, int level = 0) {
  const auto out = compress(codec, as_bytes(text), level);
  EXPECT_TRUE(out) << name_of(codec);
  return out ? std::string(as_text(out->bytes())) : std::string();
}

void expect_text(Codec codec, std::string_view bytes, std::string_view text) {
  const auto out = decompress(codec, as_bytes(bytes), kMaxDecompressedBytes);
  ASSERT_TRUE(out) << name_of(codec) << ": " << out.error().to_string();
  EXPECT_TRUE(as_text(out->bytes()) == text) << name_of(codec);
}

void expect_error(Codec codec, std::string_view bytes, ErrorCode expected,
                  std::size_t limit = kMaxDecompressedBytes) {
  const auto out = decompress(codec, as_bytes(bytes), limit);
  ASSERT_FALSE(out) << name_of(codec);
  EXPECT_EQ(out.error().code(), expected) << out.error().to_string();
  EXPECT_NE(out.error().message().find(name_of(codec)), std::string::npos);
}

TEST(Compression, MakesTheRoundTripAtSizesAroundEveryBlock) {
  const std::string text = sample_text((256 << 10) + 1);
  for (const Codec codec : kAllCodecs) {
    for (const std::size_t size : {0u, 1u, 2u, 4095u, 4096u, 4097u, 32'767u, 32'768u, 32'769u,
                                   65'536u, 65'537u, 131'072u, 131'073u, 262'145u}) {
      const auto part = std::string_view(text).substr(text.size() - size);
      expect_text(codec, compressed(codec, part), part);
    }
  }
}

TEST(Compression, TakesExactlyTheLimitAndNotAByteMore) {
  for (const std::size_t size : {1u, 4096u, 32'768u, 100'000u, 262'144u}) {
    const std::string text = sample_text(size);
    for (const Codec codec : kAllCodecs) {
      const std::string bytes = compressed(codec, text);
      const auto exact = decompress(codec, as_bytes(bytes), size);
      ASSERT_TRUE(exact) << name_of(codec) << " " << size << exact.error().to_string();
      EXPECT_TRUE(as_text(exact->bytes()) == text);
      expect_error(codec, bytes, ErrorCode::kRecordTooLarge, size - 1);
      expect_error(codec, bytes, ErrorCode::kRecordTooLarge, 0);
    }
  }
}

TEST(Compression, NothingCompressesToSomethingThatFitsAnyLimit) {
  for (const Codec codec : kAllCodecs) {
    const auto out = decompress(codec, as_bytes(compressed(codec, "")), 0);
    ASSERT_TRUE(out) << name_of(codec) << out.error().to_string();
    EXPECT_TRUE(out->empty());
  }
}

TEST(Compression, CutAtEveryByteIsMalformed) {
  const std::string text = sample_text(700);
  for (const Codec codec : kCompressingCodecs) {
    const std::string bytes = compressed(codec, text);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      // The sixteen bytes of xerial's header alone are a stream of no chunks.
      if (codec == Codec::kSnappy && size == 16) continue;
      SCOPED_TRACE(size);
      expect_error(codec, std::string_view(bytes).substr(0, size), ErrorCode::kMalformed);
    }
  }
}

TEST(Compression, BytesBehindTheEndAreMalformed) {
  for (const Codec codec : kCompressingCodecs) {
    expect_error(codec, compressed(codec, "some text") + "x", ErrorCode::kMalformed);
    expect_error(codec, compressed(codec, "some text") + std::string(20, '\0'),
                 ErrorCode::kMalformed);
  }
}

TEST(Compression, NoiseIsMalformedOrTooLarge) {
  for_each_engine(500, 300, [](std::mt19937_64& engine) {
    const std::string noise = random_text(engine, 1 + up_to(engine, 200));
    for (const Codec codec : kCompressingCodecs) {
      const auto out = decompress(codec, as_bytes(noise), 1 << 20);
      // A raw snappy block has no magic and no checksum: noise may be one.
      if (codec != Codec::kSnappy) {
        EXPECT_FALSE(out) << name_of(codec);
      }
    }
  });
}

TEST(Compression, DamageIsAnErrorOrOtherBytesButNeverMoreThanTheLimit) {
  const std::string text = sample_text(40'000);
  for_each_engine(600, 500, [&](std::mt19937_64& engine) {
    for (const Codec codec : kCompressingCodecs) {
      std::string bytes = compressed(codec, text);
      bytes[up_to(engine, bytes.size() - 1)] ^= static_cast<char>(1 + up_to(engine, 254));
      bytes[up_to(engine, 30)] ^= static_cast<char>(up_to(engine, 1));
      const auto out = decompress(codec, as_bytes(bytes), 50'000);
      if (out) {
        EXPECT_LE(out->size(), 50'000u);
      }
    }
  });
}

TEST(Gzip, SeveralMembersAreOneText) {
  const std::string a = sample_text(5000), b = "second", c = sample_text(100'000);
  const std::string bytes = compressed(Codec::kGzip, a) + compressed(Codec::kGzip, b) +
                            compressed(Codec::kGzip, "") + compressed(Codec::kGzip, c);
  expect_text(Codec::kGzip, bytes, a + b + c);
  expect_error(Codec::kGzip, bytes, ErrorCode::kRecordTooLarge, a.size());
  expect_error(Codec::kGzip, bytes, ErrorCode::kRecordTooLarge, (a + b + c).size() - 1);
  // A member whose end fills the limit, then members of nothing: still within it.
  const auto exact = decompress(
      Codec::kGzip, as_bytes(compressed(Codec::kGzip, a) + compressed(Codec::kGzip, "")), a.size());
  EXPECT_TRUE(exact);
  // The second member is checked like the first: its checksum is eight bytes from the end.
  std::string damaged = compressed(Codec::kGzip, a) + compressed(Codec::kGzip, b);
  damaged[damaged.size() - 8] ^= 1;
  expect_error(Codec::kGzip, damaged, ErrorCode::kMalformed);
  expect_error(Codec::kGzip, std::string_view(damaged).substr(0, damaged.size() - 12),
               ErrorCode::kMalformed);
}

TEST(Gzip, AZlibStreamIsNoGzip) {
  const std::string text = sample_text(1000);
  std::string zlib(compressBound(text.size()), '\0');
  uLongf size = zlib.size();
  ASSERT_EQ(::compress(reinterpret_cast<Bytef*>(zlib.data()), &size,
                       reinterpret_cast<const Bytef*>(text.data()), text.size()),
            Z_OK);
  zlib.resize(size);
  expect_error(Codec::kGzip, zlib, ErrorCode::kMalformed);
}

std::string raw_snappy(std::string_view text) {
  std::string out;
  snappy::Compress(text.data(), text.size(), &out);
  return out;
}

/// Xerial framing with chunks of the writer's choice.
std::string xerial(std::string_view text, std::size_t chunk, std::int32_t version) {
  ByteWriter out;
  out.raw(as_bytes(std::string_view("\x82SNAPPY\0", 8))).be(version).be(version);
  for (std::size_t at = 0; at < text.size(); at += chunk) {
    const std::string block = raw_snappy(text.substr(at, chunk));
    out.be(static_cast<std::int32_t>(block.size())).raw(as_bytes(block));
  }
  return out.take();
}

TEST(Snappy, RawBlocksAsOtherClientsWriteThem) {
  for (const std::size_t size : {0u, 1u, 1000u, 65'536u, 300'000u}) {
    const std::string text = sample_text(size);
    expect_text(Codec::kSnappy, raw_snappy(text), text);
  }
}

TEST(Snappy, XerialWithAnyChunkSizeAndVersion) {
  const std::string text = sample_text(100'000);
  for (const std::size_t chunk : {1000u, 32'768u, 65'536u, 1'000'000u}) {
    expect_text(Codec::kSnappy, xerial(text, chunk, 1), text);
    expect_text(Codec::kSnappy, xerial(text, chunk, 7), text);
  }
  EXPECT_EQ(compressed(Codec::kSnappy, text), xerial(text, 32 << 10, 1)) << "as Java's clients do";
}

TEST(Snappy, ChunksMustFitTheBytesAndTheLimit) {
  const std::string text = sample_text(10'000);
  std::string bytes = xerial(text, 4000, 1);
  expect_error(Codec::kSnappy, bytes, ErrorCode::kRecordTooLarge, 9999);
  for (const std::int32_t length :
       {-1, 2'000'000'000, std::numeric_limits<std::int32_t>::min(), 0}) {
    std::string changed = bytes;
    store_be(changed.data() + 16, length);
    expect_error(Codec::kSnappy, changed, ErrorCode::kMalformed);
  }
}

TEST(Lz4, FramesOfEveryKind) {
  const std::string text = sample_text(5 << 20);
  for (const auto size : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
    for (const auto mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
      for (const bool extras : {false, true}) {
        LZ4F_preferences_t options{};
        options.frameInfo.blockSizeID = size;
        options.frameInfo.blockMode = mode;
        if (extras) {
          options.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
          options.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
          options.frameInfo.contentSize = text.size();
        }
        std::string out(LZ4F_compressFrameBound(text.size(), &options), '\0');
        const std::size_t written =
            LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &options);
        ASSERT_FALSE(LZ4F_isError(written));
        out.resize(written);
        expect_text(Codec::kLz4, out, text);
      }
    }
  }
}

TEST(Lz4AndZstd, SeveralFramesAreOneText) {
  const std::string a = sample_text(5000), b = "second";
  for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
    expect_text(codec, compressed(codec, a) + compressed(codec, "") + compressed(codec, b), a + b);
    expect_error(codec, compressed(codec, a) + compressed(codec, b), ErrorCode::kRecordTooLarge,
                 a.size());
  }
}

TEST(Zstd, StreamsWithoutAContentSizeAndWithAChecksum) {
  const std::string text = sample_text(300'000);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string out(ZSTD_compressBound(text.size()) + 64, '\0');
  ZSTD_inBuffer from{text.data(), text.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  EXPECT_FALSE(ZSTD_isError(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush)));
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  expect_text(Codec::kZstd, out, text);
  out.back() ^= 1;
  expect_error(Codec::kZstd, out, ErrorCode::kMalformed);
}

TEST(Compression, AnUnknownCodecIsRefused) {
  expect_error(static_cast<Codec>(7), "x", ErrorCode::kMalformed);
  const auto out = compress(static_cast<Codec>(7), as_bytes("x"));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), ErrorCode::kInvalidArgument);
}

TEST(CompressedHead, OfEveryCodecsOwnOutputIsGood) {
  for (const Codec codec : kAllCodecs) {
    for (const std::size_t size : {1u, 1000u, 200'000u}) {
      const std::string bytes = compressed(codec, sample_text(size));
      const Status valid = check_compressed_head(codec, as_bytes(bytes));
      EXPECT_TRUE(valid) << name_of(codec) << " " << size << ": " << valid.error().to_string();
    }
  }
  std::string raw;
  snappy::Compress("a", 1, &raw);
  EXPECT_TRUE(check_compressed_head(Codec::kSnappy, as_bytes(raw))) << "without xerial's frame";
}

TEST(CompressedHead, OfAnotherCodecOrOfNothingIsNot) {
  for (const Codec codec : {Codec::kGzip, Codec::kLz4, Codec::kZstd}) {
    for (const Codec other : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
      if (codec == other) continue;
      const std::string bytes = compressed(other, sample_text(1000));
      EXPECT_FALSE(check_compressed_head(codec, as_bytes(bytes)))
          << name_of(other) << " taken for " << name_of(codec);
    }
  }
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    EXPECT_FALSE(check_compressed_head(codec, {})) << name_of(codec);
  }
  EXPECT_FALSE(check_compressed_head(Codec::kSnappy, as_bytes("\xff\xff\xff\xff\xff\xff")));
}

TEST(CompressedHead, Lz4BlocksMustNotBeLinked) {
  LZ4F_preferences_t options{};
  options.frameInfo.blockMode = LZ4F_blockLinked;
  const std::string text = sample_text(200'000);
  std::string out(LZ4F_compressFrameBound(text.size(), &options), '\0');
  const std::size_t size =
      LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &options);
  ASSERT_FALSE(LZ4F_isError(size));
  out.resize(size);
  const Status valid = check_compressed_head(Codec::kLz4, as_bytes(out));
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().code(), ErrorCode::kMalformed);
  EXPECT_NE(valid.error().message().find("linked"), std::string::npos);
  expect_text(Codec::kLz4, out, text);  // what stands in a log from before can still be read
}

}  // namespace
}  // namespace runnel::protocol
