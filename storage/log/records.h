// What the index holds: keys and values of every family. docs/formats/index.md is the page.
//
// Keys order as their numbers do: integers in keys are big-endian. Values are little-endian and
// begin with a format byte (1) where they may grow.
//
//   family  key                                       value
//   index   0x01 partition u32, base offset u64       IndexEntry: where batches lie
//   index   0x02 partition u32, segment u32           Span: what a partition has in a segment
//   index   0x03 partition u32, marker offset u64     AbortedRecord: a transaction aborted there
//   index   0x04 partition u32, first offset u64      LostRecord: damaged, and passed over
//   meta    't' topic name                            TopicRecord
//   meta    'p' partition u32                         PartitionState, as of the last checkpoint
//   meta    's' partition u32                         LogStart
//   meta    'k' partition u32                         CleanPoint: up to where it was compacted
//   meta    'r' partition u32, producer u64           ProducerState, as of the last checkpoint
//   meta    'g' group 0x00 topic 0x00 partition u32   OffsetRecord
//   meta    'e' group                                 time the group became empty (i64)
//   meta    'f' fence name                            greatest token (u64)
//   meta    'b' key                                   broker state
//   meta    'x' id                                    ErasureRecord (erasure_record.h)
//   meta    'c'                                       Checkpoint: where replay starts
//   meta    'w'                                       KeptTime: how much time has passed
//   meta    'y'                                       ScrubPlace: where the scrubber is
//   meta    'n' 'p' / 'n' 'r'                         next partition / producer id (u64)
//   dedup   0x00 0x02 topic id, then three parts      DedupRecord; source, source id, data id, each
//                                                     escaped (0x00 -> 0x00 0xff) and ended by
//                                                     0x00 0x01
//   dedup   the three parts alone                     the same, written before keys had a topic
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/base/uuid.h"
#include "storage/segments/journal.h"
#include "storage/segments/position.h"
#include "storage/store.h"

namespace runnel::storage {

/// A run of one partition's batches that lie one behind the other in a segment. Entries follow each
/// other without gaps: where batches were removed, an entry's offsets reach over them.
struct IndexEntry {
  Offset base;
  Offset last;
  Position position;
  std::uint32_t bytes = 0;  ///< 0: nothing was left of them; there is no position either
  Timestamp max_timestamp = kNoTimestamp;
  /// Bytes that were appended to the partition before this entry's first batch, since its creation;
  /// also of batches that are gone.
  std::uint64_t bytes_before = 0;
  std::uint64_t heads = 0;  ///< heads_checksum() of the batches; only in data segments

