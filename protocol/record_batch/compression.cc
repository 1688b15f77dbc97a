#include "protocol/record_batch/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

namespace runnel::protocol {
namespace {

// The codecs count in 32 bits; no batch comes near this.
constexpr std::size_t kMaxInputBytes = 1u << 30;
constexpr std::size_t kLeastChunkBytes = 4096;
constexpr std::size_t kExpectedRatio = 4;
constexpr int kGzipWindowBits = 15 + 16;  // 16: a gzip header, not zlib's
// Every decoder of zstd is expected to offer this window, whatever the output's limit.
constexpr int kLeastWindowLog = 23;
constexpr int kMostWindowLog = 27;
constexpr std::array<unsigned char, 8> kXerialMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kXerialHeaderBytes = 16;
constexpr std::size_t kXerialChunkBytes = 32 << 10;
// snappy's densest element is a copy: 3 bytes that stand for 64.
constexpr std::size_t kSnappyMaxRatio = 22;

tl::unexpected<Error> broken(Codec codec, std::string_view why) {
  return fail(ErrorCode::kMalformed, std::string(name_of(codec)) + " data: " + std::string(why));
}
tl::unexpected<Error> too_large(Codec codec, std::size_t max_bytes) {
  return fail(ErrorCode::kRecordTooLarge,
              std::string(name_of(codec)) + " data decompresses to more than the " +
                  std::to_string(max_bytes) + " bytes allowed; send smaller batches");
}
tl::unexpected<Error> refused(Codec codec, std::string_view why) {
  return fail(ErrorCode::kInternal,
              std::string(name_of(codec)) + " refused to compress: " + std::string(why));
}

// Where decompressed bytes go: grows by doubling, never past its limit; while it grows, the old and
// the new buffer are both held. Once full it offers one byte more, so that "exactly the limit" can
// be told from "over it".
class Output {
 public:
  Output(std::size_t limit, std::size_t expected)
      : limit_(limit), buffer_(Buffer::allocate(std::min(limit, expected))) {}

  // At least `least` bytes, which must be left unless it is one.
  [[nodiscard]] MutableBytes room(std::size_t least = 1) {
    if (used_ == limit_) return {&spill_, 1};
    if (buffer_.size() - used_ < least) {
      Buffer larger = Buffer::allocate(
          std::min(limit_, std::max({used_ * 2, used_ + least, kLeastChunkBytes})));
      std::copy_n(buffer_.data(), used_, larger.mutable_data());
      buffer_ = std::move(larger);
    }
    return buffer_.mutable_bytes().subspan(used_);
  }
  void commit(std::size_t bytes) { used_ += bytes; }
  [[nodiscard]] std::size_t left() const { return limit_ - used_; }
  [[nodiscard]] bool over() const { return used_ > limit_; }
  [[nodiscard]] Buffer take() { return buffer_.slice(0, used_); }

 private:
  std::size_t limit_;
  Buffer buffer_;
  std::size_t used_ = 0;
  std::byte spill_{};
};

std::size_t expected_bytes(Bytes bytes) {
  return std::max(kLeastChunkBytes, bytes.size() * kExpectedRatio);
}

Bytef* zlib_bytes(const std::byte* p) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(p));
}

