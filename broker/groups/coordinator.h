// All consumer groups: who is in a group, who works on what, and whether a commit comes from a
// member in good standing.
//
// Names are one space, and a group is of one kind while it has members: a consumer group, whose
// partitions are shared out here (the native protocol and Kafka's KIP-848), or a classic group,
// whose leader does that. The rules are in group.h and classic_group.h, which have no I/O. This
// class owns the groups, makes their changes durable and answers. A reply that tells of a stored
// change waits until the change is on stable storage; a heartbeat that changes nothing, in a group
// with nothing in flight, is answered inside the call.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/groups/assignor.h"
#include "broker/groups/classic_types.h"
#include "broker/groups/consumer_types.h"
#include "broker/groups/group_config.h"
#include "broker/groups/limits.h"
#include "protocol/base/error.h"
#include "protocol/native/messages.h"
#include "storage/env/random.h"

namespace runnel::storage {
class Store;
}

namespace runnel::broker {

/// Names a join or sync that may wait. 0: answered inside the call.
using ReplyTicket = classic::ReplyToken;

/// What the coordinator needs of storage. Thread safe. storage::Store in production, see
/// make_group_store; a model in tests.
class GroupStore {
 public:
  using Done = std::function<void(Status)>;
  virtual ~GroupStore() = default;
  /// Sets one key of the state map, or deletes it; `done` runs once, when that is durable. Changes
  /// become durable in the order of the calls.
  virtual void save(std::string key, std::optional<std::string> value, Done done) = 0;
  [[nodiscard]] virtual Result<std::vector<std::pair<std::string, std::string>>> load(
      std::string_view prefix) const = 0;
  virtual void set_active(std::string_view group, bool active) = 0;
  /// All groups are loaded and set_active() was called for each.
  virtual void loaded() {}
  [[nodiscard]] virtual Result<bool> has_offsets(std::string_view group) const = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> groups_with_offsets() const = 0;
  [[nodiscard]] virtual Status delete_offsets(std::string_view group) = 0;
};
/// A GroupStore on `store`, which must outlive it.
[[nodiscard]] std::unique_ptr<GroupStore> make_group_store(storage::Store& store);

enum class GroupKind : std::uint8_t { kClassic, kConsumer };

/// A group in a list, in Kafka's words.
struct GroupListing {
  std::string group;
  GroupKind kind = GroupKind::kClassic;  ///< a group that has only offsets is classic
  std::string state;                     ///< as classic::Description or ConsumerDescription have it
  std::string protocol_type;             ///< "consumer", ...; empty if it never had members
};

/// What the limit of groups has led to since the start.
struct GroupLimitCounts {
  std::uint64_t forgotten = 0;  ///< empty groups that were let go of; their positions stay
  std::uint64_t refused = 0;    ///< joins to new groups that found no place
  friend bool operator==(const GroupLimitCounts&, const GroupLimitCounts&) = default;
};

/// What kind of request commits offsets.
struct CommitKind {
  bool transactional = false;  ///< TxnOffsetCommit
  bool knows_epochs = true;    ///< OffsetCommit v9 and later
};

/// Who commits in the native protocol.
struct NativeCommitter {
  std::string group;
  std::string member_id;  ///< empty: nobody's commit, for groups without members
  std::int32_t member_epoch = -1;
};

/// All groups. Thread safe. `now` is monotonic time (storage::Clock::monotonic()) everywhere.
class Coordinator {
 public:
  /// A topic now; no partitions if there is none. Called under the coordinator's lock, so it must
  /// be quick and must not call the coordinator.
  using PartitionCount = std::function<TopicShape(std::string_view topic)>;
  /// Names of all topics, ascending. Called as PartitionCount is.
  using TopicNames = std::function<std::vector<std::string>()>;
  using HeartbeatReply = protocol::native::GroupHeartbeatReply;
  /// Runs exactly once: inside heartbeat(), or later on one of the store's threads. Must not block;
  /// no lock is held.
  using HeartbeatCallback = std::function<void(Result<HeartbeatReply>)>;
  /// Run at most once: inside the call, or later on a thread of the store or of whoever calls the
  /// coordinator. Must not block; no lock is held. They run exactly once unless cancelled.
  using ConsumerCallback = std::function<void(Result<ConsumerHeartbeatReply>)>;
  using JoinCallback = std::function<void(classic::JoinReply)>;
  using SyncCallback = std::function<void(classic::SyncReply)>;

