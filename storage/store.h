// The embedded log store: topics, append, fetch, offsets, retention. The broker and the embedded
// client are its two users.
//
// Writes go through one committer thread and are ordered; every write of one CommitRequest is
// atomic. Reads run on the caller's thread, or on the store's reader pool where they could block.
// docs/guarantees.md says what holds after a crash.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/base/uuid.h"
#include "storage/env/clock.h"
#include "storage/env/file_system.h"
#include "storage/env/memory_budget.h"
#include "storage/env/random.h"
#include "storage/erasure.h"
#include "storage/snapshot.h"
#include "storage/topic_configs.h"

namespace runnel::storage {

class Partition;
/// A partition, resolved once and then used without a lookup. Stays valid after the topic is
/// deleted; operations on it then answer kUnknownTopic.
using PartitionRef = std::shared_ptr<Partition>;

// ---------------------------------------------------------------- limits
inline constexpr std::size_t kMaxTopicNameBytes = 249;  ///< Kafka's limit
inline constexpr std::int32_t kMaxPartitionsPerTopic = 100'000;
inline constexpr std::size_t kMaxPartitions = 1'000'000;  ///< in one store
inline constexpr std::size_t kMaxOffsetMetadataBytes = 4096;
inline constexpr std::size_t kMaxDedupPartBytes = 255;  ///< each of a dedup key's three parts
/// Fence names in one store. A fence that were forgotten would let an old writer in again, so none
/// is, but those below: a new name beyond this is refused.
inline constexpr std::size_t kMaxFences = 20'000;
/// A fence whose name begins so guards the offsets of the group of that name, and goes with them
/// when they are deleted or expire: these names come one for each job of ours.
inline constexpr std::string_view kGroupFencePrefix = "runnel-";
/// In one CommitRequest; besides, an append has no more of them than records.
inline constexpr std::size_t kMaxDedupEntries = 10'000;
/// In one CommitRequest: the partitions that a transaction can write to.
inline constexpr std::size_t kMaxTransactionMarkers = 10'000;
inline constexpr std::size_t kMaxNameBytes = 255;  ///< groups, fences, state keys

// ---------------------------------------------------------------- options
enum class LogLevel { kInfo, kWarning, kError };
/// Receives the store's messages; any thread, must not block for long.
using LogSink = std::function<void(LogLevel, std::string_view)>;

struct StoreOptions {
  std::string directory;
  std::uint64_t memory_bytes = 256u << 20;   ///< block cache, memtables, tails, in flight
  std::uint64_t segment_bytes = 256u << 20;  ///< size a write-ahead segment starts with
  std::uint64_t group_bytes = 4u << 20;      ///< most bytes of one commit group
  /// How much of the newest log the machine's page cache may hold. More makes late readers faster;
  /// less leaves memory to others, and memory that is used again and again is quicker to write to.
  /// 0: it is written past the page cache, where the file system can do that.
  std::uint64_t page_cache_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t low_space_bytes = 256u << 20;  ///< below this much free, producers are rejected
  std::uint64_t ballast_bytes = 16u << 20;     ///< dropped so that a full disk can be opened
  /// What compaction and the cleaner read and write together at most, unless eight times of what is
  /// appended is more. 0: no limit.
  std::uint64_t cleaner_bytes_per_second = 64u << 20;
  std::chrono::milliseconds cleaner_interval{15'000};  ///< how often they look for work
  /// In this time the scrubber reads all that is cold once and verifies its checksums, evenly and
  /// slowly. 0: never.
  std::chrono::milliseconds scrub_interval{7LL * 24 * 3600 * 1000};
  std::chrono::milliseconds maintenance_interval{1000};  ///< retention, expiry, space checks
  /// How often retention.ms is looked at, so that records which were old when they were written can
  /// be read for a while; the first time 30 s after the start at the latest, and at once when space
  /// is short. 0: at every maintenance.
  std::chrono::milliseconds age_check_interval{0};
  std::chrono::milliseconds offsets_retention{7LL * 24 * 3600 * 1000};
  std::chrono::milliseconds producer_expiry{24LL * 3600 * 1000};
  /// True: retention waits for the first set_topic_defaults(), so that nothing is removed by a
  /// default that does not hold.
  bool topic_defaults_follow = false;
  /// True: the wall clock is right, however far it is from where it was left. Else age goes by the
  /// time that is known to have passed: docs/operations.md, clocks.
  bool trust_clock = false;
  /// False: nothing runs by itself but committer and syncer; call run_maintenance (tests).
  bool background = true;
  FileSystem* file_system = &FileSystem::posix();
  Clock* clock = &Clock::system();
  Random* random = &Random::system();
  LogSink log;
  /// Called once, from any thread, when the store cannot go on (a write or fsync failed). Nothing
  /// is acknowledged after it. The broker exits here; a retry could only lie.
  std::function<void(const Error&)> on_fatal;
};

// ---------------------------------------------------------------- topics
struct TopicSpec {
  std::string name;
  std::int32_t partitions = 1;
  ConfigMap configs;  ///< Kafka's names; unknown or unsupported ones are an error
};

struct PartitionInfo {
  PartitionIndex index;
  Offset log_start;
  Offset high_watermark;    ///< first offset that is not yet durable and visible
  Offset last_stable;       ///< first offset of an open transaction, or the high watermark
  std::uint64_t bytes = 0;  ///< of record batches between the two
  Timestamp max_timestamp = kNoTimestamp;
};

/// What a topic's configs ask of the records that clients bring. Not checked by the store: who
/// takes records over from clients answers for it.
struct RecordRules {
  bool log_append_time = false;  ///< the store stamps them, whatever they say
  bool needs_keys = false;       ///< a record without a key can't be compacted
  /// Keys or values have to name a schema of the topic's subject, and to fit it.
  bool key_schemas = false;
  bool value_schemas = false;
  /// How far a timestamp may lie before and after the broker's clock.
  std::int64_t timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t timestamp_after_max_ms = 3'600'000;
  std::int32_t max_batch_bytes = 1'048'588;  ///< the store refuses a larger one
  [[nodiscard]] bool asks_for_schemas() const noexcept { return key_schemas || value_schemas; }
};

struct TopicInfo {
  std::string name;
  Uuid id;
  Timestamp created;
  std::vector<PartitionInfo> partitions;
  ConfigMap configs;  ///< only what was set
};

// ---------------------------------------------------------------- writing
enum class Durability : std::uint8_t {
  kNone = 0,     ///< answered when accepted into the commit queue
  kWritten = 1,  ///< in the operating system's hands
  kSynced = 2,   ///< on stable storage
};

/// Identifies what a record of a topic says, over its lifetime: a repeat is recognised however
/// late, in whatever partition of the topic. The same key in another topic is another record.
struct DedupKey {
  std::string source;  ///< tenant or source type
  std::string source_id;
  std::string data_id;
  friend auto operator<=>(const DedupKey&, const DedupKey&) = default;
};

struct DedupEntry {
  DedupKey key;
  std::uint64_t payload_hash = 0;  ///< xxh3 of the payload as its producer defines it
  std::int32_t record_index = 0;   ///< the guarded record's place in its batches, from 0
};

struct AppendItem {
  PartitionRef partition;
  /// Valid v2 batches back to back (validate_batch at kCrc passed). Base offsets are stamped in
  /// place, so the bytes must have no other user until the callback ran.
  Buffer batches;
  std::vector<DedupEntry> dedup;
  std::optional<Offset> expected_next;  ///< precondition: the partition's next offset
  /// A producer that the partition does not know begins at sequence 0 there. Else at any, as of
  /// one whose earlier batches retention took.
  bool new_producers_from_zero = false;
};

struct OffsetCommit {
  std::string group;
  std::string topic;
  PartitionIndex partition;
  Offset offset;  ///< kNoOffset: forgets what was committed
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
};

/// Precondition: passes if `token` is at least the greatest token ever passed under `name`, which
/// becomes `token` in the same commit. Otherwise kFenced.
struct Fence {
  std::string name;
  std::uint64_t token = 0;
};

/// A change to the small ordered map that the broker keeps its own state in (groups, ...).
struct StateChange {
  std::string key;
  std::optional<std::string> value;  ///< nullopt deletes
};

/// Entries of that map: keys and values, by key.
using StateEntries = std::vector<std::pair<std::string, std::string>>;

/// A group gained its first member or lost its last one. Offsets expire counted from the latter.
/// Saying again what is known changes nothing, so everything may be reported anew after a start.
struct GroupActivity {
  std::string group;
  bool active = false;
};

/// Who writes: an idempotent producer at one of its epochs.
struct ProducerIdentity {
  ProducerId id;
  ProducerEpoch epoch;
};

/// Ends a producer's transaction in one partition: a control batch is appended there, after the
/// request's appends. The producer's epoch becomes the marker's, so that batches of an older one
/// are refused from then on (kInvalidProducerEpoch, and so is the marker itself if it is older
/// than what the partition knows). A marker where no transaction is open is appended all the same.
struct TransactionMarker {
  PartitionRef partition;
  ProducerIdentity producer;
  bool commit = false;
  std::int32_t coordinator_epoch = 0;
};

/// All of it happens, or none of it. With one exception, for records that are known already:
/// - Every append was stored before, at least one of them known by its dedup keys: none of them is
///   appended; markers, offsets, fences, state and activity are taken as they stand here, because
///   the keys may have come in another request.
///   Of the offsets those are left out that a group has passed: the request may itself be a late
///   repeat, and must not put them back.
/// - Every append was stored before, known by their producers' sequences: that is this request
///   again, as a client repeats it whose answer was lost. The first time did all of it. Only the
///   fences are taken anew: an old repeat must not put back an offset that has moved on.
/// A dedup key stands at most once a topic in a request.
struct CommitRequest {
  std::vector<AppendItem> appends;
  std::vector<TransactionMarker> markers;  ///< at most kMaxTransactionMarkers; a partition once
  std::vector<OffsetCommit> offsets;
  std::vector<Fence> fences;
  std::vector<StateChange> state;
  std::vector<GroupActivity> activity;
  Durability durability = Durability::kSynced;
};

struct AppendResult {
  Offset base_offset;
  Offset last_offset;
  Offset log_start;
  Timestamp append_time = kNoTimestamp;  ///< set for message.timestamp.type=LogAppendTime
  bool duplicate = false;                ///< stored before; the offsets are the first ones'
  /// For an item with dedup keys: each key's offset, in the order of AppendItem::dedup.
  std::vector<Offset> dedup_offsets;
  /// Of a duplicate: their partitions, if not all of them are the item's.
  std::vector<PartitionIndex> dedup_partitions = {};
};

struct CommitResult {
  std::vector<AppendResult> appends;  ///< one an AppendItem
  Durability durability = Durability::kSynced;
};

/// kPartialDuplicate's message lists nothing; this does: which entries were already there.
struct PartialDuplicate {
  std::size_t append = 0;  ///< index into CommitRequest::appends
  std::size_t entry = 0;   ///< index into its dedup list
  Offset offset;
  PartitionIndex partition;  ///< of the item's topic
};

struct CommitOutcome {
  Result<CommitResult> result;
  std::vector<PartialDuplicate> duplicates;           ///< only with kPartialDuplicate
  std::optional<DedupEntry> conflict = std::nullopt;  ///< only with kDedupConflict: what is stored
};

/// Runs exactly once, on one of the store's threads or inside drive_commits(), and must not block.
using CommitCallback = std::function<void(CommitOutcome)>;
using StatusCallback = std::function<void(Status)>;

// ---------------------------------------------------------------- reading
struct FetchItem {
  PartitionRef partition;
  Offset from;
  std::uint32_t max_bytes = 1u << 20;
};

struct FetchRequest {
  std::vector<FetchItem> items;
  std::uint64_t max_bytes = 50u << 20;    ///< in all; the first batch comes even if it is larger
  std::uint64_t min_bytes = 1;            ///< wait until this much is there ...
  std::chrono::milliseconds max_wait{0};  ///< ... or this long
  /// Only batches below the last stable offset, with the aborted transactions among them.
  /// `min_bytes` counts those only.
  bool committed_only = false;
};

/// A transaction that was aborted. Its producer's transactional batches from `first` up to the
/// abort marker are to be left out.
struct AbortedTransaction {
  ProducerId producer;
  Offset first;
};

struct FetchedPartition {
  std::optional<Error> error;
  Offset high_watermark;
  Offset log_start;
  Offset last_stable;
  /// Whole batches in offset order; the first one contains FetchItem::from (and may begin before
  /// it). Bytes of the slices never change while they are held.
  std::vector<FileSlice> slices;
  std::uint64_t bytes = 0;
  /// Offset after the last batch given; FetchItem::from if there is none.
  Offset next;
  /// For committed_only: the aborted transactions that touch [from, next), by ascending `first`.
  std::vector<AbortedTransaction> aborted;
};

using FetchResult = std::vector<FetchedPartition>;  ///< one a FetchItem
/// Runs exactly once: at once on the caller's thread if nothing blocks, else on a store thread.
using FetchCallback = std::function<void(FetchResult)>;
/// Names a waiting fetch. 0: already answered.
using FetchTicket = std::uint64_t;

/// Where in time or in the log.
struct OffsetQuery {
  enum class Kind { kEarliest, kLatest, kMaxTimestamp, kTime };
  Kind kind = Kind::kLatest;
  Timestamp time = kNoTimestamp;  ///< for kTime: the first record at or after it
  bool committed_only = false;    ///< answers below the last stable offset; kLatest: just that
};
struct OffsetAnswer {
  Offset offset;  ///< kTime: kNoOffset if every record is older
  Timestamp timestamp = kNoTimestamp;
};

struct CommittedOffset {
  std::string topic;
  PartitionIndex partition;
  Offset offset;
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
  Timestamp committed;
};

/// An idempotent producer as a partition remembers it.
struct ProducerInfo {
  ProducerId id;
  ProducerEpoch epoch;
  std::int32_t last_sequence = -1;
  Timestamp last_seen;
  Offset transaction_first = kNoOffset;  ///< of its open transaction here; kNoOffset: none
  std::int32_t coordinator_epoch = -1;   ///< of its last transaction marker; -1: there was none
};

struct StoreStats;  // storage/stats.h

/// Tells of news in partitions until it is destroyed. Thread safe, except the destruction.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Replaces `changed` by the places (in the list that watch() was given) of the partitions that
  /// grew or were deleted since the last take().
  virtual void take(std::vector<std::uint32_t>& changed) = 0;
};

/// A store that is open. Thread safe throughout.
class Store {
 public:
  /// Opens or creates `options.directory`. Replays what was written after the last checkpoint.
  /// Errors: kLocked (who holds it), kFormatTooNew, kCorrupt (what is damaged, where, and the
  /// command that repairs it), kLowSpace, kIo.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(StoreOptions options);