Result<Buffer> gzip_compress(Bytes bytes, int level) {
  if (level < 0 || level > Z_BEST_COMPRESSION) {
    return fail(ErrorCode::kInvalidArgument,
                "gzip level " + std::to_string(level) + " is not 1 to 9 (0: the default)");
  }
  z_stream z{};
  if (deflateInit2(&z, level == 0 ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED, kGzipWindowBits, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return refused(Codec::kGzip, "no memory");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&z, &deflateEnd);
  Buffer out = Buffer::allocate(deflateBound(&z, bytes.size()));
  z.next_in = zlib_bytes(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = zlib_bytes(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) return refused(Codec::kGzip, "no end of stream");
  return out.slice(0, z.total_out);
}

Result<Buffer> gzip_decompress(Bytes bytes, std::size_t max_bytes) {
  z_stream z{};
  if (inflateInit2(&z, kGzipWindowBits) != Z_OK) {
    return fail(ErrorCode::kInternal, "gzip data: no memory to decompress it");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&z, &inflateEnd);
  Output out(max_bytes, expected_bytes(bytes));
  z.next_in = zlib_bytes(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  while (true) {
    const MutableBytes room = out.room();
    z.next_out = zlib_bytes(room.data());
    z.avail_out = static_cast<uInt>(std::min(room.size(), kMaxInputBytes));
    const uInt offered = z.avail_out;
    const int rc = inflate(&z, Z_NO_FLUSH);
    out.commit(offered - z.avail_out);
    if (out.over()) return too_large(Codec::kGzip, max_bytes);
    if (rc == Z_STREAM_END) {
      if (z.avail_in == 0) return out.take();
      // gzip data may be several members in a row.
      if (inflateReset(&z) != Z_OK) return broken(Codec::kGzip, "a member does not begin");
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
      return broken(Codec::kGzip, z.msg != nullptr ? z.msg : "not a gzip stream");
    } else if (z.avail_in == 0 && z.avail_out > 0) {
      return broken(Codec::kGzip, "it ends early");
    }
  }
}

Result<Buffer> snappy_compress(Bytes bytes) {
  const std::size_t chunks = (bytes.size() + kXerialChunkBytes - 1) / kXerialChunkBytes;
  const std::size_t bound = 4 + snappy::MaxCompressedLength(kXerialChunkBytes);
  Buffer out = Buffer::allocate(kXerialHeaderBytes + chunks * bound);
  std::byte* p = out.mutable_data();
  std::memcpy(p, kXerialMagic.data(), kXerialMagic.size());
  store_be(p + 8, std::int32_t{1});   // version
  store_be(p + 12, std::int32_t{1});  // oldest compatible version
  p += kXerialHeaderBytes;
  for (std::size_t at = 0; at < bytes.size(); at += kXerialChunkBytes) {
    const auto chunk = as_text(bytes.subspan(at, std::min(kXerialChunkBytes, bytes.size() - at)));
    std::size_t size = 0;
    snappy::RawCompress(chunk.data(), chunk.size(), reinterpret_cast<char*>(p + 4), &size);
    store_be(p, static_cast<std::int32_t>(size));
    p += 4 + size;
  }
  return out.slice(0, static_cast<std::size_t>(p - out.data()));
}

// One raw snappy block; its announced size is believed only as far as its bytes can carry it.
Status snappy_block(Bytes bytes, std::size_t max_bytes, Output& out) {
  const std::string_view in = as_text(bytes);
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(in.data(), in.size(), &size)) {
    return broken(Codec::kSnappy, "no valid length at its start");
  }
  if (size > out.left()) return too_large(Codec::kSnappy, max_bytes);
  if (size > in.size() * kSnappyMaxRatio) {
    return broken(Codec::kSnappy, "it announces more than its bytes can hold");
  }
  const MutableBytes room = out.room(size);
  if (!snappy::RawUncompress(in.data(), in.size(), reinterpret_cast<char*>(room.data()))) {
    return broken(Codec::kSnappy, "a block does not decompress");
  }
  out.commit(size);
  return {};
}

Result<Buffer> snappy_decompress(Bytes bytes, std::size_t max_bytes) {
  const bool framed = bytes.size() >= kXerialHeaderBytes &&
                      std::memcmp(bytes.data(), kXerialMagic.data(), kXerialMagic.size()) == 0;
  Output out(max_bytes, kLeastChunkBytes);
  if (!framed) {
    RUNNEL_TRY(snappy_block(bytes, max_bytes, out));
    return out.take();
  }
  ByteReader in(bytes.subspan(kXerialHeaderBytes));
  while (!in.at_end()) {
    const auto size = in.be<std::int32_t>();
    if (!in.ok() || size < 0) return broken(Codec::kSnappy, "a chunk's length is not valid");
    const Bytes block = in.take(static_cast<std::size_t>(size));
    if (!in.ok()) return broken(Codec::kSnappy, "a chunk is longer than the bytes that remain");
    RUNNEL_TRY(snappy_block(block, max_bytes, out));
  }
  return out.take();
}

Result<Buffer> lz4_compress(Bytes bytes, int level) {
  LZ4F_preferences_t options{};
  options.frameInfo.blockSizeID = LZ4F_max64KB;
  options.frameInfo.blockMode = LZ4F_blockIndependent;  // Java clients read no other.
  options.compressionLevel = level;
  Buffer out = Buffer::allocate(LZ4F_compressFrameBound(bytes.size(), &options));
  const std::size_t size =
      LZ4F_compressFrame(out.mutable_data(), out.size(), bytes.data(), bytes.size(), &options);
  if (LZ4F_isError(size)) return refused(Codec::kLz4, LZ4F_getErrorName(size));
  return out.slice(0, size);
}

Result<Buffer> lz4_decompress(Bytes bytes, std::size_t max_bytes) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) {
    return fail(ErrorCode::kInternal, "lz4 data: no memory to decompress it");
  }
  const std::unique_ptr<LZ4F_dctx, LZ4F_errorCode_t (*)(LZ4F_dctx*)> context(
      raw, &LZ4F_freeDecompressionContext);
  Output out(max_bytes, expected_bytes(bytes));
  while (true) {
    const MutableBytes room = out.room();
    std::size_t written = room.size();
    std::size_t read = bytes.size();
    const std::size_t rc =
        LZ4F_decompress(context.get(), room.data(), &written, bytes.data(), &read, nullptr);
    if (LZ4F_isError(rc)) return broken(Codec::kLz4, LZ4F_getErrorName(rc));
    bytes = bytes.subspan(read);
    out.commit(written);
    if (out.over()) return too_large(Codec::kLz4, max_bytes);
    if (rc == 0 && bytes.empty()) return out.take();
    if (read == 0 && written == 0) return broken(Codec::kLz4, "it ends early");
  }
}

