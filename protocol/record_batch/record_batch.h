// Kafka's record batch v2: the one record format, on disk and on every wire.
//
//   offset size field                    all integers big-endian
//        0    8 base offset              stamped by the broker; outside the CRC
//        8    4 length                   bytes after this field (total - 12)
//       12    4 partition leader epoch   stamped by the broker; outside the CRC
//       16    1 magic                    2
//       17    4 CRC-32C                  of everything from byte 21 to the end
//       21    2 attributes               bits 0-2 codec, 3 LogAppendTime, 4 transactional,
//                                        5 control, 6 delete horizon
//       23    4 last offset delta        record count - 1 as produced; stays where compaction
//                                        removes records
//       27    8 base timestamp           milliseconds; with bit 6 the delete horizon: from then on
//                                        compaction may remove deletion marks and markers
//       35    8 max timestamp            milliseconds
//       43    8 producer id              -1: not idempotent
//       51    2 producer epoch
//       53    4 base sequence
//       57    4 record count
//       61      records, compressed as a whole if a codec is set
//
// docs/formats/record-batch.md is the page with a worked example.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/bytes.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"

namespace runnel::protocol {

inline constexpr std::size_t kBatchHeaderBytes = 61;
inline constexpr std::size_t kBatchLengthOverhead = 12;  ///< base offset and length field
inline constexpr std::int8_t kBatchMagic = 2;
/// A batch's records may not decompress to more than this.
inline constexpr std::size_t kMaxDecompressedBytes = 64u << 20;
/// Largest batch that is ever accepted, whatever a topic's max.message.bytes says.
inline constexpr std::size_t kMaxBatchBytes = 64u << 20;

/// Fewest bytes of one record: length, attributes, two deltas, null key, null value, no headers.
inline constexpr std::size_t kMinRecordBytes = 7;
/// Most headers one record may have: a batch is small on the wire, a list of headers is not.
inline constexpr std::size_t kMaxRecordHeaders = 1u << 16;

/// Persisted: numbers are Kafka's.
enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

/// "none", "gzip", "snappy", "lz4", "zstd".
[[nodiscard]] std::string_view name_of(Codec codec) noexcept;
[[nodiscard]] Result<Codec> codec_named(std::string_view name);

inline constexpr std::uint16_t kCodecMask = 0x07;
inline constexpr std::uint16_t kLogAppendTimeBit = 0x08;
inline constexpr std::uint16_t kTransactionalBit = 0x10;
inline constexpr std::uint16_t kControlBit = 0x20;
inline constexpr std::uint16_t kDeleteHorizonBit = 0x40;

/// The fields of a batch header, read from bytes that hold at least kBatchHeaderBytes.
/// A view: the bytes must outlive it. Says nothing about validity; see validate_batch.
class BatchView {
 public:
  explicit BatchView(Bytes bytes) noexcept : p_(bytes.data()) {
    RUNNEL_ASSERT(bytes.size() >= kBatchHeaderBytes);
  }
  [[nodiscard]] Offset base_offset() const noexcept { return Offset(load_be<std::int64_t>(p_)); }
  /// Whole size in bytes, header included. 12 or more for any batch with a non-negative length.
  [[nodiscard]] std::size_t total_bytes() const noexcept {
    return kBatchLengthOverhead + static_cast<std::size_t>(load_be<std::uint32_t>(p_ + 8));
  }
  [[nodiscard]] LeaderEpoch leader_epoch() const noexcept {
    return LeaderEpoch(load_be<std::int32_t>(p_ + 12));
  }
  [[nodiscard]] std::int8_t magic() const noexcept { return load_be<std::int8_t>(p_ + 16); }
  [[nodiscard]] std::uint32_t crc() const noexcept { return load_be<std::uint32_t>(p_ + 17); }
  [[nodiscard]] std::uint16_t attributes() const noexcept {
    return load_be<std::uint16_t>(p_ + 21);
  }
  [[nodiscard]] Codec codec() const noexcept {
    return static_cast<Codec>(attributes() & kCodecMask);
  }
  [[nodiscard]] bool is_log_append_time() const noexcept {
    return attributes() & kLogAppendTimeBit;
  }
  [[nodiscard]] bool is_transactional() const noexcept { return attributes() & kTransactionalBit; }
  [[nodiscard]] bool is_control() const noexcept { return attributes() & kControlBit; }
  [[nodiscard]] std::int32_t last_offset_delta() const noexcept {
    return load_be<std::int32_t>(p_ + 23);
  }
  [[nodiscard]] Offset last_offset() const noexcept { return base_offset() + last_offset_delta(); }
  [[nodiscard]] Timestamp base_timestamp() const noexcept {
    return Timestamp(load_be<std::int64_t>(p_ + 27));
  }
  [[nodiscard]] Timestamp max_timestamp() const noexcept {
    return Timestamp(load_be<std::int64_t>(p_ + 35));
  }
  /// Set by compaction, which may remove deletion marks and markers from that time on.
  [[nodiscard]] std::optional<Timestamp> delete_horizon() const noexcept {
    if (!(attributes() & kDeleteHorizonBit)) return std::nullopt;
    return base_timestamp();
  }
  [[nodiscard]] ProducerId producer_id() const noexcept {
    return ProducerId(load_be<std::int64_t>(p_ + 43));
  }
  [[nodiscard]] ProducerEpoch producer_epoch() const noexcept {
    return ProducerEpoch(load_be<std::int16_t>(p_ + 51));
  }
  [[nodiscard]] std::int32_t base_sequence() const noexcept {
    return load_be<std::int32_t>(p_ + 53);
  }
  [[nodiscard]] std::int32_t record_count() const noexcept {
    return load_be<std::int32_t>(p_ + 57);
  }

