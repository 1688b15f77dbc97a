// One group of Kafka's classic protocol as a state machine: no I/O, no clock, no threads.
//
// Members join; when all are there (or the time for it is over) the group has a new generation,
// each member is told of it and the leader gets everybody's metadata. The leader shares out the
// work and syncs; each member's sync is answered with its share. From then on members heartbeat.
//
//   kEmpty --join--> kPreparingRebalance --all joined, or time over--> kCompletingRebalance
//     ^                 ^        |                                          | leader's sync
//     |   nobody left   |        | (a change: member joins, leaves, dies)   v
//     +-----------------|--------+<-----------------------------------------+-- kStable
//
// A join or sync that waits is a token here. Each token is answered exactly once, by the call that
// took it or by a later one; when its connection has gone, the answer is for nobody, and the
// member stays until its session is over.
//
// The stored form (state key "group/<name>"; docs/formats/group-state.md), varints as in bytes.h:
//   u8        version             2
//   u8        flags               bit 0: a protocol type follows; bit 1: a protocol follows
//   uvarint   generation
//   text      protocol type, protocol, leader's member id (empty: none)
//   uvarint   members, each:
//     text    member id
//     u8      flags               bit 0: static
//     text    instance id, client id, host
//     uvarint session timeout, rebalance timeout, milliseconds
//     uvarint protocols, each: text name, block metadata
//     block   assignment
// A group is stored when it becomes stable, when a static member of a stable group is replaced, and
// when it empties, so what is read is stable or empty: members go on with their generation and
// have a whole session timeout to be heard of.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/groups/classic_types.h"
#include "broker/groups/group_config.h"
#include "protocol/base/buffer.h"

namespace runnel::broker {

inline constexpr std::uint8_t kClassicStateVersion = 2;

/// Not thread safe. Times are any monotonic time, the same one in all calls, and never go back.
class ClassicGroup {
 public:
  using Time = classic::Time;
  using ReplyToken = classic::ReplyToken;
  enum class State : std::uint8_t {
    kEmpty,
    kPreparingRebalance,   ///< waits for members to join
    kCompletingRebalance,  ///< waits for the leader's assignment
    kStable,
    kDead,  ///< being deleted: everything is answered kNotAvailable
  };
  static constexpr Time kNever = Time::max();

  struct Context {
    Time now;
    const GroupConfig& config;
  };
  struct Answer {
    ReplyToken token = 0;
    std::variant<classic::JoinReply, classic::SyncReply> reply;
    /// It tells of what encode() stores: to be sent when that is durable.
    bool after_store = false;
  };
  /// What a call wants done. Discarding it loses replies.
  struct [[nodiscard]] Effects {
    std::vector<Answer> answers;
    bool store = false;  ///< encode() now, before the next call, and make it durable
  };
  struct [[nodiscard]] Left {
    std::vector<classic::LeftMember> members;  ///< in the order of the request
    Effects effects;
  };

  explicit ClassicGroup(std::string name) : name_(std::move(name)) {}

  /// Names and limits of a request; says nothing about the group. kInvalidGroupId,
  /// kInvalidSessionTimeout, kInvalidArgument.
  [[nodiscard]] static ErrorCode validate(const classic::JoinRequest& request,
                                          const GroupConfig& config);

  /// `request` passed validate(). `unique` is text that makes a member id nobody else has.
  /// Answers, now or later: kOk, kMemberIdRequired (the reply has the id), kUnknownMember,
  /// kInconsistentGroupProtocol, kFencedInstanceId, kGroupMaxSizeReached, kNotAvailable, and
  /// kRebalancing if the same member joins again meanwhile.
  Effects join(const classic::JoinRequest& request, std::string_view unique, ReplyToken token,
               const Context& context);
  /// Answers, now or later: kOk, kUnknownMember, kFencedInstanceId, kIllegalGeneration,
  /// kInconsistentGroupProtocol, kRebalancing, kInvalidArgument (too large), kNotAvailable.
  Effects sync(const classic::SyncRequest& request, ReplyToken token, const Context& context);
  /// kOk, kRebalancing (join again), kUnknownMember, kFencedInstanceId, kIllegalGeneration.
  [[nodiscard]] ErrorCode heartbeat(const classic::MemberIdentity& member, const Context& context);
  /// Each member: kOk, kUnknownMember, kFencedInstanceId.
  Left leave(std::span<const classic::LeavingMember> leaving, const Context& context);
  /// Runs what is due: sessions, the ends of join and sync phases. Cheap when nothing is.
  Effects expire(const Context& context);
  /// Nothing is due before this; kNever: nothing at all. May be too early, never too late.
  [[nodiscard]] Time next_deadline() const noexcept { return next_deadline_; }
  /// May this member commit offsets now? A good commit is a sign of life.
  /// kOk, kUnknownMember, kFencedInstanceId, kIllegalGeneration, kRebalancing, kNotAvailable.
  [[nodiscard]] ErrorCode check_commit(const classic::MemberIdentity& member, bool transactional,
                                       const Context& context);
  /// The group is empty and will be deleted.
  void kill();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  /// No members; ids given to members that have not come back do not count.
  [[nodiscard]] bool empty() const noexcept { return members_.empty(); }
  [[nodiscard]] bool has_pending_members() const noexcept { return !pending_.empty(); }
  [[nodiscard]] std::int32_t generation() const noexcept { return generation_; }
  [[nodiscard]] std::string_view protocol_type() const noexcept {
    return protocol_type_ ? std::string_view(*protocol_type_) : std::string_view();
  }
  /// Does a member read this topic? Where members' metadata cannot be read: yes if they are
  /// consumers, no if not.
  [[nodiscard]] bool subscribes(std::string_view topic) const;
  [[nodiscard]] classic::Description describe() const;
  /// About what the group takes in memory.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Only in a call's wake that said `store`: the group is stable or empty.
  [[nodiscard]] std::string encode() const;
  /// Members get a whole session timeout from `now`. Errors: kCorrupt, kFormatTooNew.
  [[nodiscard]] static Result<ClassicGroup> decode(std::string name, Bytes bytes, Time now);

