// The native protocol's messages as plain values. FlatBuffers stays behind codec.h.
//
// A frame on the wire (docs/formats/native-protocol.md), integers little-endian:
//   offset size field
//        0    4 frame length     bytes after this field
//        4    4 message length   bytes of the FlatBuffer that follows
//        8    n message          root table Message of runnel.fbs, always verified
//      8+n    m attachment       record batches back to back, or cells of views; the message says
//                                whose they are
// A connection begins with the client's preface "RNL1", then frames both ways. Requests are
// pipelined; responses carry their request's correlation id and come in any order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/native/view_messages.h"

namespace runnel::protocol::native {

inline constexpr std::string_view kPreface = "RNL1";
inline constexpr std::uint16_t kVersionMin = 1;
inline constexpr std::uint16_t kVersionMax = 1;
inline constexpr std::size_t kFrameHeaderBytes = 8;
/// Largest frame before and after hello.
inline constexpr std::uint32_t kMaxFrameBeforeHello = 64u << 10;
inline constexpr std::uint32_t kMaxFrameBytes = 64u << 20;
/// Largest FlatBuffer within a frame.
inline constexpr std::uint32_t kMaxMessageBytes = 8u << 20;

struct TopicPartition {
  std::string topic;
  PartitionIndex partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};
using Config = std::pair<std::string, std::string>;

/// As storage::Durability. On the wire: never renumbered.
enum class Durability : std::uint8_t { kNone = 0, kWritten = 1, kSynced = 2 };

// ---- hello
struct Hello {
  std::string client_name;
  std::string client_version;
  std::uint16_t version_min = kVersionMin;
  std::uint16_t version_max = kVersionMax;
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct HelloReply {
  std::uint16_t version = 0;
  std::string server_version;
  std::string cluster_id;
  std::uint32_t max_frame_bytes = kMaxFrameBytes;
  friend bool operator==(const HelloReply&, const HelloReply&) = default;
};

// ---- append
struct DedupKey {
  std::string source;
  std::string source_id;
  std::string data_id;
  std::uint64_t payload_hash = 0;
  std::int32_t record_index = 0;
  friend bool operator==(const DedupKey&, const DedupKey&) = default;
};
struct AppendPartition {
  TopicPartition target;
  std::uint32_t bytes = 0;  ///< of the attachment, in order
  std::vector<DedupKey> dedup;
  std::optional<Offset> expected_next;
  friend bool operator==(const AppendPartition&, const AppendPartition&) = default;
};
struct CommitOffset {
  TopicPartition target;
  Offset offset;
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
  friend bool operator==(const CommitOffset&, const CommitOffset&) = default;
};
/// Offsets of one group. With a member id the group's epoch is checked.
struct GroupOffsets {
  std::string group;
  std::string member_id;
  std::int32_t member_epoch = -1;
  std::vector<CommitOffset> offsets;
  friend bool operator==(const GroupOffsets&, const GroupOffsets&) = default;
};
struct FenceToken {
  std::string name;
  std::uint64_t token = 0;
  friend bool operator==(const FenceToken&, const FenceToken&) = default;
};
/// One atomic request: records, offsets and preconditions. Offset commits alone use it too.
struct Append {
  std::vector<AppendPartition> partitions;
  std::vector<GroupOffsets> groups;
  std::vector<FenceToken> fences;
  Durability durability = Durability::kSynced;
  /// Answered when the views that read these partitions have the records, or `applied_timeout_ms`
  /// after they were stored, whatever comes first.
  bool applied = false;
  std::uint32_t applied_timeout_ms = kViewTimeoutMs;
  friend bool operator==(const Append&, const Append&) = default;
};
struct AppendedPartition {
  Offset base_offset;
  Offset last_offset;
  Offset log_start;
  Timestamp append_time = kNoTimestamp;
  bool duplicate = false;
  std::vector<Offset> dedup_offsets;
  /// Of a duplicate: the partitions of these offsets, if not all are in the one asked for.
  std::vector<PartitionIndex> dedup_partitions = {};
  friend bool operator==(const AppendedPartition&, const AppendedPartition&) = default;
};
struct AppendReply {
  std::vector<AppendedPartition> partitions;
  Durability durability = Durability::kSynced;
  bool applied = false;  ///< it was asked for, and the running views have the records
  friend bool operator==(const AppendReply&, const AppendReply&) = default;
};

// ---- fetch
struct FetchPartition {
  TopicPartition target;
  Offset offset;
  std::uint32_t max_bytes = 1u << 20;
  friend bool operator==(const FetchPartition&, const FetchPartition&) = default;
};
struct Fetch {
  std::vector<FetchPartition> partitions;
  std::uint32_t max_bytes = 16u << 20;
  std::uint32_t min_bytes = 1;
  std::uint32_t max_wait_ms = 0;
  /// Conditions that all have to hold for a record to come (protocol/filter/record_filter.h).
  std::vector<std::string> filter = {};
  friend bool operator==(const Fetch&, const Fetch&) = default;
};
/// Its producer's transactional batches from `first` up to the abort marker are to be left out.
struct AbortedTransaction {
  ProducerId producer;
  Offset first;
  friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
};
struct FetchedPartition {
  TopicPartition target;
  ErrorCode error = ErrorCode::kOk;
  std::string error_message;
  Offset high_watermark;  ///< of what can be read: records of open transactions lie behind it
  Offset log_start;
  std::uint32_t bytes = 0;                  ///< of the attachment, in order
  std::vector<AbortedTransaction> aborted;  ///< those among the bytes, by ascending `first`
  /// The offset to ask for next, also where nothing passed the filter; kNoOffset from a broker of a
  /// version that does not say.
  Offset next = kNoOffset;
  bool filtered = false;         ///< the request's filter was applied
  std::uint64_t unreadable = 0;  ///< records left out that the filter can't judge
  friend bool operator==(const FetchedPartition&, const FetchedPartition&) = default;
};
struct FetchReply {
  std::vector<FetchedPartition> partitions;
  friend bool operator==(const FetchReply&, const FetchReply&) = default;
};

// ---- subscribe: the server pushes Delivery frames under the subscription's correlation id
struct Subscribe {
  std::vector<FetchPartition> partitions;
  std::uint64_t credit_bytes = 4u << 20;  ///< the server sends at most this much unasked
  friend bool operator==(const Subscribe&, const Subscribe&) = default;
};
struct SubscribeReply {
  std::uint64_t subscription = 0;
  friend bool operator==(const SubscribeReply&, const SubscribeReply&) = default;
};
struct Credit {
  std::uint64_t subscription = 0;
  std::uint64_t bytes = 0;  ///< no reply
  friend bool operator==(const Credit&, const Credit&) = default;
};
struct Unsubscribe {
  std::uint64_t subscription = 0;
  friend bool operator==(const Unsubscribe&, const Unsubscribe&) = default;
};
struct Delivery {
  std::uint64_t subscription = 0;
  std::vector<FetchedPartition> partitions;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};

// ---- offsets
struct OffsetSpec {
  enum class Kind : std::uint8_t { kEarliest = 0, kLatest = 1, kMaxTimestamp = 2, kTime = 3 };
  TopicPartition target;
  Kind kind = Kind::kLatest;
  Timestamp time = kNoTimestamp;
  friend bool operator==(const OffsetSpec&, const OffsetSpec&) = default;
};
struct ListOffsets {
  std::vector<OffsetSpec> partitions;
  friend bool operator==(const ListOffsets&, const ListOffsets&) = default;
};
struct OffsetFound {
  ErrorCode error = ErrorCode::kOk;
  std::string error_message;
  Offset offset = kNoOffset;
  Timestamp timestamp = kNoTimestamp;
  friend bool operator==(const OffsetFound&, const OffsetFound&) = default;
};
struct ListOffsetsReply {
  std::vector<OffsetFound> partitions;  ///< in the request's order
  friend bool operator==(const ListOffsetsReply&, const ListOffsetsReply&) = default;
};

// ---- topics
struct CreateTopic {
  std::string name;
  std::int32_t partitions = 1;
  std::vector<Config> configs;
  bool if_not_exists = false;
  friend bool operator==(const CreateTopic&, const CreateTopic&) = default;
};
struct DeleteTopic {
  std::string name;
  friend bool operator==(const DeleteTopic&, const DeleteTopic&) = default;
};
struct AlterTopic {
  std::string name;
  std::vector<Config> set;
  std::vector<std::string> unset;
  std::int32_t partitions = 0;  ///< new total; 0: as it is
  friend bool operator==(const AlterTopic&, const AlterTopic&) = default;
};
struct DescribeTopics {
  std::vector<std::string> names;  ///< empty: all
  friend bool operator==(const DescribeTopics&, const DescribeTopics&) = default;
};
struct DeleteRecords {
  TopicPartition target;
  Offset before;
  friend bool operator==(const DeleteRecords&, const DeleteRecords&) = default;
};
struct PartitionDescription {
  PartitionIndex index;
  Offset log_start;
  Offset high_watermark;
  std::uint64_t bytes = 0;
  Timestamp max_timestamp = kNoTimestamp;
  friend bool operator==(const PartitionDescription&, const PartitionDescription&) = default;
};
struct TopicDescription {
  std::string name;
  ErrorCode error = ErrorCode::kOk;  ///< kUnknownTopic for a name that was asked for
  std::string id;
  Timestamp created = kNoTimestamp;
  std::vector<PartitionDescription> partitions;
  std::vector<Config> configs;
  friend bool operator==(const TopicDescription&, const TopicDescription&) = default;
};
/// Also answers CreateTopic and AlterTopic, with that one topic.
struct TopicsReply {
  std::vector<TopicDescription> topics;
  friend bool operator==(const TopicsReply&, const TopicsReply&) = default;
};
struct DeleteRecordsReply {
  Offset log_start;
  friend bool operator==(const DeleteRecordsReply&, const DeleteRecordsReply&) = default;
};

// ---- producers
struct InitProducer {
  friend bool operator==(const InitProducer&, const InitProducer&) = default;
};
struct InitProducerReply {
  ProducerId id;
  ProducerEpoch epoch;
  friend bool operator==(const InitProducerReply&, const InitProducerReply&) = default;
};

// ---- groups: one request joins, heartbeats, acknowledges an assignment and leaves
inline constexpr std::int32_t kEpochJoin = 0;
inline constexpr std::int32_t kEpochLeave = -1;
/// A static member that will be back: keeps its assignment for the session timeout.
inline constexpr std::int32_t kEpochLeaveStatic = -2;

struct GroupHeartbeat {
  std::string group;
  std::string member_id;  ///< empty to join; the server gives one
  std::int32_t member_epoch = kEpochJoin;
  std::string instance_id;  ///< static membership; empty: dynamic
  std::string client_name;
  std::vector<std::string> topics;
  std::vector<TopicPartition> owned;  ///< what the member still works on
  std::string assignor;               ///< "range" or "uniform"; empty: uniform
  std::uint32_t session_timeout_ms = 45'000;
  friend bool operator==(const GroupHeartbeat&, const GroupHeartbeat&) = default;
};
struct GroupHeartbeatReply {
  std::string member_id;
  std::int32_t member_epoch = 0;
  std::uint32_t heartbeat_interval_ms = 0;
  /// What the member may work on now. Give up what is missing, then heartbeat with the rest.
  std::vector<TopicPartition> assignment;
  friend bool operator==(const GroupHeartbeatReply&, const GroupHeartbeatReply&) = default;
};
struct FetchGroupOffsets {
  std::string group;
  std::vector<TopicPartition> partitions;  ///< empty: all
  friend bool operator==(const FetchGroupOffsets&, const FetchGroupOffsets&) = default;
};
struct GroupOffset {
  TopicPartition target;
  Offset offset = kNoOffset;  ///< kNoOffset: nothing committed
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
  Timestamp committed = kNoTimestamp;
  friend bool operator==(const GroupOffset&, const GroupOffset&) = default;
};
struct GroupOffsetsReply {
  std::vector<GroupOffset> offsets;
  friend bool operator==(const GroupOffsetsReply&, const GroupOffsetsReply&) = default;
};
struct ListGroups {
  friend bool operator==(const ListGroups&, const ListGroups&) = default;
};
struct DescribeGroup {
  std::string group;
  friend bool operator==(const DescribeGroup&, const DescribeGroup&) = default;
};
struct DeleteGroup {
  std::string group;  ///< kGroupNotEmpty while it has members
  friend bool operator==(const DeleteGroup&, const DeleteGroup&) = default;
};
struct GroupMember {
  std::string member_id;
  std::string instance_id;
  std::string client_name;
  std::string host;
  std::int32_t member_epoch = 0;
  std::vector<TopicPartition> assignment;
  friend bool operator==(const GroupMember&, const GroupMember&) = default;
};
struct GroupDescription {
  std::string group;
  std::string state;  ///< "empty", "reconciling", "stable"
  std::int32_t epoch = 0;
  std::string assignor;
  std::vector<GroupMember> members;
  friend bool operator==(const GroupDescription&, const GroupDescription&) = default;
};
/// Answers ListGroups (members left out) and DescribeGroup.
struct GroupsReply {
  std::vector<GroupDescription> groups;
  friend bool operator==(const GroupsReply&, const GroupsReply&) = default;
};

// ---- statistics
struct Statistics {
  friend bool operator==(const Statistics&, const Statistics&) = default;
};
struct Statistic {
  std::string name;
  std::uint64_t value = 0;
  std::string unit;
  std::string text;
  friend bool operator==(const Statistic&, const Statistic&) = default;
};
struct StatisticsReply {
  std::vector<Statistic> values;
  friend bool operator==(const StatisticsReply&, const StatisticsReply&) = default;
};

// ---- views
/// Their statistics are those of the topics' partitions together.
struct ViewStatus {
  enum class Kind : std::uint8_t { kSource = 0, kTable = 1, kView = 2, kStream = 3 };
  enum class State : std::uint8_t { kRunning = 0, kBuilding = 1, kPaused = 2, kFailed = 3 };
  std::string name;
  Kind kind = Kind::kView;
  State state = State::kRunning;
  std::string problem;  ///< of kFailed
  std::vector<ViewPosition> applied;
  std::uint64_t lag = 0;            ///< records
  std::vector<Statistic> counters;  ///< in = applied + filtered + late + errors, and more
  std::uint64_t sequence = 0;
  std::string notice;  ///< what its readers have to know
  friend bool operator==(const ViewStatus&, const ViewStatus&) = default;
};
/// Answers ListViews, by name.
struct ViewsReply {
  std::vector<ViewStatus> views;
  friend bool operator==(const ViewsReply&, const ViewsReply&) = default;
};

// ---- snapshots
/// Asks for the store's files as they are now; answered with SnapshotReply.
struct TakeSnapshot {
  friend bool operator==(const TakeSnapshot&, const TakeSnapshot&) = default;
};
/// Where they are held; storage/snapshot.h.
struct SnapshotReply {
  std::string directory;  ///< absolute, on the broker's machine
  Timestamp taken = kNoTimestamp;
  friend bool operator==(const SnapshotReply&, const SnapshotReply&) = default;
};

/// Answers DeleteTopic, Unsubscribe, DeleteGroup, WaitApplied.
struct Done {
  friend bool operator==(const Done&, const Done&) = default;
};

/// Answers any request that failed.
struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  ErrorAction action = ErrorAction::kPermanent;
  std::string message;
  /// Only with kPartialDuplicate: partition's place in Append, dedup entry's place, and the offset
  /// and partition where the record is; partition -1: the one it was sent to.
  struct Duplicate {
    std::uint32_t partition = 0;
    std::uint32_t entry = 0;
    Offset offset;
    PartitionIndex at{-1};
    friend bool operator==(const Duplicate&, const Duplicate&) = default;
  };
  std::vector<Duplicate> duplicates;
  friend bool operator==(const Failure&, const Failure&) = default;
};
// ---- erasure
/// The same id again answers what became of the first request.
struct EraseKey {
  std::string id;
  std::string topic;
  std::string key;
  friend bool operator==(const EraseKey&, const EraseKey&) = default;
};
struct ListErasures {
  std::string id;  ///< empty: all, without their parts and ranges
  friend bool operator==(const ListErasures&, const ListErasures&) = default;
};
struct ErasedPart {
  PartitionIndex partition;
  Offset end;  ///< records before it are meant
  std::uint64_t records = 0;
  friend bool operator==(const ErasedPart&, const ErasedPart&) = default;
};
struct ErasedRange {
  PartitionIndex partition;
  Offset first;
  Offset last;
  friend bool operator==(const ErasedRange&, const ErasedRange&) = default;
};
struct Erasure {
  std::string id;
  std::string topic;
  Timestamp requested = kNoTimestamp;
  Timestamp removed = kNoTimestamp;  ///< from then on nobody can read them
  Timestamp gone = kNoTimestamp;     ///< from then on no file holds them
  std::vector<ErasedPart> parts;
  std::vector<ErasedRange> ranges;
  bool ranges_cut = false;  ///< there were more
  std::uint64_t dedup_keys = 0;
  std::uint64_t segments_left = 0;
  std::string problem;
  friend bool operator==(const Erasure&, const Erasure&) = default;
};
struct ErasuresReply {
  std::vector<Erasure> erasures;
  friend bool operator==(const ErasuresReply&, const ErasuresReply&) = default;
};

/// A request whose kind this version does not know. Made by decoding only; answered with Failure.
struct UnknownRequest {
  friend bool operator==(const UnknownRequest&, const UnknownRequest&) = default;
};

using Request =
    std::variant<UnknownRequest, Hello, Append, Fetch, Subscribe, Credit, Unsubscribe, ListOffsets,
                 CreateTopic, DeleteTopic, AlterTopic, DescribeTopics, DeleteRecords, InitProducer,
                 GroupHeartbeat, FetchGroupOffsets, ListGroups, DescribeGroup, DeleteGroup,
                 Statistics, TakeSnapshot, EraseKey, ListErasures, Sql, ViewGet, WaitApplied,
                 SubscribeView, ListViews>;
using Response =
    std::variant<Failure, Done, HelloReply, AppendReply, FetchReply, SubscribeReply, Delivery,
                 ListOffsetsReply, TopicsReply, DeleteRecordsReply, InitProducerReply,
                 GroupHeartbeatReply, GroupOffsetsReply, GroupsReply, StatisticsReply,
                 SnapshotReply, ErasuresReply, SqlReply, ViewDelivery, ViewsReply>;

}  // namespace runnel::protocol::native