  /// close(), its error logged.
  virtual ~Store() = default;
  /// Refuses new work (kShuttingDown), finishes what was accepted, checkpoints. The
  /// destructor unlocks.
  /// Waiting fetches are answered with what is there. Idempotent.
  [[nodiscard]] virtual Status close() = 0;

  // Topics. Blocking: they return once the change is durable.
  [[nodiscard]] virtual Result<TopicInfo> create_topic(const TopicSpec& spec) = 0;
  /// What create_topic() would refuse now, without creating it.
  [[nodiscard]] virtual Status validate_topic(const TopicSpec& spec) const = 0;
  /// Configs that hold for topics which do not set them, from now on, instead of the table's
  /// defaults; for existing topics too. Not durable: whoever opens the store sets them again.
  [[nodiscard]] virtual Status set_topic_defaults(ConfigMap defaults) = 0;
  [[nodiscard]] virtual Status delete_topic(std::string_view name) = 0;
  /// Sets configs; an empty optional goes back to the default.
  [[nodiscard]] virtual Status alter_topic(
      std::string_view name, const std::map<std::string, std::optional<std::string>>& changes) = 0;
  /// Raises the number of partitions to `total`.
  [[nodiscard]] virtual Status add_partitions(std::string_view name, std::int32_t total) = 0;
  /// Names in order.
  [[nodiscard]] virtual std::vector<std::string> topic_names() const = 0;
  [[nodiscard]] virtual Result<TopicInfo> describe_topic(std::string_view name) const = 0;
  /// The name of the topic with this id. kUnknownTopic.
  [[nodiscard]] virtual Result<std::string> topic_name(const Uuid& id) const = 0;
  /// kUnknownTopic, kUnknownPartition.
  [[nodiscard]] virtual Result<PartitionRef> partition(std::string_view topic,
                                                       PartitionIndex index) const = 0;
  /// Never given to another partition, also not if the topic is deleted and made anew.
  [[nodiscard]] virtual PartitionId partition_id(const PartitionRef& partition) const = 0;
  /// Removes records before `before` (the high watermark at most); returns the new log start.
  [[nodiscard]] virtual Result<Offset> delete_records(const PartitionRef& partition,
                                                      Offset before) = 0;
  [[nodiscard]] virtual PartitionInfo partition_info(const PartitionRef& partition) const = 0;
  [[nodiscard]] virtual RecordRules record_rules(const PartitionRef& partition) const = 0;

