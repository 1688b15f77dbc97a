#include "broker/groups/coordinator.h"

#include <condition_variable>
#include <map>

#include "broker/groups/group.h"
#include "protocol/base/assert.h"
#include "protocol/base/thread_annotations.h"
#include "protocol/base/uuid.h"

namespace runnel::broker {
namespace {

constexpr std::string_view kKeyPrefix = "group/";

std::string key_of(std::string_view group) {
  return std::string(kKeyPrefix).append(group);
}

Error unknown_group(std::string_view group) {
  return Error(ErrorCode::kUnknownGroup, "there is no group \"" + std::string(group) +
                                             "\"; 'runnel group list' shows those there are");
}

}  // namespace

/// Shared with the store's callbacks, which may come after the coordinator's end.
///
/// A group has a version, raised by every change, and the version that is stored. At most one save
/// of a group is under way; changes meanwhile go together into the next one. What a caller may
/// learn of a version waits until that version is stored.
struct Coordinator::State : std::enable_shared_from_this<Coordinator::State> {
  struct Waiter {
    std::uint64_t version = 0;
    std::function<void(const Status&)> answer;
  };
  struct Entry {
    explicit Entry(Group g) : group(std::move(g)) {}
    Group group;
    std::uint64_t version = 0;
    std::uint64_t stored = 0;
    std::uint64_t saving = 0;     ///< the version under way; 0: none
    bool saves_deletion = false;  ///< the save under way is the group's last
    bool fresh = true;            ///< not loaded: nothing is stored before version 1
    bool deleting = false;
    bool active = false;                     ///< as the store was told
    std::chrono::nanoseconds empty_since{};  ///< counts while it is empty
    std::vector<Waiter> waiters;
  };
  using Groups = std::map<std::string, Entry, std::less<>>;
  /// Saves and answers, run when the lock is no longer held.
  using Work = std::vector<std::function<void()>>;

  State(std::unique_ptr<GroupStore> s, storage::Random& r, PartitionCount p)
      : store(std::move(s)), random(r), partition_count(std::move(p)) {}

  static void run(Work& work) {
    for (auto& step : work) step();
  }

  /// Calls `answer` when everything the group says now is stored; starts a save if one is needed.
  void when_stored(Entry& entry, std::function<void(const Status&)> answer, Work& work)
      RUNNEL_REQUIRES(mutex) {
    if (entry.stored == entry.version) {
      if (answer) work.push_back([answer = std::move(answer)] { answer({}); });
      return;
    }
    if (answer) entry.waiters.push_back({entry.version, std::move(answer)});
    if (entry.saving == 0) start_save(entry, work);
  }

  void start_save(Entry& entry, Work& work) RUNNEL_REQUIRES(mutex) {
    entry.saving = entry.version;
    entry.saves_deletion = entry.deleting;
    std::optional<std::string> value;
    if (!entry.deleting) value = entry.group.encode();
    work.push_back([self = shared_from_this(), name = entry.group.name(), version = entry.version,
                    v = std::move(value)]() mutable {
      self->store->save(key_of(name), std::move(v), [self, name, version](Status status) {
        self->saved(name, version, status);
      });
    });
  }

  void saved(const std::string& name, std::uint64_t version, const Status& status)
      RUNNEL_EXCLUDES(mutex) {
    Work work;
    {
      MutexLock lock(mutex);
      const auto place = groups.find(name);
      RUNNEL_ASSERT(place != groups.end() && place->second.saving == version);
      Entry& entry = place->second;
      entry.saving = 0;
      if (status) entry.stored = version;
      // After a failure nobody learns of anything that is not stored; the next heartbeat saves
      // again.
      std::erase_if(entry.waiters, [&](Waiter& waiter) {
        if (status && waiter.version > version) return false;
        work.push_back([answer = std::move(waiter.answer), status] { answer(status); });
        return true;
      });
      if (status && entry.saves_deletion) {
        groups.erase(place);
      } else if (status && entry.version > version) {
        start_save(entry, work);
      }
    }
    run(work);
  }

