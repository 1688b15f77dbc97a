#include "storage/log/erasure_record.h"

#include <xxhash.h>

#include "protocol/base/bytes.h"

namespace runnel::storage {
namespace {

constexpr std::uint8_t kFormat = 1;
/// Fewest bytes of a part and of a range: what is announced is checked against what is there.
constexpr std::size_t kMinPartBytes = 4;
constexpr std::size_t kMinRangeBytes = 3;

std::uint64_t number(Offset offset) {
  return static_cast<std::uint64_t>(offset.value());
}
Offset offset_of(std::uint64_t number) {
  return Offset(static_cast<std::int64_t>(number));
}

}  // namespace

KeyHash hash_key(std::string_view key, std::uint64_t seed) noexcept {
  const XXH128_hash_t h = XXH3_128bits_withSeed(key.data(), key.size(), seed);
  return {seed, h.low64, h.high64};
}

Erasure in_short(const Erasure& erasure) {
  Erasure out;
  out.id = erasure.id;
  out.topic = erasure.topic;
  out.requested = erasure.requested;
  out.removed = erasure.removed;
  out.gone = erasure.gone;
  out.parts.push_back({PartitionIndex(-1), kNoOffset, erasure.records()});
  out.ranges_cut = erasure.ranges_cut;
  out.dedup_keys = erasure.dedup_keys;
  out.segments_left = erasure.segments_left;
  out.problem = erasure.problem;
  return out;
}

ErasureRecord to_remember(ErasureRecord record) {
  if (record.shown.gone == kNoTimestamp) return record;
  ErasureRecord kept;
  kept.shown = in_short(record.shown);
  return kept;
}

std::string encode(const ErasureRecord& record) {
  const Erasure& shown = record.shown;
  ByteWriter w;
  w.le(kFormat).text(shown.topic).raw(std::as_bytes(std::span(record.topic_id.bytes)));
  w.le(shown.requested.value()).le(shown.removed.value()).le(shown.gone.value());
  w.le(record.key.seed).le(record.key.low).le(record.key.high);
  w.le(record.journal_end).le(record.dedup_first).le(record.dedup_last);
  w.uvarint(shown.dedup_keys).uvarint(shown.parts.size());
  for (std::size_t i = 0; i < shown.parts.size(); ++i) {
    const Erasure::Part& part = shown.parts[i];
    w.uvarint(static_cast<std::uint64_t>(part.index.value())).uvarint(number(part.end));
    w.uvarint(number(record.rewritten[i])).uvarint(part.records);
  }
  w.le(static_cast<std::uint8_t>(shown.ranges_cut)).uvarint(shown.ranges.size());
  for (const ErasedRange& range : shown.ranges) {
    w.uvarint(static_cast<std::uint64_t>(range.partition.value())).uvarint(number(range.first));
    w.uvarint(number(range.last) - number(range.first));
  }
  return w.take();
}

Result<ErasureRecord> decode_erasure(std::string_view id, std::string_view value) {
  ByteReader r(as_bytes(value));
  ErasureRecord record;
  Erasure& shown = record.shown;
  shown.id = id;
  const auto format = r.le<std::uint8_t>();
  shown.topic = r.text();
  const Bytes topic_id = r.take(record.topic_id.bytes.size());
  if (r.ok())
    std::copy_n(reinterpret_cast<const std::uint8_t*>(topic_id.data()), topic_id.size(),
                record.topic_id.bytes.begin());
  shown.requested = Timestamp(r.le<std::int64_t>());
  shown.removed = Timestamp(r.le<std::int64_t>());
  shown.gone = Timestamp(r.le<std::int64_t>());
  record.key.seed = r.le<std::uint64_t>();
  record.key.low = r.le<std::uint64_t>();
  record.key.high = r.le<std::uint64_t>();
  record.journal_end = r.le<std::uint32_t>();
  record.dedup_first = r.le<std::uint32_t>();
  record.dedup_last = r.le<std::uint32_t>();
  shown.dedup_keys = r.uvarint();
  const std::uint64_t parts = r.uvarint();
  bool sound = r.ok() && format == kFormat && parts <= r.remaining() / kMinPartBytes;
  for (std::uint64_t i = 0; sound && i < parts; ++i) {
    Erasure::Part part;
    part.index = PartitionIndex(static_cast<std::int32_t>(r.uvarint()));
    part.end = offset_of(r.uvarint());
    record.rewritten.push_back(offset_of(r.uvarint()));
    part.records = r.uvarint();
    shown.parts.push_back(part);
  }
  shown.ranges_cut = r.le<std::uint8_t>() != 0;
  const std::uint64_t ranges = r.uvarint();
  sound = sound && r.ok() && ranges <= r.remaining() / kMinRangeBytes;
  for (std::uint64_t i = 0; sound && i < ranges; ++i) {
    ErasedRange range;
    range.partition = PartitionIndex(static_cast<std::int32_t>(r.uvarint()));
    range.first = offset_of(r.uvarint());
    range.last = Offset(range.first.value() + static_cast<std::int64_t>(r.uvarint()));
    shown.ranges.push_back(range);
  }
  if (sound && r.at_end()) return record;
  return fail(ErrorCode::kCorrupt,
              "the index holds an erasure that can't be read; run `runnel check` on the directory");
}

}  // namespace runnel::storage
