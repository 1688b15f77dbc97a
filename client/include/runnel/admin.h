// Topics, offsets, groups, statistics. All operations are asynchronous and thread safe.
//
// What only reads, and create_topic() with if_not_exists, is sent again when the connection is
// lost, until ClientOptions::request_timeout has passed. Of the rest, a call whose answer was lost
// ends with Action::maybe_persisted: look what became of it before repeating it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/pending.h"
#include "runnel/types.h"

namespace runnel {

using TopicConfig = std::pair<std::string, std::string>;

struct TopicSpec {
  std::string name;
  std::int32_t partitions = 1;
  std::vector<TopicConfig> configs;  ///< Kafka's names, e.g. {"retention.ms", "604800000"}
  bool if_not_exists = false;
};
struct TopicChange {
  std::string name;
  std::vector<TopicConfig> set;
  std::vector<std::string> unset;  ///< back to the default
  std::int32_t partitions = 0;     ///< new total, never fewer; 0: as it is
};
struct PartitionState {
  std::int32_t partition = 0;
  std::int64_t log_start = 0;       ///< the oldest record's offset
  std::int64_t high_watermark = 0;  ///< behind the last record that can be read
  std::uint64_t bytes = 0;
  std::optional<Time> newest;  ///< the greatest timestamp
};
struct TopicState {
  std::string name;
  std::optional<Failure> error;  ///< Errc::unknown_topic for a name that was asked for
  std::string id;
  std::optional<Time> created;
  std::vector<PartitionState> partitions;
  std::vector<TopicConfig> configs;  ///< only what was set
};

struct OffsetLookup {
  enum class Kind : std::uint8_t { earliest, latest, max_timestamp, time };
  TopicPartition target;
  Kind kind = Kind::latest;
  Time time{};  ///< for Kind::time: the first record at or after it
};
struct OffsetAnswer {
  std::optional<Failure> error;
  std::int64_t offset = kNoPosition;  ///< kNoPosition: every record is older
  std::optional<Time> timestamp;
};

struct GroupMember {
  std::string member_id;
  std::string instance_id;
  std::string client_name;
  std::string host;
  std::int32_t epoch = 0;
  std::vector<TopicPartition> assignment;
};
struct GroupState {
  std::string group;
  std::string state;  ///< "empty", "reconciling" or "stable"
  std::int32_t epoch = 0;
  std::string assignor;
  std::vector<GroupMember> members;  ///< empty in list_groups()
};

struct Statistic {
  std::string name;
  std::uint64_t value = 0;
  std::string unit;  ///< empty for a plain number
  std::string text;  ///< what it is and what its rise means
};

/// The broker's files as they were at one moment, in its own file system, for whoever copies them,
/// as `runnel backup` does. `directory`/SNAPSHOT lists them. They go a minute later unless
/// `directory`/LOCK is locked (flock), and in any case when the broker starts again.
struct SnapshotFiles {
  std::string directory;
  Time taken{};
};

/// What became of an erasure. Names no key: it is kept when the key is gone.
struct ErasureState {
  struct Part {
    std::int32_t partition = 0;
    std::int64_t end = 0;  ///< records before it are meant
    std::uint64_t records = 0;
  };
  struct Range {
    std::int32_t partition = 0;
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  std::string id;
  std::string topic;
  std::optional<Time> requested;
  std::optional<Time> removed;  ///< from then on nobody can read the records
  /// From then on no file of the data directory holds them, but for what repairs put into
  /// quarantine/.
  std::optional<Time> gone;
  std::uint64_t records = 0;        ///< that were removed
  std::vector<Part> parts;          ///< of one that was asked for by its id, as are `ranges`
  std::vector<Range> ranges;        ///< offsets that were removed, the first 1000 ranges
  bool ranges_cut = false;          ///< there were more
  std::uint64_t dedup_keys = 0;     ///< that guarded these records and went with them
  std::uint64_t segments_left = 0;  ///< files that may hold them still
  std::string problem;  ///< why it got no further, or what it passed over; it is tried again
};

/// A cheap handle: copies are the same.
class RUNNEL_API Admin {
 public:
  /// Errc::topic_exists, invalid_topic_name, invalid_config, too_many_partitions. Durable when
  /// done.
  Pending<TopicState> create_topic(TopicSpec spec);
  Pending<void> delete_topic(std::string name);
  Pending<TopicState> alter_topic(TopicChange change);
  /// All topics, by name.
  Pending<std::vector<TopicState>> list_topics();
  /// In the order of `names`; a missing one has its `error` set.
  Pending<std::vector<TopicState>> describe_topics(std::vector<std::string> names);
  /// Removes records before `before` (at most the high watermark); answers the new log start.
  Pending<std::int64_t> delete_records(TopicPartition target, std::int64_t before);
  /// One answer a lookup, in order.
  Pending<std::vector<OffsetAnswer>> list_offsets(std::vector<OffsetLookup> lookups);

  Pending<std::vector<GroupState>> list_groups();
  Pending<GroupState> describe_group(std::string group);
  /// Errc::group_not_empty while it has members.
  Pending<void> delete_group(std::string group);
  /// What the group has committed; `partitions` empty: all.
  Pending<std::vector<GroupOffset>> group_offsets(std::string group,
                                                  std::vector<TopicPartition> partitions = {});
  /// Sets committed offsets from outside. Errc::group_not_empty while it has members.
  Pending<void> seek_group(std::string group, std::vector<GroupOffset> offsets);

  /// Erases every record of `topic` that has this key now, in all partitions; what is written later
  /// stays. Answers when the request is durable: it goes on by itself, also after a restart. An
  /// empty `id` gets one made; the same id again answers what became of the first request, which
  /// says nothing of the key given now once that one is `gone`. Errc::unknown_topic,
  /// invalid_argument for the id of a request for another topic, or another key where that is still
  /// known.
  Pending<ErasureState> erase_key(std::string topic, std::string key, std::string id = {});
  /// All that are known, or the one with this id: Errc::not_found.
  Pending<std::vector<ErasureState>> erasures(std::string id = {});

  Pending<std::vector<Statistic>> statistics();
  /// Errc::io, low_space, overloaded where several are held already.
  Pending<SnapshotFiles> take_snapshot();

  struct Impl;
  explicit Admin(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace runnel