Result<Buffer> zstd_compress(Bytes bytes, int level) {
  Buffer out = Buffer::allocate(ZSTD_compressBound(bytes.size()));
  const std::size_t size = ZSTD_compress(out.mutable_data(), out.size(), bytes.data(), bytes.size(),
                                         level == 0 ? ZSTD_CLEVEL_DEFAULT : level);
  if (ZSTD_isError(size)) return refused(Codec::kZstd, ZSTD_getErrorName(size));
  return out.slice(0, size);
}

Result<Buffer> zstd_decompress(Bytes bytes, std::size_t max_bytes) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        &ZSTD_freeDCtx);
  if (!context) return fail(ErrorCode::kInternal, "zstd data: no memory to decompress it");
  // The decoder allocates the window that a frame asks for.
  const int window = std::clamp(static_cast<int>(std::bit_width(max_bytes - (max_bytes > 0))),
                                kLeastWindowLog, kMostWindowLog);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, window);
  Output out(max_bytes, expected_bytes(bytes));
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  while (true) {
    const MutableBytes room = out.room();
    ZSTD_outBuffer to{room.data(), room.size(), 0};
    const std::size_t read_before = in.pos;
    const std::size_t rc = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(rc)) {
      if (ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge) {
        return too_large(Codec::kZstd, max_bytes);
      }
      return broken(Codec::kZstd, ZSTD_getErrorName(rc));
    }
    out.commit(to.pos);
    if (out.over()) return too_large(Codec::kZstd, max_bytes);
    if (rc == 0 && in.pos == in.size) return out.take();
    if (in.pos == read_before && to.pos == 0) return broken(Codec::kZstd, "it ends early");
  }
}

Status check_gzip_head(Bytes bytes) {
  constexpr std::array<unsigned char, 3> kMagic = {0x1f, 0x8b, 8};  // 8: deflate
  if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return broken(Codec::kGzip, "it does not begin with gzip's magic bytes");
  return {};
}

