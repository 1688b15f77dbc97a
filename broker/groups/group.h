// One consumer group as a state machine: no I/O, no clock, no threads.
//
// The group has a target: each member's share as an assignor sees it. It is made anew, and the
// group's epoch raised, whenever members, subscriptions or partition counts change. Every member
// walks from what it has to its target, one heartbeat at a time:
//   1. what it has and should not have, it is told to give up; it stays at its epoch meanwhile
//   2. a heartbeat that no longer names those partitions frees them and takes the group's epoch
//   3. it is given what it should have, as soon as no other member has it
// So a partition never has two owners: it goes from one to the next only when the first said that
// it has stopped, left, or was put out for silence.
//
// The stored form (state key "group/<name>"; docs/formats/group-state.md), varints as in bytes.h:
//   u8        version             3; 1 is read too: it lacks what is marked with *
//   varint    group epoch
//   uvarint   topics, each:       text name, uvarint 1 + partitions (0: not subscribed now)
//   uvarint   members, each:
//     text    member id, instance id, client name, host, assignor
//     varint  member epoch, previous epoch
//     u8      flags               bit 0: a static member that is away
//     uvarint session timeout, milliseconds
//   * uvarint rebalance timeout, milliseconds (0: none named)
//   * text    rack, pattern
//   * uvarint topics named beside a pattern (0 without one), each: uvarint place in topics
//     uvarint subscribed topics, each: uvarint place in topics
//     set     assigned, set revoking, set target
//   set:      uvarint topics, each: uvarint place in topics, uvarint runs, each:
//             uvarint partitions left out since the last run, uvarint length - 1
// Deadlines are not stored: after a restart every member has a whole timeout. Version 2 is a
// classic group, see classic_group.h.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/assignor.h"
#include "broker/groups/classic_types.h"
#include "broker/groups/consumer_types.h"
#include "broker/groups/group_config.h"
#include "broker/groups/limits.h"
#include "broker/groups/partition_set.h"
#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/native/messages.h"

namespace runnel::broker {

inline constexpr std::uint8_t kGroupStateVersion = 3;

/// What a list of topics takes of memory, about.
[[nodiscard]] std::size_t bytes_of(const std::vector<std::string>& topics);
/// Whether a member may subscribe to so many topics with such names. kInvalidArgument.
[[nodiscard]] Status check_topics(const std::vector<std::string>& topics);

/// Not thread safe. `now` is any monotonic time, the same one in all calls.
class Group {
 public:
  using Time = std::chrono::nanoseconds;
  using Heartbeat = protocol::native::GroupHeartbeat;
  using Reply = protocol::native::GroupHeartbeatReply;
  /// A topic; no partitions if there is none.
  using PartitionCount = std::function<TopicShape(std::string_view topic)>;
  /// Names of the topics that match a pattern, ascending. kInvalidRegularExpression.
  using TopicMatch = std::function<Result<std::vector<std::string>>(const std::string& pattern)>;

  /// What a heartbeat comes with from outside.
  struct Context {
    Time now;
    std::string_view host;           ///< of the peer
    std::string_view new_member_id;  ///< for a member that joins without one
    const PartitionCount* partition_count = nullptr;
    const TopicMatch* match = nullptr;    ///< for Kafka's consumers
    const GroupConfig* config = nullptr;  ///< for Kafka's consumers
  };
  struct Outcome {
    Result<Reply> reply;
    bool changed = false;  ///< something that encode() stores
  };
  struct ConsumerOutcome {
    Result<ConsumerHeartbeatReply> reply;
    bool changed = false;
  };

  explicit Group(std::string name) : name_(std::move(name)) {}

