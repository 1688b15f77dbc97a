// What Coordinator is made of; for its own sources only.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "broker/groups/classic_group.h"
#include "broker/groups/coordinator.h"
#include "broker/groups/group.h"
#include "protocol/base/thread_annotations.h"

namespace runnel::broker {

using GroupBody = std::variant<Group, ClassicGroup>;

inline constexpr std::string_view kGroupKeyPrefix = "group/";
[[nodiscard]] Error unknown_group(std::string_view group);

/// What one thread says and another waits for. Thread safe.
class Verdict {
 public:
  void say(const Status& status) RUNNEL_EXCLUDES(mutex_);
  /// Blocks until it is said.
  [[nodiscard]] Status wait() RUNNEL_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::condition_variable_any said_;
  std::optional<Status> status_ RUNNEL_GUARDED_BY(mutex_);
};

/// Shared with the store's callbacks, which may come after the coordinator's end.
///
/// A group has a version, raised by every change that is stored, and the version that is stored.
/// At most one save of a group is under way; changes meanwhile go together into the next one. What
/// a caller may learn of a version waits until that version is stored.
struct Coordinator::State : std::enable_shared_from_this<Coordinator::State> {
  using Time = std::chrono::nanoseconds;
  using Reply = std::variant<classic::JoinReply, classic::SyncReply>;
  using ReplyCallback = std::variant<JoinCallback, SyncCallback>;

  using Answer = std::function<void(const Status&)>;
  struct Waiter {
    std::uint64_t version = 0;
    Answer answer;
  };
  /// How far the end of a group is. From the first step on its name is reserved: nobody joins,
  /// commits, or ends it a second time.
  enum class Ending : std::uint8_t {
    kNot,
    kPositions,  ///< remove() deletes the group's positions; its state is saved as ever
    kState,      ///< its next save deletes its state
  };
  struct Entry {
    explicit Entry(GroupBody b) : body(std::move(b)) {}
    [[nodiscard]] Group* consumer() { return std::get_if<Group>(&body); }
    [[nodiscard]] const Group* consumer() const { return std::get_if<Group>(&body); }
    [[nodiscard]] ClassicGroup* classic() { return std::get_if<ClassicGroup>(&body); }
    [[nodiscard]] const ClassicGroup* classic() const { return std::get_if<ClassicGroup>(&body); }
    [[nodiscard]] bool empty() const {
      return classic() ? classic()->empty() : consumer()->empty();
    }
    [[nodiscard]] bool deleting() const { return ending != Ending::kNot; }
    /// Storage knows nothing of it.
    [[nodiscard]] bool unsaved() const { return fresh && version == 0; }
    [[nodiscard]] const std::string& name() const {
      return classic() ? classic()->name() : consumer()->name();
    }

    GroupBody body;
    std::uint64_t version = 0;
    std::uint64_t stored = 0;
    std::uint64_t saving = 0;     ///< the version under way; 0: none
    bool saves_deletion = false;  ///< the save under way is the group's last
    bool fresh = true;            ///< not loaded: nothing is stored before version 1
    Ending ending = Ending::kNot;
    bool active = false;             ///< as the store was told
    Time empty_since{};              ///< counts while it is empty
    Time looked_at{};                ///< when it was last seen to have offsets still
    std::size_t consumer_bytes = 0;  ///< its share of what is counted under this name
    std::vector<Waiter> waiters;
    /// A classic group as of `version`, until that is stored. It may have moved on since, to
    /// where there is nothing to store.
    std::shared_ptr<const std::string> snapshot;
  };
  using Groups = std::map<std::string, Entry, std::less<>>;
  /// Saves and answers, run when the lock is no longer held.
  using Work = std::vector<std::function<void()>>;

  State(std::unique_ptr<GroupStore> s, storage::Random& r, PartitionCount p, GroupConfig c,
        TopicNames names)
      : store(std::move(s)),
        random(r),
        partition_count(std::move(p)),
        topic_names(std::move(names)),
        config(c) {}

  static void run(Work& work) {
    for (auto& step : work) step();
  }

  /// Calls `answer` when everything the group says now is stored; starts a save if one is needed.
  void when_stored(Entry& entry, Answer answer, Work& work) RUNNEL_REQUIRES(mutex);
  void start_save(Entry& entry, Work& work) RUNNEL_REQUIRES(mutex);
  void saved(const std::string& name, std::uint64_t version, const Status& status)
      RUNNEL_EXCLUDES(mutex);
  /// Answers those who wait for one of the versions `first` to `last`.
  static void answer_waiters(Entry& entry, std::uint64_t first, std::uint64_t last,
                             const Status& status, Work& work);
  /// After every change that is stored.
  void changed(Entry& entry, Time now) RUNNEL_REQUIRES(mutex);
  /// Tells the store whether the group has members, if that is news.
  void tell_active(Entry& entry, Time now) RUNNEL_REQUIRES(mutex);
  void start_deletion(Entry& entry, Time now, Work& work) RUNNEL_REQUIRES(mutex);
  /// The group is over: the next save of it deletes its state.
  void end_group(Entry& entry) RUNNEL_REQUIRES(mutex);

