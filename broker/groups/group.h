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
//   u8        version             1
//   varint    group epoch
//   uvarint   topics, each:       text name, uvarint 1 + partitions (0: not subscribed now)
//   uvarint   members, each:
//     text    member id, instance id, client name, host, assignor
//     varint  member epoch, previous epoch
//     u8      flags               bit 0: a static member that is away
//     uvarint session timeout, milliseconds
//     uvarint subscribed topics, each: uvarint place in topics
//     set     assigned, set revoking, set target
//   set:      uvarint topics, each: uvarint place in topics, uvarint runs, each:
//             uvarint partitions left out since the last run, uvarint length - 1
// Deadlines are not stored: after a restart every member has a whole timeout.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/assignor.h"
#include "broker/groups/limits.h"
#include "broker/groups/partition_set.h"
#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/native/messages.h"

namespace runnel::broker {

inline constexpr std::uint8_t kGroupStateVersion = 1;

/// Not thread safe. `now` is any monotonic time, the same one in all calls.
class Group {
 public:
  using Time = std::chrono::nanoseconds;
  using Heartbeat = protocol::native::GroupHeartbeat;
  using Reply = protocol::native::GroupHeartbeatReply;
  /// Partitions of a topic; 0 if there is none.
  using PartitionCount = std::function<std::int32_t(std::string_view topic)>;

  /// What a heartbeat comes with from outside.
  struct Context {
    Time now;
    std::string_view host;           ///< of the peer
    std::string_view new_member_id;  ///< for a member that joins without one
    const PartitionCount* partition_count = nullptr;
  };
  struct Outcome {
    Result<Reply> reply;
    bool changed = false;  ///< something that encode() stores
  };

  explicit Group(std::string name) : name_(std::move(name)) {}

  /// Names and limits of a request; says nothing about the group. kInvalidArgument.
  [[nodiscard]] static Status validate(const Heartbeat& request);
  /// `request` passed validate(). Errors: see Coordinator::heartbeat.
  [[nodiscard]] Outcome heartbeat(const Heartbeat& request, const Context& context);
  /// Puts out members whose time is over. True: something changed.
  bool expire(Time now);
  /// Looks at the partition counts again. True: something changed.
  bool refresh_topics(const PartitionCount& partition_count);
  /// See Coordinator::check_commit.
  [[nodiscard]] Status check_commit(std::string_view member_id, std::int32_t epoch) const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool empty() const noexcept { return members_.empty(); }
  [[nodiscard]] std::int32_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] protocol::native::GroupDescription describe(bool with_members) const;

  [[nodiscard]] std::string encode() const;
  /// Members get a whole timeout from `now`. Errors: kCorrupt, kFormatTooNew.
  [[nodiscard]] static Result<Group> decode(std::string name, Bytes bytes, Time now);

 private:
  struct Member {
    std::string instance_id;
    std::string client_name;
    std::string host;
    std::string assignor;
    std::int32_t epoch = 0;
    std::int32_t previous_epoch = -1;
    bool away = false;                ///< left with kEpochLeaveStatic
    std::vector<std::string> topics;  ///< ascending, unique
    std::uint32_t session_timeout_ms = 0;
    PartitionSet assigned;  ///< what it may work on
    PartitionSet revoking;  ///< what it was told to give up and may still work on
    PartitionSet target;    ///< what it should have
    Time deadline{};
    Time revoke_deadline{};
  };
  using Members = std::map<std::string, Member, std::less<>>;  ///< by member id

  [[nodiscard]] Outcome join(const Heartbeat& request, const Context& context);
  [[nodiscard]] Outcome add_member(const Heartbeat& request, std::string id,
                                   const Context& context);
  [[nodiscard]] Outcome leave(const Heartbeat& request, const Context& context);
  [[nodiscard]] Outcome beat(Members::iterator member, const Heartbeat& request,
                             const Context& context, bool changed);
  [[nodiscard]] Result<Members::iterator> find_member(const Heartbeat& request);
  [[nodiscard]] Members::iterator find_instance(std::string_view instance_id);
  [[nodiscard]] Status check_epoch(const Member& member, const Heartbeat& request) const;
  /// Takes over what may change from one heartbeat to the next.
  [[nodiscard]] Result<bool> update(Member& member, const Heartbeat& request,
                                    const Context& context);
  [[nodiscard]] Status check_size(const std::vector<std::string>& topics,
                                  const PartitionCount& partition_count) const;
  bool reconcile(Members::iterator member, const PartitionSet& owned, Time now);
  [[nodiscard]] PartitionSet free_of_others(const std::string& id, PartitionSet wanted) const;
  [[nodiscard]] bool settled(const Member& member) const;
  [[nodiscard]] PartitionCounts subscribed(const PartitionCount& partition_count) const;
  [[nodiscard]] Assignor chosen_assignor() const;
  /// Raises the epoch and makes the target anew from counts_.
  void retarget();
  void check_invariants() const;
  [[nodiscard]] Reply reply_to(const std::string& id, const Member& member) const;

  friend class GroupReader;
  friend class GroupWriter;

  std::string name_;
  std::int32_t epoch_ = 0;
  Members members_;
  PartitionCounts counts_;  ///< of every subscribed topic, as the target was made with
};

}  // namespace runnel::broker