  /// Names and limits of a request; says nothing about the group. kInvalidArgument.
  [[nodiscard]] static Status validate(const Heartbeat& request);
  /// `request` passed validate(). Errors: see Coordinator::heartbeat.
  [[nodiscard]] Outcome heartbeat(const Heartbeat& request, const Context& context);
  /// The same for Kafka's ConsumerGroupHeartbeat. Errors: see Coordinator::consumer_heartbeat.
  [[nodiscard]] static Status validate(const ConsumerHeartbeat& request);
  [[nodiscard]] ConsumerOutcome heartbeat(const ConsumerHeartbeat& request, const Context& context);
  /// Puts out members whose time is over. True: something changed. Cheap when nothing is due.
  bool expire(Time now);
  /// Nothing is due before this. May be too early, never too late.
  [[nodiscard]] Time next_deadline() const noexcept { return next_deadline_; }
  /// Looks at the partition counts again and, given `match`, at the patterns. True: something
  /// changed.
  bool refresh_topics(const PartitionCount& partition_count, const TopicMatch* match = nullptr);
  /// See Coordinator::check_commit.
  [[nodiscard]] Status check_commit(std::string_view member_id, std::int32_t epoch) const;
  /// As Kafka: kOk, kUnknownMember, kStaleMemberEpoch, kUnsupported (the client is too old).
  [[nodiscard]] ErrorCode check_commit(const classic::MemberIdentity& member, bool transactional,
                                       bool knows_epochs) const;
  [[nodiscard]] bool subscribes(std::string_view topic) const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool empty() const noexcept { return members_.empty(); }
  [[nodiscard]] std::int32_t epoch() const noexcept { return epoch_; }
  /// What the members and their subscriptions take of memory, about; 0 without members. What is
  /// shared out is bounded by kMaxGroupPartitions besides.
  [[nodiscard]] std::size_t bytes() const { return usage().bytes; }
  [[nodiscard]] protocol::native::GroupDescription describe(bool with_members) const;
  [[nodiscard]] ConsumerDescription describe_consumer(bool with_members) const;

  [[nodiscard]] std::string encode() const;
  /// Members get a whole timeout from `now`. Errors: kCorrupt, kFormatTooNew.
  [[nodiscard]] static Result<Group> decode(std::string name, Bytes bytes, Time now);

 private:
  /// Ascending, unique; never null. Members that subscribe to the same share one.
  using TopicList = std::shared_ptr<const std::vector<std::string>>;
  [[nodiscard]] static const TopicList& no_topics();

  struct Member {
    std::string instance_id;
    std::string client_name;
    std::string host;
    std::string assignor;
    std::int32_t epoch = 0;
    std::int32_t previous_epoch = -1;
    bool away = false;               ///< left with kEpochLeaveStatic
    TopicList names = no_topics();   ///< subscribed to by name
    std::string pattern;             ///< subscribed to by pattern; empty: none
    TopicList topics = no_topics();  ///< both together; `names` itself without a pattern
    std::string rack;
    std::uint32_t session_timeout_ms = 0;
    std::uint32_t rebalance_timeout_ms = 0;  ///< 0: kRevocationTimeout
    PartitionSet assigned;                   ///< what it may work on
    PartitionSet revoking;                   ///< what it was told to give up and may still work on
    PartitionSet target;                     ///< what it should have
    /// Topics of `assigned` that were deleted since, if made anew as well: to be given up first.
    std::set<std::string, std::less<>> gone;
    Time deadline{};
    Time revoke_deadline{};
  };
  using Members = std::map<std::string, Member, std::less<>>;  ///< by member id

  /// A heartbeat in either protocol. Views of the caller's; null or nullopt: as before.
  struct Request {
    std::string_view member_id;
    std::int32_t epoch = 0;
    std::string_view instance_id;
    std::uint32_t session_timeout_ms = 0;
    std::uint32_t rebalance_timeout_ms = 0;
    const std::string* client_name = nullptr;
    const std::string* rack = nullptr;
    const std::string* assignor = nullptr;
    const std::vector<std::string>* names = nullptr;
    const std::string* pattern = nullptr;
    const std::vector<protocol::native::TopicPartition>* owned = nullptr;
  };
  /// What a heartbeat did, besides the member's state.
  struct Beat {
    Result<Members::iterator> member;
    bool changed = false;     ///< something that is stored
    bool reassigned = false;  ///< the member's assignment
  };
  struct Reconciled {
    bool changed = false;
    bool reassigned = false;
  };