  /// The records were damaged and a repair took them out: there are no bytes of them.
  [[nodiscard]] bool is_lost() const noexcept { return bytes == 0 && position == kLostPosition; }
  /// In no segment: their numbers start at 1.
  static constexpr Position kLostPosition{0, 1};
};

/// Of a span that lost batches: the greatest timestamp must be looked up in its entries.
inline constexpr Timestamp kTimestampUnknown{std::numeric_limits<std::int64_t>::max()};

/// What one partition has in one segment. Where batches were moved, others between its offsets may
/// lie elsewhere.
struct Span {
  std::uint32_t segment = 0;  ///< 0: none
  Offset first;
  Offset last;
  std::uint64_t bytes = 0;  ///< what was trimmed included
  Timestamp max_timestamp = kNoTimestamp;
  Timestamp newest = kNoTimestamp;  ///< no record was written later; only in data segments
};

struct TopicRecord {
  Uuid id;
  Timestamp created;
  std::vector<PartitionId> partitions;
  ConfigMap configs;
};

/// A partition's end. Written at checkpoints; replay carries it forward from there.
struct PartitionState {
  Offset next{0};
  std::uint64_t bytes = 0;  ///< appended since creation
  Span open_span;           ///< in the segment written last
};

/// Below it nothing changes any more: everything belongs to transactions that ended, or to none.
struct StablePoint {
  Offset offset{0};
  std::uint64_t bytes = 0;  ///< of the partition's batches before it, since its creation
};

/// A transaction that was aborted in a partition.
struct AbortedRecord {
  Offset marker;  ///< the abort marker's offset
  ProducerId producer;
  Offset first;   ///< of its batches
  Offset stable;  ///< the last stable offset once the marker was there
};

struct LogStart {
  Offset offset{0};
  /// Appended since creation and removed again, also by compaction or erasure. A batch without some
  /// of its records can be larger than before, if they compress worse: the difference to
  /// PartitionState::bytes is what counts, also where it wraps around.
  std::uint64_t bytes = 0;
};

/// Before it a compacted partition has each key once, or its deletion mark. Where it is not at 0,
/// bytes were taken out of the partition, and IndexEntry::bytes_before says nothing of how much is
/// left.
struct CleanPoint {
  Offset offset{0};
  std::uint64_t bytes = 0;  ///< appended to the partition before it, since its creation
};

/// Of a partition that was never compacted, but that bytes were taken from: one record alone is
/// there once.
inline constexpr CleanPoint kTakenFrom{Offset(1), 0};

/// What is remembered of one idempotent producer in one partition: its last batches, oldest first,
/// and its open transaction.
struct ProducerState {
  static constexpr std::size_t kRemembered = 5;
  struct Batch {
    std::int32_t first_sequence = 0;
    std::int32_t last_sequence = 0;
    Offset base;
    Offset last;
  };
  ProducerEpoch epoch;
  Timestamp last_seen;
  Offset last = kNoOffset;               ///< of its last batch or transaction marker
  Offset transaction_first = kNoOffset;  ///< of its open transaction; kNoOffset: none is open
  /// Bytes of the partition's batches before that transaction, since its creation.
  std::uint64_t transaction_bytes = 0;
  std::int32_t coordinator_epoch = -1;  ///< of its last transaction marker
  std::array<Batch, kRemembered> batches{};
  std::uint8_t count = 0;
};

/// What a repair took out.
struct LostRecord {
  Offset first;
  Offset last;
  Timestamp found;
  std::string why;  ///< where it was and what was wrong, for people
};

struct OffsetRecord {
  Offset offset;
  LeaderEpoch leader_epoch;
  Timestamp committed;
  std::string metadata;
};

/// See RetentionClock::Kept. Of an older directory only `time` is known.
struct KeptTime {
  Timestamp time;
  Timestamp wall;
  std::int64_t monotonic_ns = 0;
  static constexpr std::int64_t kUnknown = -1;
};

/// Where a pass of the scrubber is; kept over restarts.
struct ScrubPlace {
  PartitionId partition{0};
  Offset offset{0};         ///< the next one to be looked at
  Timestamp pass_ended{0};  ///< of the pass before; 0: there was none
};

struct DedupRecord {
  PartitionId partition;
  Offset offset;
  std::uint64_t payload_hash = 0;
};

namespace keys {
[[nodiscard]] std::string index_entry(PartitionId partition, Offset base);
[[nodiscard]] std::string span(PartitionId partition, std::uint32_t segment);
[[nodiscard]] std::string aborted(PartitionId partition, Offset marker);
[[nodiscard]] std::string lost(PartitionId partition, Offset first);
[[nodiscard]] std::string topic(std::string_view name);
[[nodiscard]] std::string partition_state(PartitionId partition);
[[nodiscard]] std::string log_start(PartitionId partition);
[[nodiscard]] std::string clean_point(PartitionId partition);
[[nodiscard]] std::string producer(PartitionId partition, ProducerId producer);
[[nodiscard]] std::string producers_of(PartitionId partition);  ///< prefix
[[nodiscard]] std::string group_offset(std::string_view group, std::string_view topic,
                                       PartitionIndex partition);
[[nodiscard]] std::string group_offsets_of(std::string_view group);  ///< prefix
[[nodiscard]] std::string group_empty_since(std::string_view group);
[[nodiscard]] std::string fence(std::string_view name);
[[nodiscard]] std::string broker_state(std::string_view key);
[[nodiscard]] std::string erasure(std::string_view id);
[[nodiscard]] std::string checkpoint();
[[nodiscard]] std::string next_partition();
[[nodiscard]] std::string next_producer();
[[nodiscard]] std::string retention_time();
[[nodiscard]] std::string scrub_place();
/// A key means a record of one topic: another topic's is another record.
[[nodiscard]] std::string dedup(const Uuid& topic, const DedupKey& key);
/// As older versions stored it, whatever the topic; never written any more.
[[nodiscard]] std::string dedup_without_topic(const DedupKey& key);

/// Every dedup key with a topic begins with it, and none without one: no part begins so, escaped.
inline constexpr std::string_view kDedupOfTopics("\0\2", 2);
inline constexpr std::string_view kAfterDedupOfTopics("\0\3", 2);
inline constexpr std::string_view kTopics = "t";
inline constexpr std::string_view kPartitionStates = "p";
inline constexpr std::string_view kLogStarts = "s";
inline constexpr std::string_view kCleanPoints = "k";
inline constexpr std::string_view kProducers = "r";
inline constexpr std::string_view kGroupOffsets = "g";
inline constexpr std::string_view kGroupsEmptySince = "e";
inline constexpr std::string_view kFences = "f";
inline constexpr std::string_view kBrokerState = "b";
inline constexpr std::string_view kErasures = "x";
inline constexpr std::string_view kEntries = "\x01";
inline constexpr std::string_view kSpans = "\x02";
inline constexpr std::string_view kAborted = "\x03";
inline constexpr std::string_view kLost = "\x04";
/// Of an aborted transaction's key: what all of a partition have in common.
inline constexpr std::size_t kAbortedPartitionBytes = 1 + sizeof(std::uint32_t);

/// Reading keys back; nullopt if the key is not of that kind.
struct SpanKey {
  PartitionId partition;
  std::uint32_t segment;
};
[[nodiscard]] std::optional<SpanKey> parse_span(std::string_view key);
[[nodiscard]] std::optional<Offset> parse_index_entry(std::string_view key);
struct AbortedKey {
  PartitionId partition;
  Offset marker;
};
[[nodiscard]] std::optional<AbortedKey> parse_aborted(std::string_view key);
struct LostKey {
  PartitionId partition;
  Offset first;
};
[[nodiscard]] std::optional<LostKey> parse_lost(std::string_view key);
[[nodiscard]] std::optional<PartitionId> parse_partition(std::string_view key);
/// Of any key that begins with a letter and a partition: entries, spans, states and so on.
[[nodiscard]] std::optional<PartitionId> partition_of(std::string_view key);
struct ProducerKey {
  PartitionId partition;
  ProducerId producer;
};
[[nodiscard]] std::optional<ProducerKey> parse_producer(std::string_view key);
struct GroupOffsetKey {
  std::string_view group;
  std::string_view topic;
  PartitionIndex partition;
};
[[nodiscard]] std::optional<GroupOffsetKey> parse_group_offset(std::string_view key);
}  // namespace keys

[[nodiscard]] std::string encode(const IndexEntry& entry);
[[nodiscard]] std::string encode(const Span& span);
[[nodiscard]] std::string encode(const TopicRecord& topic);
[[nodiscard]] std::string encode(const PartitionState& state);
[[nodiscard]] std::string encode(const LogStart& start);
[[nodiscard]] std::string encode(const CleanPoint& point);
[[nodiscard]] std::string encode(const AbortedRecord& aborted);
[[nodiscard]] std::string encode(const LostRecord& lost);
[[nodiscard]] std::string encode(const ProducerState& state);
[[nodiscard]] std::string encode(const OffsetRecord& record);
[[nodiscard]] std::string encode(const DedupRecord& record);
[[nodiscard]] std::string encode(const JournalPoint& checkpoint);
[[nodiscard]] std::string encode(const KeptTime& kept);
[[nodiscard]] std::string encode(const ScrubPlace& place);
[[nodiscard]] std::string encode_number(std::uint64_t number);

/// kCorrupt where the value can't be read. An index entry's base comes from its key.
[[nodiscard]] Result<IndexEntry> decode_index_entry(std::string_view key, std::string_view value);
[[nodiscard]] Result<Span> decode_span(std::uint32_t segment, std::string_view value);
[[nodiscard]] Result<TopicRecord> decode_topic(std::string_view value);
[[nodiscard]] Result<PartitionState> decode_partition_state(std::string_view value);
[[nodiscard]] Result<LogStart> decode_log_start(std::string_view value);
[[nodiscard]] Result<CleanPoint> decode_clean_point(std::string_view value);
/// The marker's offset comes from the key.
[[nodiscard]] Result<AbortedRecord> decode_aborted(std::string_view key, std::string_view value);
/// The first offset comes from the key.
[[nodiscard]] Result<LostRecord> decode_lost(std::string_view key, std::string_view value);
[[nodiscard]] Result<ProducerState> decode_producer(std::string_view value);
[[nodiscard]] Result<OffsetRecord> decode_offset(std::string_view value);
[[nodiscard]] Result<DedupRecord> decode_dedup(std::string_view value);
[[nodiscard]] Result<JournalPoint> decode_checkpoint(std::string_view value);
[[nodiscard]] Result<KeptTime> decode_kept_time(std::string_view value);
[[nodiscard]] Result<ScrubPlace> decode_scrub_place(std::string_view value);
[[nodiscard]] Result<std::uint64_t> decode_number(std::string_view value);

}  // namespace runnel::storage