  /// Loads the groups; members go on with their ids and epochs, and have a whole session timeout
  /// from `now` to be heard of. Errors: kCorrupt, kFormatTooNew (which group, what is wrong).
  /// `random` makes member ids and must outlive the coordinator. Without `topic_names` no pattern
  /// matches anything.
  [[nodiscard]] static Result<std::unique_ptr<Coordinator>> open(
      std::unique_ptr<GroupStore> store, storage::Random& random, PartitionCount partition_count,
      std::chrono::nanoseconds now, GroupConfig config = {}, TopicNames topic_names = {});
  /// Replies still waiting are answered by the store's callbacks, which may outlive the coordinator
  /// but not the GroupStore's store.
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Joins, heartbeats, acknowledges and leaves. `host` is the peer's address, for describe().
  /// A member has one heartbeat on the way at a time and ignores replies to older ones. A client
  /// may choose its own member id (a UUID) and join with it, so that a repeated join is the same
  /// member. Errors:
  ///   kInvalidArgument  names, limits, unknown assignor, -2 without instance id
  ///   kUnknownMember    not (any more) a member: join again with epoch 0
  ///   kStaleGeneration  the epoch is old and `owned` is more than was granted: join again
  ///   kFenced           the epoch was never given, or another process has this instance id
  ///   kOverloaded       too many groups or members, or their subscriptions take too much memory
  ///   kGroupMaxSizeReached, kTooManyPartitions  the group's subscriptions are too large
  ///   kRebalancing      the group is being deleted at this moment
  ///   kInconsistentGroupProtocol  it is a classic group with members
  ///   and what storage answers, e.g. kShuttingDown
  /// The reply to leaving has the epoch -1 or -2 and no assignment.
  void heartbeat(const protocol::native::GroupHeartbeat& request, std::string_view host,
                 std::chrono::nanoseconds now, HeartbeatCallback done);

  /// A new configuration for what comes from now on.
  void configure(const GroupConfig& config);
  /// Puts out members that were silent too long, notices topics that grew or went, forgets groups
  /// nobody needs. Call about once a second.
  void tick(std::chrono::nanoseconds now);
  /// Ends rebalances and sessions whose time has come; cheap when there are none. Call every
  /// kDeadlineStep, or when next_deadline() has come: it moves with every request.
  void run_deadlines(std::chrono::nanoseconds now);
  /// ClassicGroup::kNever if nothing waits for time.
  [[nodiscard]] std::chrono::nanoseconds next_deadline() const;
  [[nodiscard]] GroupLimitCounts limit_counts() const;

  // Kafka's classic protocol. Errors are values of the replies; see ClassicGroup for which. Also
  // kNotAvailable (try again: full, being deleted, or storage failed) and, for a consumer group
  // with members, kInconsistentGroupProtocol (join) or kUnknownMember (the others).

  /// May wait for minutes; that costs an entry in a list.
  ReplyTicket join(const classic::JoinRequest& request, std::chrono::nanoseconds now,
                   JoinCallback done);
  ReplyTicket sync(const classic::SyncRequest& request, std::chrono::nanoseconds now,
                   SyncCallback done);
  /// The connection has gone: nobody wants the reply. The member stays until its session is over.
  /// True: the callback has not run and will not. False: it has run, or is about to.
  bool cancel(ReplyTicket ticket);
  [[nodiscard]] ErrorCode classic_heartbeat(std::string_view group,
                                            const classic::MemberIdentity& member,
                                            std::chrono::nanoseconds now);
  /// An answer for each, in order.
  [[nodiscard]] std::vector<classic::LeftMember> leave(
      std::string_view group, std::span<const classic::LeavingMember> leaving,
      std::chrono::nanoseconds now);
  /// kUnknownGroup, also for a consumer group. A group that has only offsets is an empty one.
  [[nodiscard]] Result<classic::Description> describe_classic(std::string_view group) const;