  /// After every change of a group. The store is told under the lock, so in the right order.
  void changed(Entry& entry, std::chrono::nanoseconds now) RUNNEL_REQUIRES(mutex) {
    ++entry.version;
    const bool active = !entry.group.empty();
    entry.empty_since = now;
    if (active == entry.active) return;
    entry.active = active;
    store->set_active(entry.group.name(), active);
  }

  /// The group that `request` is for; made if it joins one that does not exist.
  Result<Groups::iterator> group_for(const protocol::native::GroupHeartbeat& request)
      RUNNEL_REQUIRES(mutex) {
    const auto place = groups.find(request.group);
    if (place != groups.end()) {
      if (!place->second.deleting) return place;
      return fail(ErrorCode::kRebalancing,
                  "group \"" + request.group + "\" is being deleted; try again");
    }
    if (request.member_epoch != protocol::native::kEpochJoin) {
      return fail(ErrorCode::kUnknownMember,
                  "there is no group \"" + request.group + "\"; join with epoch 0");
    }
    if (groups.size() >= kMaxGroups) {
      return fail(ErrorCode::kOverloaded, "there are " + std::to_string(kMaxGroups) +
                                              " groups, which is the limit; delete some");
    }
    return groups.emplace(request.group, Entry(Group(request.group))).first;
  }

  void heartbeat(const protocol::native::GroupHeartbeat& request, std::string_view host,
                 std::chrono::nanoseconds now, HeartbeatCallback done, Work& work)
      RUNNEL_REQUIRES(mutex) {
    const auto refuse = [&](Error error) {
      work.push_back([done = std::move(done), error = std::move(error)] { done(fail(error)); });
    };
    auto place = group_for(request);
    if (!place) return refuse(std::move(place).error());
    Entry& entry = (*place)->second;
    const std::string new_id = Uuid::from_random(random.next(), random.next()).to_string();
    auto outcome = entry.group.heartbeat(request, {now, host, new_id, &partition_count});
    if (outcome.changed) changed(entry, now);
    if (!outcome.reply) {
      when_stored(entry, {}, work);
      if (entry.fresh && entry.version == 0) groups.erase(*place);  // made for this request alone
      return refuse(std::move(outcome.reply).error());
    }
    when_stored(
        entry,
        [done = std::move(done), reply = std::move(*outcome.reply)](const Status& status) {
          if (status) return done(reply);
          done(fail(status.error()));
        },
        work);
  }

  void tick_group(Entry& entry, std::chrono::nanoseconds now, const Group::PartitionCount& counts,
                  Work& work) RUNNEL_REQUIRES(mutex) {
    if (entry.deleting) {
      when_stored(entry, {}, work);
      return;
    }
    const bool expired = entry.group.expire(now);
    const bool moved = entry.group.refresh_topics(counts);
    if (expired || moved) changed(entry, now);
    when_stored(entry, {}, work);  // also what failed to be stored before
    if (!entry.group.empty() || now - entry.empty_since < kEmptyGroupLinger) return;
    entry.empty_since = now;
    if (store->has_offsets(entry.group.name())) return;
    entry.deleting = true;
    changed(entry, now);
    when_stored(entry, {}, work);
  }