Status check_snappy_head(Bytes bytes) {
  if (bytes.size() >= kXerialMagic.size() &&
      std::memcmp(bytes.data(), kXerialMagic.data(), kXerialMagic.size()) == 0) {
    if (bytes.size() < kXerialHeaderBytes) return broken(Codec::kSnappy, "it ends in its header");
    return {};
  }
  std::size_t size = 0;
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  if (!snappy::GetUncompressedLength(data, bytes.size(), &size)) {
    return broken(Codec::kSnappy, "it begins neither with a block's length nor as xerial's do");
  }
  return {};
}

Status check_lz4_head(Bytes bytes) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) {
    return fail(ErrorCode::kInternal, "lz4 data: no memory to read its header");
  }
  const std::unique_ptr<LZ4F_dctx, LZ4F_errorCode_t (*)(LZ4F_dctx*)> context(
      raw, &LZ4F_freeDecompressionContext);
  LZ4F_frameInfo_t frame{};
  std::size_t read = bytes.size();
  const std::size_t rc = LZ4F_getFrameInfo(context.get(), &frame, bytes.data(), &read);
  if (LZ4F_isError(rc)) return broken(Codec::kLz4, LZ4F_getErrorName(rc));
  if (frame.frameType != LZ4F_frame) return broken(Codec::kLz4, "it begins with a skippable frame");
  if (frame.blockMode != LZ4F_blockIndependent) {
    return broken(Codec::kLz4, "its blocks are linked, which Java clients can't read");
  }
  if (frame.dictID != 0) return broken(Codec::kLz4, "it needs a dictionary");
  return {};
}

Status check_zstd_head(Bytes bytes) {
  const auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) {
    return broken(Codec::kZstd, "it does not begin with a frame's header");
  }
  if (ZSTD_getDictID_fromFrame(bytes.data(), bytes.size()) != 0) {
    return broken(Codec::kZstd, "it needs a dictionary");
  }
  return {};
}

Status check_input(Codec codec, Bytes bytes) {
  if (bytes.size() > kMaxInputBytes) {
    return fail(ErrorCode::kRecordTooLarge, std::string(name_of(codec)) + " data of " +
                                                std::to_string(bytes.size()) +
                                                " bytes; at most 1 GiB is handled at once");
  }
  return {};
}

}  // namespace

Result<Buffer> compress(Codec codec, Bytes bytes, int level) {
  RUNNEL_TRY(check_input(codec, bytes));
  switch (codec) {
    case Codec::kNone:
      return Buffer::copy_of(bytes);
    case Codec::kGzip:
      return gzip_compress(bytes, level);
    case Codec::kSnappy:
      return snappy_compress(bytes);
    case Codec::kLz4:
      return lz4_compress(bytes, level);
    case Codec::kZstd:
      return zstd_compress(bytes, level);
  }
  return fail(ErrorCode::kInvalidArgument, "no such codec");
}

Result<Buffer> decompress(Codec codec, Bytes bytes, std::size_t max_bytes) {
  RUNNEL_TRY(check_input(codec, bytes));
  if (bytes.empty() && codec != Codec::kNone) return broken(codec, "there are no bytes");
  switch (codec) {
    case Codec::kNone:
      if (bytes.size() > max_bytes) return too_large(codec, max_bytes);
      return Buffer::copy_of(bytes);
    case Codec::kGzip:
      return gzip_decompress(bytes, max_bytes);
    case Codec::kSnappy:
      return snappy_decompress(bytes, max_bytes);
    case Codec::kLz4:
      return lz4_decompress(bytes, max_bytes);
    case Codec::kZstd:
      return zstd_decompress(bytes, max_bytes);
  }
  return broken(codec, "no such codec");
}

Status check_compressed_head(Codec codec, Bytes bytes) {
  switch (codec) {
    case Codec::kNone:
      return {};
    case Codec::kGzip:
      return check_gzip_head(bytes);
    case Codec::kSnappy:
      return check_snappy_head(bytes);
    case Codec::kLz4:
      return check_lz4_head(bytes);
    case Codec::kZstd:
      return check_zstd_head(bytes);
  }
  return fail(ErrorCode::kMalformed, "no such codec");
}

}  // namespace runnel::protocol