 private:
  struct Member {
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string host;
    std::int32_t session_timeout_ms = 0;
    std::int32_t rebalance_timeout_ms = 0;
    std::vector<classic::Protocol> protocols;
    std::string assignment;
    Time deadline{};         ///< kNever: a reply waits, which is life enough
    bool is_new = false;     ///< its first join has not been answered
    bool owes_sync = false;  ///< has not synced in this generation
    std::optional<ReplyToken> join;
    std::optional<ReplyToken> sync;
  };
  using Members = std::map<std::string, Member, std::less<>>;  ///< by member id
  struct Step {
    const Context& context;
    Effects effects;
  };

  // classic_group.cc: requests
  void join_new(const classic::JoinRequest& request, std::string_view unique, ReplyToken token,
                Step& step);
  void join_known(const classic::JoinRequest& request, ReplyToken token, Step& step);
  void add_member(const classic::JoinRequest& request, std::string id, ReplyToken token,
                  Step& step);
  void update_member(Members::iterator member, const classic::JoinRequest& request,
                     ReplyToken token, Step& step);
  void replace_static(Members::iterator old, std::string id, const classic::JoinRequest& request,
                      ReplyToken token, Step& step);
  void take_assignment(const classic::SyncRequest& request, Step& step);
  [[nodiscard]] bool accepts(std::string_view member_id, const GroupConfig& config) const;
  [[nodiscard]] bool fits(const classic::JoinRequest& request) const;
  [[nodiscard]] bool supports(const classic::JoinRequest& request) const;
  [[nodiscard]] ErrorCode check_member(std::string_view member_id,
                                       const std::optional<std::string>& instance_id) const;
  [[nodiscard]] ErrorCode check_sync(const classic::SyncRequest& request) const;
  [[nodiscard]] classic::JoinReply join_reply(const std::string& member_id) const;
  [[nodiscard]] classic::SyncReply sync_reply(const Member& member) const;

  // classic_rebalance.cc: phases and time
  void rebalance_or_complete(Step& step);
  void prepare_rebalance(Step& step);
  void maybe_complete_join(Step& step);
  void complete_join(Step& step);
  void join_time_is_over(Step& step);
  void sync_time_is_over(Step& step);
  void expire_sessions(Step& step);
  void after_removal(Step& step);
  void remove_member(Members::iterator member, Step& step);
  void remove_pending(std::map<std::string, Time, std::less<>>::iterator pending);
  [[nodiscard]] bool elect_joined_leader();
  [[nodiscard]] std::string select_protocol() const;
  [[nodiscard]] Time rebalance_timeout() const;
  [[nodiscard]] bool all_joined() const {
    return awaiting_join_ == members_.size() && pending_.empty();
  }
  void answer_join(Members::iterator member, classic::JoinReply reply, Step& step,
                   bool after_store = false);
  void answer_sync(Member& member, classic::SyncReply reply, Step& step);
  void fail_join(Members::iterator member, ErrorCode error, Step& step);
  void await_join(Member& member, ReplyToken token);
  void settle_sync(Member& member);
  void renew(Member& member, Time now);
  void wake_at(Time time) { next_deadline_ = std::min(next_deadline_, time); }
  void find_next_deadline();
  /// Counts a member's protocols in (+1) or out (-1).
  void count_protocols(const Member& member, int sign);
  [[nodiscard]] static std::size_t cost_of(const std::string& id, const Member& member);
  [[nodiscard]] static Time milliseconds(std::int32_t count) {
    return std::chrono::milliseconds(std::max(count, 0));
  }

  friend class ClassicReader;

  std::string name_;
  State state_ = State::kEmpty;
  std::int32_t generation_ = 0;
  std::optional<std::string> protocol_type_;
  std::optional<std::string> protocol_;
  std::string leader_;  ///< a member id; empty: none
  Members members_;
  std::map<std::string, std::string, std::less<>> static_ids_;  ///< instance id -> member id
  std::map<std::string, Time, std::less<>> pending_;  ///< ids given out -> until when they are kept
  std::map<std::string, std::size_t, std::less<>> supported_;  ///< protocol -> members that know it
  std::size_t awaiting_join_ = 0;
  std::size_t owing_sync_ = 0;
  bool initial_ = false;  ///< this rebalance began with an empty group
  bool new_member_added_ = false;
  Time initial_step_{};  ///< the delay under way in an initial rebalance, and what may follow it
  Time initial_left_{};
  Time join_deadline_ = kNever;
  Time sync_deadline_ = kNever;
  Time next_deadline_ = kNever;
  std::size_t bytes_ = 0;
};

/// As Kafka's tools show it.
[[nodiscard]] std::string_view name_of(ClassicGroup::State state) noexcept;

}  // namespace runnel::broker