  struct Removal {
    std::shared_ptr<Verdict> other;  ///< if set, somebody else is at it: wait for this, try again
    bool known = false;              ///< there is a group, not only a name
  };
  /// Reserves the name for who deletes the group. kGroupNotEmpty.
  Result<Removal> begin_removal(std::string_view group, Work& work) RUNNEL_REQUIRES(mutex);
  /// `positions`: whether they are deleted. `answer` hears of the whole removal.
  void end_removal(std::string_view group, const Status& positions, Answer answer, Work& work)
      RUNNEL_REQUIRES(mutex);
  /// Whether there is place for one more group. At the limit the longest empty ones are let go of.
  [[nodiscard]] bool has_room(Time now, Work& work) RUNNEL_REQUIRES(mutex);
  [[nodiscard]] Error full() const RUNNEL_REQUIRES(mutex);
  /// `match` is null if no topic came or went since the last time.
  void tick_group(Entry& entry, Time now, const PartitionCount& counts,
                  const Group::TopicMatch* match, Work& work) RUNNEL_REQUIRES(mutex);

  /// The consumer group for `request`'s; made, or made of an empty classic one, if it joins.
  Result<Groups::iterator> group_for(const protocol::native::GroupHeartbeat& request, Time now,
                                     Work& work) RUNNEL_REQUIRES(mutex);
  /// Whether there is memory for a subscription of so many bytes of a member that is new or not.
  [[nodiscard]] bool has_memory(std::size_t bytes, bool joins) const RUNNEL_REQUIRES(mutex);
  [[nodiscard]] static Error no_memory();
  /// After every change of a consumer group's members or subscriptions.
  void count_bytes(Entry& entry) RUNNEL_REQUIRES(mutex);
  /// Of an empty classic group.
  void become_consumer(Entry& entry) RUNNEL_REQUIRES(mutex);
  void heartbeat(const protocol::native::GroupHeartbeat& request, std::string_view host, Time now,
                 HeartbeatCallback done, Work& work) RUNNEL_REQUIRES(mutex);

  [[nodiscard]] Status check_commit(std::string_view group, std::string_view member_id,
                                    std::int32_t member_epoch) const RUNNEL_REQUIRES(mutex);
  /// Also kUnknownGroup, of which the store may know more.
  [[nodiscard]] ErrorCode check_commit(std::string_view group,
                                       const classic::MemberIdentity& member, CommitKind kind,
                                       Time now) RUNNEL_REQUIRES(mutex);

  Result<Groups::iterator> group_for(const ConsumerHeartbeat& request, Time now, Work& work)
      RUNNEL_REQUIRES(mutex);
  void heartbeat(const ConsumerHeartbeat& request, std::string_view host, Time now,
                 ConsumerCallback done, Work& work) RUNNEL_REQUIRES(mutex);

  /// The classic group for a join; made, or made of an empty consumer group, for a new member.
  Result<Groups::iterator> classic_group_for(const classic::JoinRequest& request, Time now,
                                             Work& work) RUNNEL_REQUIRES(mutex);
  /// The classic group of this name that is not being deleted; null.
  [[nodiscard]] Entry* find_classic(std::string_view name) RUNNEL_REQUIRES(mutex);
  ReplyTicket park(ReplyCallback done) RUNNEL_REQUIRES(mutex);
  void apply(Entry& entry, ClassicGroup::Effects effects, Time now, Work& work)
      RUNNEL_REQUIRES(mutex);
  void deliver(ReplyTicket ticket, Reply reply) RUNNEL_EXCLUDES(mutex);
  void run_deadlines(Time now, Work& work) RUNNEL_REQUIRES(mutex);
  void forget_if_unused(Groups::iterator place) RUNNEL_REQUIRES(mutex);
  [[nodiscard]] std::string unique_text();

  const std::unique_ptr<GroupStore> store;
  storage::Random& random;
  const PartitionCount partition_count;
  const TopicNames topic_names;
  mutable Mutex mutex;
  GroupConfig config RUNNEL_GUARDED_BY(mutex);
  Groups groups RUNNEL_GUARDED_BY(mutex);
  std::unordered_map<ReplyTicket, ReplyCallback> parked RUNNEL_GUARDED_BY(mutex);
  ReplyTicket last_ticket RUNNEL_GUARDED_BY(mutex) = 0;
  std::size_t classic_bytes RUNNEL_GUARDED_BY(mutex) = 0;
  std::size_t consumer_bytes RUNNEL_GUARDED_BY(mutex) = 0;  ///< Group::bytes() of all
  /// As patterns were last matched with.
  std::vector<std::string> known_topics RUNNEL_GUARDED_BY(mutex);
  /// No group has anything due before this.
  Time next_deadline RUNNEL_GUARDED_BY(mutex) = ClassicGroup::kNever;
  Time full_until RUNNEL_GUARDED_BY(mutex) = Time::min();  ///< nobody can be let go of before
  GroupLimitCounts limit_counts RUNNEL_GUARDED_BY(mutex);
};

}  // namespace runnel::broker