  // Writing.
  virtual void commit(CommitRequest request, CommitCallback done) = 0;
  /// commit() by a thread that calls drive_commits() soon; until then nobody may have begun. The
  /// same as commit() in a store whose drive_commits() was never called. For event loops: what one
  /// turn brought becomes one group, and no other thread has to wake up.
  virtual void queue_commit(CommitRequest request, CommitCallback done) {
    commit(std::move(request), std::move(done));
  }
  /// Works on queued commits here if that takes no longer than a small write and, where the disk is
  /// quick, its sync; else has them worked on elsewhere. Callbacks of anybody's commits may run
  /// inside. True if it worked. Not from a callback.
  virtual bool drive_commits() { return false; }
  /// commit() that waits. Not from a callback.
  [[nodiscard]] CommitOutcome commit_and_wait(CommitRequest request);
  /// A new idempotent producer: a fresh id at epoch 0.
  [[nodiscard]] virtual Result<ProducerIdentity> new_producer() = 0;
  /// The idempotent producers that a partition remembers, by ascending id. Blocking: waits for
  /// commits that were queued before.
  [[nodiscard]] virtual Result<std::vector<ProducerInfo>> producers(
      const PartitionRef& partition) = 0;
  /// One of them, nullopt if it is not remembered: whatever their number. Blocking likewise.
  [[nodiscard]] virtual Result<std::optional<ProducerInfo>> producer(const PartitionRef& partition,
                                                                     ProducerId id) = 0;