 private:
  const std::byte* p_;
};

/// Stamps the fields that the CRC leaves out.
void stamp_batch(MutableBytes batch, Offset base_offset, LeaderEpoch epoch) noexcept;
/// For LogAppendTime: sets bit 3 and the max timestamp and recomputes the CRC.
void stamp_append_time(MutableBytes batch, Timestamp now) noexcept;
/// The opposite, for CreateTime: clears bit 3 and sets the greatest of the records' own timestamps.
void stamp_create_time(MutableBytes batch, Timestamp latest) noexcept;

/// How far to look. The CRC is cheap; walking records of compressed batches decompresses them.
enum class Depth {
  kHeader,   ///< lengths, magic, counts, attributes
  kCrc,      ///< and the checksum
  kRecords,  ///< and every record's structure; decompresses, bounded
};

/// Whether records may be missing between a batch's first and last offset. They are where
/// compaction removed them, never in what a producer sends.
enum class Gaps { kRefused, kAllowed };

/// Checks that `bytes` begin with one whole, valid batch and returns its size. Errors: kMalformed
/// (what field, what was expected), kCorrupt (checksum), kUnsupported (magic 0 or 1).
[[nodiscard]] Result<std::size_t> validate_batch(Bytes bytes, Depth depth,
                                                 Gaps gaps = Gaps::kRefused);

/// One header of a record: the value may be null.
struct RecordHeader {
  std::string_view key;
  std::optional<std::string_view> value;
};

/// One record. Views point into the batch or its decompressed copy (see RecordReader).
struct Record {
  Offset offset;
  Timestamp timestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const RecordHeader> headers;
};

/// Reads the records of one batch in order. Owns the decompressed bytes, so a Record's views live
/// as long as the reader and, for uncompressed batches, the batch itself; `headers` is overwritten
/// by the next call to next().
class RecordReader {
 public:
  /// `batch` must hold one whole batch (validate_batch at kHeader passed). It may have gaps.
  /// Errors: kMalformed, or kRecordTooLarge when more than `max_bytes` come out of the codec.
  [[nodiscard]] static Result<RecordReader> open(Bytes batch,
                                                 std::size_t max_bytes = kMaxDecompressedBytes);
  /// Of all records; 0 where they were not compressed.
  [[nodiscard]] std::size_t unpacked_bytes() const noexcept { return decompressed_.size(); }
  /// The next record; nullopt after the last. After an error the reader is at its end.
  [[nodiscard]] Result<std::optional<Record>> next();
  /// The same record, not copied: it changes with the next call. nullptr after the last.
  [[nodiscard]] Result<const Record*> next_in_place();

 private:
  RecordReader() = default;
  /// Moves to the end and describes what is wrong with the record at hand.
  [[nodiscard]] tl::unexpected<Error> stop(std::string_view what);

  Buffer decompressed_;
  Bytes records_;
  std::size_t at_ = 0;
  std::int32_t count_ = 0;
  std::int32_t index_ = 0;
  std::int32_t last_delta_ = 0;   ///< of the batch's last offset
  std::int32_t least_delta_ = 0;  ///< the next record has at least this one
  Offset base_offset_;
  Timestamp base_timestamp_;
  std::optional<Timestamp> append_time_;  ///< replaces every record's own time
  std::vector<RecordHeader> headers_;
  Record record_;
};

/// Input to BatchBuilder::add; everything is copied.
struct NewRecord {
  Timestamp timestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const RecordHeader> headers{};
};

struct BatchOptions {
  Codec codec = Codec::kNone;
  int level = 0;  ///< codec's own scale; 0: the codec's default
  ProducerId producer_id = kNoProducer;
  ProducerEpoch producer_epoch = kNoEpoch;
  std::int32_t base_sequence = kNoSequence;
  bool transactional = false;
  bool control = false;  ///< what control_record.h says, no data
};

/// Builds one batch with base offset 0. Not thread safe.
class BatchBuilder {
 public:
  explicit BatchBuilder(BatchOptions options = {});
  /// A record with more than kMaxRecordHeaders headers makes finish() fail.
  void add(const NewRecord& record);
  [[nodiscard]] std::int32_t count() const noexcept { return count_; }
  /// Uncompressed size so far, header included.
  [[nodiscard]] std::size_t bytes() const noexcept { return kBatchHeaderBytes + records_.size(); }
  void set_producer(ProducerId id, ProducerEpoch epoch, std::int32_t base_sequence) noexcept;
  /// The finished batch; needs at least one record. The builder is empty afterwards, also after an
  /// error: kInvalidArgument (no record, too many headers, a level the codec has not) or
  /// kRecordTooLarge.
  [[nodiscard]] Result<Buffer> finish();

 private:
  BatchOptions options_;
  ByteWriter records_;
  std::int32_t count_ = 0;
  std::size_t most_headers_ = 0;  ///< of any one record
  Timestamp base_timestamp_;
  Timestamp max_timestamp_;
};

/// Gives the size of the batch that starts at `bytes`, or nullopt while too few bytes are there to
/// tell. Errors: kMalformed for a length that no batch can have.
[[nodiscard]] Result<std::optional<std::size_t>> batch_size(Bytes bytes);

}  // namespace runnel::protocol
