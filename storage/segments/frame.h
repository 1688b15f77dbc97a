// A frame: one commit group in a write-ahead segment. docs/formats/segment.md is the page.
//
// Segment file, integers little-endian:
//   offset size field
//        0    4 magic "RNLS"
//        4    2 version 1
//        6    2 zero
//        8    4 segment number
//       12    4 segment size            bytes the file is preallocated to
//       16   16 store id
//       32    8 created                 milliseconds since the epoch
//       40    8 previous checksum       of the last frame of the segment before; 0 in the first
//       48    8 checksum                xxh3-64 of bytes 0..47
//       56    8 zero
//       64      frames, each starting at a multiple of 8
// The header is written when the first frame is, not when the file is prepared: only then is the
// previous checksum known. Until then a prepared file holds zeros. A segment ends where the header
// of the next one continues its last frame.
//
// Frame:
//        0    4 magic "RNLF"
//        4    2 version 1
//        6    2 flags                   zero
//        8    4 operations bytes
//       12    4 payload bytes
//       16    8 sequence                one more than the frame before
//       24    8 position                of this frame: segment << 32 | offset
//       32    8 durable position        journal end known to be synced when this was written
//       40    8 previous checksum       of the frame before: frames form a chain, so a stale frame
//                                       behind a rewritten tail is never taken for a live one
//       48    8 time                    broker's clock, milliseconds since the epoch
//       56    4 operation count
//       60    4 batch count
//       64    8 checksum                xxh3-64, seeded with the store's frame seed, of bytes
//       0..63, operations and payload, but of a
//                                       record batch in the payload only its first 21 bytes: they
//                                       hold the CRC-32C of the rest, which was checked on arrival
//       72      operations, then payload (record batches back to back), then zeros to 8
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/base/uuid.h"
#include "storage/env/file_system.h"
#include "storage/segments/position.h"

namespace runnel::storage {

inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kFrameHeaderBytes = 72;
inline constexpr std::size_t kFrameAlignment = 8;
inline constexpr std::array<char, 4> kFrameMagic{'R', 'N', 'L', 'F'};
inline constexpr std::uint64_t kMinSegmentBytes = 64u << 10;
inline constexpr std::uint64_t kMaxSegmentBytes = 2048u << 20;

struct FrameHeader {
  std::uint32_t operations_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::uint64_t sequence = 0;
  Position position;
  Position durable;
  std::uint64_t previous_checksum = 0;
  Timestamp time;
  std::uint32_t operation_count = 0;
  std::uint32_t batch_count = 0;
  std::uint64_t checksum = 0;

  /// Whole frame on disk, padding included.
  [[nodiscard]] std::uint64_t total_bytes() const noexcept {
    const std::uint64_t bytes = kFrameHeaderBytes + std::uint64_t{operations_bytes} + payload_bytes;
    return (bytes + kFrameAlignment - 1) & ~std::uint64_t{kFrameAlignment - 1};
  }
  /// Where the payload starts.
  [[nodiscard]] Position payload_position() const noexcept {
    return {position.segment,
            position.offset + static_cast<std::uint32_t>(kFrameHeaderBytes) + operations_bytes};
  }
};

using FrameHeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

/// Sets header.checksum and gives the header's bytes. `payload` in order; each part holds whole
/// record batches with valid checksums (or, for those who only test, none). `seed` is the store's
/// own secret: whoever sends records must not be able to put a frame into them.
[[nodiscard]] FrameHeaderBytes seal_frame(FrameHeader& header, Bytes operations,
                                          std::span<const Bytes> payload, std::uint64_t seed);
/// Reads a header; kMalformed if magic, version or lengths cannot be right. Checks no checksum.
[[nodiscard]] Result<FrameHeader> read_frame_header(Bytes bytes);
/// True if the frame's own checksum covers header and body (operations and payload together). It
/// says nothing of a batch behind its head; `damaged` gets the places, within the payload, of
/// batches whose own checksum does not hold.
[[nodiscard]] bool frame_checksum_matches(const FrameHeader& header, Bytes header_bytes, Bytes body,
                                          std::uint64_t seed, std::vector<FileRange>& damaged);
/// True if all of the checksums hold.
[[nodiscard]] bool frame_checksum_matches(const FrameHeader& header, Bytes header_bytes, Bytes body,
                                          std::uint64_t seed);

struct SegmentHeader {
  std::uint32_t number = 0;
  std::uint32_t size = 0;
  Uuid store;
  Timestamp created;
  std::uint64_t previous_checksum = 0;
};
[[nodiscard]] std::array<std::byte, kSegmentHeaderBytes> encode_segment_header(
    const SegmentHeader& header);
/// kMalformed for bytes that are no header, kFormatTooNew for a sound one of a later version.
[[nodiscard]] Result<SegmentHeader> read_segment_header(Bytes bytes);

}  // namespace runnel::storage