  // Reading.
  virtual FetchTicket fetch(FetchRequest request, FetchCallback done) = 0;
  /// Ends a waiting fetch; its callback will not run after this returns true.
  virtual bool cancel_fetch(FetchTicket ticket) = 0;
  /// Watches partitions for those who read them again and again: what it costs, it costs once, and
  /// each change costs the same however many partitions are watched. `changed` is called, from any
  /// thread, when there is something to take(), and not again before that was taken. It must not
  /// block, and may run once more while the watch is being destroyed. Read after this returned.
  [[nodiscard]] virtual std::unique_ptr<Watch> watch(std::vector<PartitionRef> partitions,
                                                     std::function<void()> changed) = 0;
  /// fetch() that waits and copies the bytes: each partition's batches in one Buffer.
  struct Fetched {
    FetchedPartition head;  ///< slices empty
    Buffer batches;
  };
  [[nodiscard]] std::vector<Fetched> fetch_and_wait(FetchRequest request);
  [[nodiscard]] virtual Result<OffsetAnswer> find_offset(const PartitionRef& partition,
                                                         OffsetQuery query) const = 0;

  // Consumer offsets and broker state.
  // Reading them fails with kIo or kCorrupt: what can't be read is never taken for nothing.
  /// nullopt: nothing committed.
  [[nodiscard]] virtual Result<std::optional<CommittedOffset>> committed_offset(
      std::string_view group, std::string_view topic, PartitionIndex partition) const = 0;
  [[nodiscard]] virtual Result<std::vector<CommittedOffset>> committed_offsets(
      std::string_view group) const = 0;
  /// Groups that have offsets, in order.
  [[nodiscard]] virtual Result<std::vector<std::string>> groups_with_offsets() const = 0;
  /// Removes a group's offsets.
  [[nodiscard]] virtual Status delete_group_offsets(std::string_view group) = 0;
  /// Lets offsets of empty groups expire. To be called once every group that has members was
  /// reported after the start; before it nothing expires, for nobody knows who is active.
  virtual void start_expiry() {}
  /// While a group has members its offsets do not expire; expiry counts from when it empties.
  /// Returns at once; CommitRequest::activity is the form that is atomic with other changes.
  virtual void set_group_active(std::string_view group, bool active) = 0;
  /// Entries of the state map whose key begins with `prefix`, in order.
  [[nodiscard]] virtual Result<StateEntries> read_state(std::string_view prefix) const = 0;