  [[nodiscard]] static Request request_of(const Heartbeat& request);
  [[nodiscard]] static Request request_of(const ConsumerHeartbeat& request,
                                          const GroupConfig& config);
  [[nodiscard]] Beat join(const Request& request, const Context& context);
  [[nodiscard]] Beat add_member(const Request& request, std::string id, const Context& context);
  void leave(Members::iterator member, std::int32_t epoch, const Context& context);
  [[nodiscard]] Beat beat(Members::iterator member, const Request& request, const Context& context,
                          bool changed);
  [[nodiscard]] Result<Members::iterator> find_member(const Request& request);
  [[nodiscard]] Result<Members::iterator> find_consumer(const ConsumerHeartbeat& request);
  [[nodiscard]] Members::iterator find_instance(std::string_view instance_id);
  [[nodiscard]] Status check_epoch(const Member& member, std::int32_t epoch,
                                   const Request& request) const;
  [[nodiscard]] Status check_consumer_epoch(const Member& member,
                                            const ConsumerHeartbeat& request) const;
  [[nodiscard]] Status check_consumer_join(const ConsumerHeartbeat& request,
                                           const GroupConfig& config);
  /// Takes over what may change from one heartbeat to the next.
  [[nodiscard]] Result<bool> update(const std::string& id, Member& member, const Request& request,
                                    const Context& context);
  /// `list`, or one that a member has already and that is equal.
  [[nodiscard]] TopicList shared(std::vector<std::string> list) const;
  [[nodiscard]] Result<TopicList> topics_of(const TopicList& names, const std::string& pattern,
                                            const TopicMatch* match) const;
  /// What the members' subscriptions take; see limits.h.
  struct Usage {
    std::size_t bytes = 0;
    std::size_t subscriptions = 0;
    std::set<const void*> lists;  ///< those that are counted
  };
  static void count(const std::string& id, const Member& member, Usage& usage);
  [[nodiscard]] Usage usage(const Member* without = nullptr) const;
  /// Whether the group keeps its limits if `member`, which may be one of its members, subscribes to
  /// this. What takes no more than now always does.
  [[nodiscard]] Status check_size(const std::string& id, const Member& member,
                                  const TopicList& names, const TopicList& topics,
                                  const PartitionCount& partition_count) const;
  [[nodiscard]] std::size_t partitions_with(const std::vector<std::string>& topics,
                                            const PartitionCount& partition_count) const;
  /// Has patterns look at the topics again. False: nothing changed, or the group would grow beyond
  /// its limits; then it keeps what it had, which is better than losing it all.
  bool match_again(const PartitionCount& partition_count, const TopicMatch& match);
  Reconciled reconcile(Members::iterator member, const PartitionSet& owned, Time now);
  [[nodiscard]] PartitionSet free_of_others(const std::string& id, PartitionSet wanted) const;
  [[nodiscard]] bool settled(const Member& member) const;
  [[nodiscard]] PartitionCounts subscribed(const PartitionCount& partition_count) const;
  [[nodiscard]] Assignor chosen_assignor() const;
  /// Sets counts_, and notes whose topics are gone. False: all is as it was.
  bool take_counts(PartitionCounts now);
  /// What the member has and should not have, or not that of what bears the name now.
  [[nodiscard]] static PartitionSet excess_of(const Member& member);
  /// Raises the epoch and makes the target anew from counts_.
  void retarget();
  void check_invariants() const;
  [[nodiscard]] Reply reply_to(const std::string& id, const Member& member) const;
  void wake_at(Time time) { next_deadline_ = std::min(next_deadline_, time); }

  friend class GroupReader;
  friend class GroupWriter;

  std::string name_;
  std::int32_t epoch_ = 0;
  Members members_;
  Time next_deadline_ = Time::max();
  /// Of every subscribed topic, as the target was made with. Their ids are not stored: those of the
  /// first look after a start are taken as they are.
  PartitionCounts counts_;
};

}  // namespace runnel::broker