  // Kafka's consumer groups (KIP-848).

  /// As heartbeat(), with Kafka's rules and errors:
  ///   kInvalidArgument, kInvalidGroupId, kUnsupportedAssignor, kInvalidRegularExpression
  ///   kUnknownGroup          no such group and no join, or a classic group with members
  ///   kUnknownMember, kFencedMemberEpoch   join again with epoch 0
  ///   kUnreleasedInstanceId  a join while the instance id's member has not left
  ///   kFencedInstanceId      the instance id is another member's
  ///   kGroupMaxSizeReached, kTooManyPartitions
  ///   kNotAvailable          no room for more groups or subscriptions, or this one is being
  ///                          deleted: try again
  /// The session timeout is the configuration's.
  void consumer_heartbeat(const ConsumerHeartbeat& request, std::string_view host,
                          std::chrono::nanoseconds now, ConsumerCallback done);
  /// kUnknownGroup, also for a classic group.
  [[nodiscard]] Result<ConsumerDescription> describe_consumer(std::string_view group) const;

  // Both kinds, in Kafka's words.

  /// Calls `queue`, which hands offsets to the store, if this member may commit them now: at most
  /// once, inside. It must not block nor call the coordinator, for the group stays as it is until
  /// it returns: what the group stores or deletes later comes after the offsets, so no member of
  /// an older generation overtakes one of the next. For classic groups `generation` is that, for
  /// consumer groups the member's epoch. Errors: those of ClassicGroup::check_commit and
  /// Group::check_commit; kNotAvailable while the group is being deleted; kUnknownGroup if a
  /// generation is named and the group has neither members nor positions (Kafka:
  /// ILLEGAL_GENERATION in OffsetCommit up to v8 and TxnOffsetCommit); kIo and kCorrupt if its
  /// positions can't be read.
  [[nodiscard]] ErrorCode commit_as(std::string_view group, const classic::MemberIdentity& member,
                                    CommitKind kind, std::chrono::nanoseconds now,
                                    const std::function<void()>& queue);
  /// May this member read the group's offsets? As Kafka, only members of consumer groups are asked
  /// who they are. Errors: kUnknownMember, kStaleMemberEpoch.
  [[nodiscard]] ErrorCode check_kafka_fetch(std::string_view group, const std::string& member_id,
                                            std::int32_t member_epoch) const;
  /// Which of `topics` members subscribe to: their offsets must not be deleted. kUnknownGroup;
  /// kGroupNotEmpty if the group has members that are no consumers.
  [[nodiscard]] Result<std::vector<bool>> subscribed(std::string_view group,
                                                     std::span<const std::string> topics) const;
  /// Groups with members, with offsets or both, in order.
  [[nodiscard]] Result<std::vector<GroupListing>> list_all() const;

  // The native protocol's view.

  /// May `member_id` commit offsets at `member_epoch`? As Kafka: only with its current epoch
  /// (kStaleGeneration below, kFenced above), and without a member id only while the group has no
  /// members (kUnknownMember otherwise). kRebalancing while the group is being deleted. True at the
  /// moment of the call.
  [[nodiscard]] Status check_commit(std::string_view group, std::string_view member_id,
                                    std::int32_t member_epoch) const;
  /// Calls `queue` if all of these may commit now; see above for what it must not do.
  [[nodiscard]] Status commit_as(std::span<const NativeCommitter> who,
                                 const std::function<void()>& queue) const;

  /// Groups with members, with offsets or both, in order; members left out.
  [[nodiscard]] Result<protocol::native::GroupsReply> list() const;
  /// kUnknownGroup.
  [[nodiscard]] Result<protocol::native::GroupDescription> describe(std::string_view group) const;
  /// Removes a group and its offsets and returns when that is durable: blocks, so neither on a loop
  /// thread nor on a store thread. Until then nobody joins or commits. Of several at a time one
  /// removes, and the others wait for it. kUnknownGroup, kGroupNotEmpty, and what storage answers;
  /// what it could not delete then is deleted later, unless it still has the offsets.
  [[nodiscard]] Status remove(std::string_view group);

 private:
  struct State;
  explicit Coordinator(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace runnel::broker