  /// Holds the store's files as they are now in place for whoever copies them; appends go on
  /// meanwhile. Who reads them holds the lock on `directory`/LOCK (flock) within a minute; they go
  /// when nobody does, or when the store is opened anew. Blocking. Errors: kLowSpace, kOverloaded
  /// where several are held already, kShuttingDown, kIo.
  [[nodiscard]] virtual Result<Snapshot> take_snapshot() = 0;
  /// Begins to erase the records of `topic` that have this key now, in all partitions: from the log
  /// first, then from every file of the directory. What is written later stays. Durable when it
  /// returns, and taken up again after a restart. The same id once more answers what became of the
  /// first request, whatever the key, once that is finished; while it is not, another key is
  /// refused. Errors: kUnknownTopic, kInvalidArgument, kOverloaded.
  [[nodiscard]] virtual Result<Erasure> erase_key(std::string_view id, std::string_view topic,
                                                  std::string_view key) {
    static_cast<void>(id), static_cast<void>(topic), static_cast<void>(key);
    return fail(ErrorCode::kUnsupported, "this store erases nothing");
  }
  /// The receipt of one. kNotFound.
  [[nodiscard]] virtual Result<Erasure> erasure(std::string_view id) const {
    return fail(ErrorCode::kNotFound, "there is no erasure " + std::string(id));
  }
  /// Receipts in short, by the time of their requests: those that are not finished, and the latest
  /// kMaxErasures in all. They have no ranges, and the sum of their records as one part, of
  /// partition -1.
  [[nodiscard]] virtual std::vector<Erasure> erasures() const { return {}; }

  /// Retention, expiry, compaction, segments, space: what runs in the background, once, now.
  [[nodiscard]] virtual Status run_maintenance() = 0;
  [[nodiscard]] virtual StoreStats stats() const = 0;
  [[nodiscard]] virtual MemoryBudget& memory() = 0;
  /// Random, made with the directory; shown to clients as the cluster id.
  [[nodiscard]] virtual const Uuid& id() const = 0;
};

}  // namespace runnel::storage
