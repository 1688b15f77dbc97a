#include "storage/segments/frame.h"

#define XXH_STATIC_LINKING_ONLY  // for a state on the stack
#include <xxhash.h>

#include <algorithm>

#include "protocol/base/assert.h"
#include "protocol/base/bytes.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::storage {
namespace {

constexpr std::array<char, 4> kSegmentMagic{'R', 'N', 'L', 'S'};
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFrameChecksumAt = 64;
constexpr std::size_t kSegmentChecksumAt = 48;

static_assert(kFrameChecksumAt + sizeof(std::uint64_t) == kFrameHeaderBytes);
static_assert(kSegmentHeaderBytes % kFrameAlignment == 0);
static_assert(kMaxSegmentBytes <= UINT32_MAX, "positions within a segment are 32 bits wide");

/// Bytes of a batch that its own checksum does not cover, and that checksum. The last four.
constexpr std::size_t kBatchPrefixBytes = 21;
constexpr std::size_t kBatchMagicAt = 16;
constexpr std::size_t kBatchCrcAt = 17;

/// Size of the record batch that `bytes` begin with; 0 if they do not begin with a whole one.
std::size_t batch_size(Bytes bytes) {
  if (bytes.size() < protocol::kBatchHeaderBytes) return 0;
  if (static_cast<std::int8_t>(bytes[kBatchMagicAt]) != protocol::kBatchMagic) return 0;
  const std::size_t size = protocol::BatchView(bytes).total_bytes();
  return size >= protocol::kBatchHeaderBytes && size <= bytes.size() ? size : 0;
}

class FrameHash {
 public:
  explicit FrameHash(std::uint64_t seed) {
    // The reset trusts a secret that is already there for `seed`; on the stack that would be what
    // is left of an earlier state, in part overwritten.
    XXH3_INITSTATE(&state_);
    XXH3_64bits_reset_withSeed(&state_, seed);
  }
  /// `payload`'s share: whole batches by their prefixes, what is none in full. With `damaged` the
  /// batches' own checksums are tried too; it gets the places of those that do not hold.
  void add_payload(Bytes payload, std::vector<FileRange>* damaged) {
    std::uint64_t at = 0;
    while (const std::size_t size = batch_size(payload)) {
      add(payload.first(kBatchPrefixBytes));
      if (damaged != nullptr && protocol::crc32c(payload.first(size).subspan(kBatchPrefixBytes)) !=
                                    load_be<std::uint32_t>(payload.data() + kBatchCrcAt)) {
        damaged->push_back({at, at + size});
      }
      payload = payload.subspan(size);
      at += size;
    }
    add(payload);
  }
  void add(Bytes bytes) {
    if (!bytes.empty()) XXH3_64bits_update(&state_, bytes.data(), bytes.size());
  }
  [[nodiscard]] std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

bool has_magic(Bytes bytes, const std::array<char, 4>& magic) {
  return std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace

FrameHeaderBytes seal_frame(FrameHeader& header, Bytes operations, std::span<const Bytes> payload,
                            std::uint64_t seed) {
  RUNNEL_ASSERT(header.operations_bytes == operations.size());
  RUNNEL_ASSERT(header.position.offset % kFrameAlignment == 0);
  FrameHeaderBytes out{};
  std::byte* const p = out.data();
  std::memcpy(p, kFrameMagic.data(), kFrameMagic.size());
  store_le<std::uint16_t>(p + 4, kVersion);
  store_le<std::uint32_t>(p + 8, header.operations_bytes);
  store_le<std::uint32_t>(p + 12, header.payload_bytes);
  store_le<std::uint64_t>(p + 16, header.sequence);
  store_le<std::uint64_t>(p + 24, header.position.pack());
  store_le<std::uint64_t>(p + 32, header.durable.pack());
  store_le<std::uint64_t>(p + 40, header.previous_checksum);
  store_le<std::int64_t>(p + 48, header.time.value());
  store_le<std::uint32_t>(p + 56, header.operation_count);
  store_le<std::uint32_t>(p + 60, header.batch_count);

  FrameHash hash(seed);
  hash.add(Bytes(out).first(kFrameChecksumAt));
  hash.add(operations);
  std::uint64_t payload_bytes = 0;
  for (const Bytes part : payload) {
    hash.add_payload(part, nullptr);
    payload_bytes += part.size();
  }
  RUNNEL_ASSERT(payload_bytes == header.payload_bytes);
  header.checksum = hash.value();
  store_le<std::uint64_t>(p + kFrameChecksumAt, header.checksum);
  return out;
}

Result<FrameHeader> read_frame_header(Bytes bytes) {
  if (bytes.size() < kFrameHeaderBytes) {
    return fail(ErrorCode::kMalformed, "a frame header needs " + std::to_string(kFrameHeaderBytes) +
                                           " bytes, " + std::to_string(bytes.size()) + " are left");
  }
  const std::byte* const p = bytes.data();
  if (!has_magic(bytes, kFrameMagic)) return fail(ErrorCode::kMalformed, "no frame magic");
  if (load_le<std::uint16_t>(p + 4) != kVersion || load_le<std::uint16_t>(p + 6) != 0) {
    return fail(ErrorCode::kMalformed, "unknown frame version or flags");
  }
  FrameHeader header;
  header.operations_bytes = load_le<std::uint32_t>(p + 8);
  header.payload_bytes = load_le<std::uint32_t>(p + 12);
  header.sequence = load_le<std::uint64_t>(p + 16);
  header.position = Position::unpack(load_le<std::uint64_t>(p + 24));
  header.durable = Position::unpack(load_le<std::uint64_t>(p + 32));
  header.previous_checksum = load_le<std::uint64_t>(p + 40);
  header.time = Timestamp(load_le<std::int64_t>(p + 48));
  header.operation_count = load_le<std::uint32_t>(p + 56);
  header.batch_count = load_le<std::uint32_t>(p + 60);
  header.checksum = load_le<std::uint64_t>(p + kFrameChecksumAt);
  const std::uint64_t end = header.position.offset + header.total_bytes();
  if (header.position.offset < kSegmentHeaderBytes ||
      header.position.offset % kFrameAlignment != 0 || end > kMaxSegmentBytes) {
    return fail(ErrorCode::kMalformed, "frame lengths or position out of range");
  }
  return header;
}

bool frame_checksum_matches(const FrameHeader& header, Bytes header_bytes, Bytes body,
                            std::uint64_t seed, std::vector<FileRange>& damaged) {
  if (header_bytes.size() < kFrameHeaderBytes ||
      body.size() != std::uint64_t{header.operations_bytes} + header.payload_bytes) {
    return false;
  }
  FrameHash hash(seed);
  hash.add(header_bytes.first(kFrameChecksumAt));
  hash.add(body.first(header.operations_bytes));
  hash.add_payload(body.subspan(header.operations_bytes), &damaged);
  return hash.value() == header.checksum;
}

bool frame_checksum_matches(const FrameHeader& header, Bytes header_bytes, Bytes body,
                            std::uint64_t seed) {
  std::vector<FileRange> damaged;
  return frame_checksum_matches(header, header_bytes, body, seed, damaged) && damaged.empty();
}

std::array<std::byte, kSegmentHeaderBytes> encode_segment_header(const SegmentHeader& header) {
  std::array<std::byte, kSegmentHeaderBytes> out{};
  std::byte* const p = out.data();
  std::memcpy(p, kSegmentMagic.data(), kSegmentMagic.size());
  store_le<std::uint16_t>(p + 4, kVersion);
  store_le<std::uint32_t>(p + 8, header.number);
  store_le<std::uint32_t>(p + 12, header.size);
  std::memcpy(p + 16, header.store.bytes.data(), header.store.bytes.size());
  store_le<std::int64_t>(p + 32, header.created.value());
  store_le<std::uint64_t>(p + 40, header.previous_checksum);
  store_le<std::uint64_t>(p + kSegmentChecksumAt, XXH3_64bits(p, kSegmentChecksumAt));
  return out;
}

Result<SegmentHeader> read_segment_header(Bytes bytes) {
  if (bytes.size() < kSegmentHeaderBytes) {
    return fail(ErrorCode::kMalformed, "shorter than a segment header");
  }
  const std::byte* const p = bytes.data();
  if (!has_magic(bytes, kSegmentMagic)) return fail(ErrorCode::kMalformed, "no segment magic");
  // The checksum first: a flipped bit in the version is damage, not a newer format.
  if (load_le<std::uint64_t>(p + kSegmentChecksumAt) != XXH3_64bits(p, kSegmentChecksumAt) ||
      load_le<std::uint64_t>(p + kSegmentChecksumAt + 8) != 0) {
    return fail(ErrorCode::kMalformed, "segment header checksum mismatch");
  }
  if (const auto version = load_le<std::uint16_t>(p + 4); version != kVersion) {
    return fail(ErrorCode::kFormatTooNew, "segment format version " + std::to_string(version) +
                                              ", this program reads version " +
                                              std::to_string(kVersion) +
                                              "; use the version of runnel that wrote it");
  }
  SegmentHeader header;
  header.number = load_le<std::uint32_t>(p + 8);
  header.size = load_le<std::uint32_t>(p + 12);
  std::memcpy(header.store.bytes.data(), p + 16, header.store.bytes.size());
  header.created = Timestamp(load_le<std::int64_t>(p + 32));
  header.previous_checksum = load_le<std::uint64_t>(p + 40);
  return header;
}

}  // namespace runnel::storage