  const std::unique_ptr<GroupStore> store;
  storage::Random& random;
  const Group::PartitionCount partition_count;
  mutable Mutex mutex;
  Groups groups RUNNEL_GUARDED_BY(mutex);
};

Coordinator::Coordinator(std::shared_ptr<State> state) : state_(std::move(state)) {}
Coordinator::~Coordinator() = default;

Result<std::unique_ptr<Coordinator>> Coordinator::open(std::unique_ptr<GroupStore> store,
                                                       storage::Random& random,
                                                       PartitionCount partition_count,
                                                       std::chrono::nanoseconds now) {
  auto state = std::make_shared<State>(std::move(store), random, std::move(partition_count));
  MutexLock lock(state->mutex);
  for (auto& [key, value] : state->store->load(kKeyPrefix)) {
    std::string name = key.substr(kKeyPrefix.size());
    RUNNEL_TRY_ASSIGN(Group group, Group::decode(name, as_bytes(value), now));
    State::Entry entry(std::move(group));
    entry.fresh = false;
    entry.active = !entry.group.empty();
    entry.empty_since = now;
    state->store->set_active(name, entry.active);
    state->groups.emplace(std::move(name), std::move(entry));
  }
  return std::unique_ptr<Coordinator>(new Coordinator(state));
}

void Coordinator::heartbeat(const protocol::native::GroupHeartbeat& request, std::string_view host,
                            std::chrono::nanoseconds now, HeartbeatCallback done) {
  if (Status status = Group::validate(request); !status) {
    return done(fail(std::move(status).error()));
  }
  State::Work work;
  {
    MutexLock lock(state_->mutex);
    state_->heartbeat(request, host, now, std::move(done), work);
  }
  State::run(work);
}

void Coordinator::tick(std::chrono::nanoseconds now) {
  State& state = *state_;
  State::Work work;
  std::map<std::string, std::int32_t, std::less<>> counts;  // each topic is asked once
  const Group::PartitionCount count = [&](std::string_view topic) {
    auto known = counts.find(topic);
    if (known == counts.end()) {
      known = counts.emplace(topic, state.partition_count(topic)).first;
    }
    return known->second;
  };
  {
    MutexLock lock(state.mutex);
    for (auto& [name, entry] : state.groups) state.tick_group(entry, now, count, work);
  }
  State::run(work);
}

Status Coordinator::check_commit(std::string_view group, std::string_view member_id,
                                 std::int32_t member_epoch) const {
  MutexLock lock(state_->mutex);
  const auto place = state_->groups.find(group);
  if (place != state_->groups.end() && !place->second.deleting) {
    return place->second.group.check_commit(member_id, member_epoch);
  }
  if (member_id.empty()) return {};
  return fail(ErrorCode::kUnknownMember, "there is no group \"" + std::string(group) +
                                             "\", so nobody is a member; join with epoch 0");
}

protocol::native::GroupsReply Coordinator::list() const {
  std::map<std::string, protocol::native::GroupDescription> all;
  for (std::string& name : state_->store->groups_with_offsets()) {
    auto& description = all[name];
    description.state = "empty";
    description.group = std::move(name);
  }
  {
    MutexLock lock(state_->mutex);
    for (const auto& [name, entry] : state_->groups) {
      if (!entry.deleting) all[name] = entry.group.describe(false);
    }
  }
  protocol::native::GroupsReply reply;
  reply.groups.reserve(all.size());
  for (auto& [name, description] : all) reply.groups.push_back(std::move(description));
  return reply;
}

Result<protocol::native::GroupDescription> Coordinator::describe(std::string_view group) const {
  {
    MutexLock lock(state_->mutex);
    const auto place = state_->groups.find(group);
    if (place != state_->groups.end() && !place->second.deleting) {
      return place->second.group.describe(true);
    }
  }
  if (!state_->store->has_offsets(group)) return fail(unknown_group(group));
  protocol::native::GroupDescription description;
  description.group = group;
  description.state = "empty";
  return description;
}

Status Coordinator::remove(std::string_view group) {
  State& state = *state_;
  const bool has_offsets = state.store->has_offsets(group);
  {
    MutexLock lock(state.mutex);
    const auto place = state.groups.find(group);
    if (place == state.groups.end()) {
      if (!has_offsets) return fail(unknown_group(group));
    } else if (!place->second.group.empty()) {
      return fail(ErrorCode::kGroupNotEmpty,
                  "group \"" + std::string(group) + "\" has members; stop them first");
    } else {
      place->second.deleting = true;  // nobody joins from here on
    }
  }
  const Status offsets = state.store->delete_offsets(group);

  struct Latch {
    Mutex mutex;
    std::condition_variable_any ready;
    std::optional<Status> status;
  };
  const auto latch = std::make_shared<Latch>();
  State::Work work;
  {
    MutexLock lock(state.mutex);
    const auto place = state.groups.find(group);
    if (place == state.groups.end()) return offsets;
    if (!offsets) {
      place->second.deleting = false;
      return offsets;
    }
    ++place->second.version;
    state.when_stored(
        place->second,
        [latch](const Status& status) {
          MutexLock guard(latch->mutex);
          latch->status = status;
          latch->ready.notify_all();
        },
        work);
  }
  State::run(work);
  MutexLock lock(latch->mutex);
  while (!latch->status) latch->ready.wait(lock);
  return *latch->status;
}

}  // namespace runnel::broker
