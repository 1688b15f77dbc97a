#include "broker/groups/coordinator.h"

#include <map>

#include "broker/groups/coordinator_state.h"
#include "broker/groups/topic_matcher.h"
#include "protocol/base/assert.h"
#include "protocol/kafka/consumer_protocol.h"

namespace runnel::broker {
namespace {

Error being_deleted(std::string_view group) {
  return Error(ErrorCode::kRebalancing,
               "group \"" + std::string(group) + "\" is being deleted; try again");
}

/// A classic group as the native protocol shows groups.
protocol::native::GroupDescription native_view(const ClassicGroup& group, bool with_members) {
  const classic::Description classic = group.describe();
  protocol::native::GroupDescription shown;
  shown.group = classic.group;
  shown.epoch = group.generation();
  shown.state = group.empty()                                   ? "empty"
                : group.state() == ClassicGroup::State::kStable ? "stable"
                                                                : "reconciling";
  shown.assignor = classic.protocol;
  if (!with_members) return shown;
  for (const auto& member : classic.members) {
    auto& out = shown.members.emplace_back();
    out = {member.member_id,   member.instance_id.value_or(""),
           member.client_id,   member.host,
           group.generation(), {}};
    if (classic.protocol_type != "consumer") continue;
    // Bytes that are no assignment show as none: clients may put there what they like.
    const auto share = protocol::kafka::decode_consumer_assignment(as_bytes(member.assignment));
    if (!share) continue;
    for (const auto& topic : share->partitions) {
      for (const PartitionIndex p : topic.partitions) out.assignment.push_back({topic.topic, p});
    }
  }
  return shown;
}

protocol::native::GroupDescription native_view(const GroupBody& body, bool with_members) {
  if (const auto* classic = std::get_if<ClassicGroup>(&body)) {
    return native_view(*classic, with_members);
  }
  return std::get<Group>(body).describe(with_members);
}

}  // namespace

Result<Coordinator::State::Groups::iterator> Coordinator::State::group_for(
    const protocol::native::GroupHeartbeat& request, Time now, Work& work) {
  const bool joins = request.member_epoch == protocol::native::kEpochJoin;
  const auto place = groups.find(request.group);
  if (place != groups.end()) {
    Entry& entry = place->second;
    if (entry.deleting()) return fail(being_deleted(request.group));
    if (entry.consumer()) return place;
    if (!entry.empty()) {
      return fail(ErrorCode::kInconsistentGroupProtocol,
                  "the members of group \"" + request.group +
                      "\" use Kafka's classic protocol; stop them first or join another group");
    }
    if (joins) {
      become_consumer(entry);
      return place;
    }
  }
  if (!joins) {
    return fail(ErrorCode::kUnknownMember,
                "there is no group \"" + request.group + "\" with members; join with epoch 0");
  }
  if (!has_room(now, work)) return fail(full());
  return groups.emplace(request.group, Entry(Group(request.group))).first;
}

void Coordinator::State::become_consumer(Entry& entry) {
  classic_bytes -= entry.classic()->bytes();
  entry.body = Group(std::string(entry.name()));
  entry.snapshot.reset();
}

void Coordinator::State::heartbeat(const protocol::native::GroupHeartbeat& request,
                                   std::string_view host, Time now, HeartbeatCallback done,
                                   Work& work) {
  const auto refuse = [&](Error error) {
    work.push_back([done = std::move(done), error = std::move(error)] { done(fail(error)); });
  };
  const bool joins = request.member_epoch == protocol::native::kEpochJoin;
  if (!has_memory(bytes_of(request.topics), joins)) return refuse(no_memory());
  auto place = group_for(request, now, work);
  if (!place) return refuse(std::move(place).error());
  Entry& entry = (*place)->second;
  const std::string new_id = unique_text();
  auto outcome = entry.consumer()->heartbeat(request, {now, host, new_id, &partition_count});
  if (outcome.changed) changed(entry, now);
  next_deadline = std::min(next_deadline, entry.consumer()->next_deadline());
  if (!outcome.reply) {
    when_stored(entry, {}, work);
    forget_if_unused(*place);
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

Coordinator::Coordinator(std::shared_ptr<State> state) : state_(std::move(state)) {}
Coordinator::~Coordinator() = default;

Result<std::unique_ptr<Coordinator>> Coordinator::open(std::unique_ptr<GroupStore> store,
                                                       storage::Random& random,
                                                       PartitionCount partition_count,
                                                       std::chrono::nanoseconds now,
                                                       GroupConfig config, TopicNames topic_names) {
  auto state = std::make_shared<State>(std::move(store), random, std::move(partition_count), config,
                                       std::move(topic_names));
  MutexLock lock(state->mutex);
  RUNNEL_TRY_ASSIGN(auto entries, state->store->load(kGroupKeyPrefix));
  for (auto& [key, value] : entries) {
    std::string name = key.substr(kGroupKeyPrefix.size());
    const bool classic = !value.empty() && value[0] == kClassicStateVersion;
    std::optional<State::Entry> entry;
    if (classic) {
      RUNNEL_TRY_ASSIGN(ClassicGroup group, ClassicGroup::decode(name, as_bytes(value), now));
      state->classic_bytes += group.bytes();
      state->next_deadline = std::min(state->next_deadline, group.next_deadline());
      entry.emplace(std::move(group));
    } else {
      RUNNEL_TRY_ASSIGN(Group group, Group::decode(name, as_bytes(value), now));
      state->next_deadline = std::min(state->next_deadline, group.next_deadline());
      entry.emplace(std::move(group));
    }
    entry->fresh = false;
    entry->active = !entry->empty();
    entry->empty_since = now;
    state->count_bytes(*entry);
    state->store->set_active(name, entry->active);
    state->groups.emplace(std::move(name), std::move(*entry));
  }
  state->store->loaded();
  return std::unique_ptr<Coordinator>(new Coordinator(state));
}

void Coordinator::configure(const GroupConfig& config) {
  MutexLock lock(state_->mutex);
  state_->config = config;
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
  std::map<std::string, TopicShape, std::less<>> counts;  // each topic is asked once
  const Group::PartitionCount count = [&](std::string_view topic) {
    auto known = counts.find(topic);
    if (known == counts.end()) {
      known = counts.emplace(topic, state.partition_count(topic)).first;
    }
    return known->second;
  };
  {
    MutexLock lock(state.mutex);
    state.run_deadlines(now, work);
    std::vector<std::string> topics;
    if (state.topic_names) topics = state.topic_names();
    const bool moved = topics != state.known_topics;
    state.known_topics = std::move(topics);
    const Group::TopicMatch match = matcher_of(state.known_topics);
    for (auto& [name, entry] : state.groups) {
      state.tick_group(entry, now, count, moved ? &match : nullptr, work);
    }
  }
  State::run(work);
}

Status Coordinator::check_commit(std::string_view group, std::string_view member_id,
                                 std::int32_t member_epoch) const {
  MutexLock lock(state_->mutex);
  return state_->check_commit(group, member_id, member_epoch);
}

Status Coordinator::commit_as(std::span<const NativeCommitter> who,
                              const std::function<void()>& queue) const {
  MutexLock lock(state_->mutex);
  for (const NativeCommitter& w : who) {
    RUNNEL_TRY(state_->check_commit(w.group, w.member_id, w.member_epoch));
  }
  queue();
  return {};
}

Status Coordinator::State::check_commit(std::string_view group, std::string_view member_id,
                                        std::int32_t member_epoch) const {
  const auto place = groups.find(group);
  if (place != groups.end()) {
    if (place->second.deleting()) return fail(being_deleted(group));
    if (const Group* consumer = place->second.consumer()) {
      return consumer->check_commit(member_id, member_epoch);
    }
    if (!place->second.empty()) {
      return fail(ErrorCode::kInconsistentGroupProtocol,
                  "the members of group \"" + std::string(group) +
                      "\" use Kafka's classic protocol, so only they may commit its offsets");
    }
  }
  if (member_id.empty()) return {};
  return fail(ErrorCode::kUnknownMember, "there is no group \"" + std::string(group) +
                                             "\", so nobody is a member; join with epoch 0");
}

Result<protocol::native::GroupsReply> Coordinator::list() const {
  std::map<std::string, protocol::native::GroupDescription> all;
  RUNNEL_TRY_ASSIGN(auto names, state_->store->groups_with_offsets());
  for (std::string& name : names) {
    auto& description = all[name];
    description.state = "empty";
    description.group = std::move(name);
  }
  {
    MutexLock lock(state_->mutex);
    for (const auto& [name, entry] : state_->groups) {
      if (!entry.deleting()) all[name] = native_view(entry.body, false);
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
    if (place != state_->groups.end() && !place->second.deleting()) {
      return native_view(place->second.body, true);
    }
  }
  RUNNEL_TRY_ASSIGN(const bool has_offsets, state_->store->has_offsets(group));
  if (!has_offsets) return fail(unknown_group(group));
  protocol::native::GroupDescription description;
  description.group = group;
  description.state = "empty";
  return description;
}

}  // namespace runnel::broker
