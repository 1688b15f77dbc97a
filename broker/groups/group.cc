#include "broker/groups/group.h"

#include <algorithm>
#include <iterator>

#include "broker/groups/group_errors.h"
#include "protocol/base/assert.h"

namespace runnel::broker {

using protocol::native::kEpochLeaveStatic;

namespace {

std::vector<std::string> sorted_topics(const std::vector<std::string>& topics) {
  std::vector<std::string> sorted = topics;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

}  // namespace

Group::Members::iterator Group::find_instance(std::string_view instance_id) {
  if (instance_id.empty()) return members_.end();
  return std::find_if(members_.begin(), members_.end(),
                      [&](const auto& entry) { return entry.second.instance_id == instance_id; });
}

Result<Group::Members::iterator> Group::find_member(const Request& request) {
  const std::string instance_id(request.instance_id);
  const auto holder = find_instance(instance_id);
  if (holder != members_.end() && holder->first != request.member_id) {
    return fail(ErrorCode::kFenced, "instance \"" + instance_id + "\" of group \"" + name_ +
                                        "\" is another process now (member \"" + holder->first +
                                        "\"); stop this one");
  }
  const auto member = members_.find(request.member_id);
  if (member == members_.end() || member->second.away) {
    return fail(unknown_member(request.member_id, name_));
  }
  if (!instance_id.empty() && holder == members_.end()) {
    return fail(ErrorCode::kInvalidArgument,
                "member \"" + member->first + "\" joined without instance id \"" + instance_id +
                    "\"; a member keeps the instance id it joined with");
  }
  return member;
}

Status Group::check_epoch(const Member& member, std::int32_t epoch, const Request& request) const {
  const std::string who =
      "member \"" + std::string(request.member_id) + "\" of group \"" + name_ + "\"";
  if (epoch > member.epoch) {
    return fail(ErrorCode::kFenced, "epoch " + std::to_string(epoch) + " was never given to " +
                                        who + ", which is at " + std::to_string(member.epoch) +
                                        "; give up all partitions and join again with epoch 0");
  }
  // A reply may get lost: the epoch before is fine, as long as nothing is worked on that the
  // member has given up since.
  const bool known = epoch == member.epoch || epoch == member.previous_epoch;
  const PartitionSet granted = [&] {
    PartitionSet all = member.assigned;
    add_all(all, member.revoking);
    return all;
  }();
  if (known && difference(set_of(*request.owned), granted).empty()) return {};
  return fail(ErrorCode::kStaleGeneration,
              who + " is at epoch " + std::to_string(member.epoch) + "; " + std::to_string(epoch) +
                  " is behind it, or the member works on partitions it was not given. Give up all "
                  "partitions and join again with epoch 0");
}

Group::Beat Group::join(const Request& request, const Context& context) {
  const auto holder = find_instance(request.instance_id);
  const auto known = members_.find(request.member_id);
  if (known != members_.end()) {
    if (known != holder && known->second.instance_id != request.instance_id) {
      return {fail(ErrorCode::kInvalidArgument,
                   "member id \"" + known->first +
                       "\" is in use with another instance id; join with an id of your own")};
    }
    // A join that is repeated, or a member that starts again. Its replies may have been lost, so
    // any epoch is fine; partitions it was not given are not.
    if (Status status = check_epoch(known->second, known->second.epoch, request); !status) {
      return {fail(std::move(status).error())};
    }
    const bool was_away = std::exchange(known->second.away, false);
    if (was_away) retarget();  // a new epoch: the process before it has the old one
    return beat(known, request, context, was_away);
  }
  if (!request.owned->empty()) {
    return {fail(ErrorCode::kInvalidArgument,
                 "a member that joins works on nothing yet; give up all partitions first")};
  }
  std::string id(request.member_id.empty() ? context.new_member_id : request.member_id);
  RUNNEL_ASSERT(!id.empty());
  if (holder == members_.end()) return add_member(request, std::move(id), context);

  // A static member under a new id. The id it had is unknown from here on, which fences it.
  auto node = members_.extract(holder);
  node.key() = id;
  Member& member = node.mapped();
  member.away = false;
  member.previous_epoch = -1;
  member.revoking.clear();
  const auto place = members_.insert(std::move(node));
  return beat(place.position, request, context, true);
}

Group::Beat Group::add_member(const Request& request, std::string id, const Context& context) {
  if (members_.size() >= kMaxGroupMembers) {
    return {fail(ErrorCode::kOverloaded,
                 "group \"" + name_ + "\" has " + std::to_string(kMaxGroupMembers) +
                     " members, which is the limit; wait for one to leave")};
  }
  Member member;
  if (request.names) member.names = shared(sorted_topics(*request.names));
  if (request.pattern) member.pattern = *request.pattern;
  member.instance_id = request.instance_id;
  auto topics = topics_of(member.names, member.pattern, context.match);
  if (!topics) return {fail(std::move(topics).error())};
  if (Status status = check_size(id, member, member.names, *topics, *context.partition_count);
      !status) {
    return {fail(std::move(status).error())};
  }
  member.topics = std::move(*topics);
  if (request.assignor) member.assignor = *request.assignor;
  const auto place = members_.emplace(std::move(id), std::move(member));
  RUNNEL_ASSERT(place.second);
  take_counts(subscribed(*context.partition_count));
  retarget();
  return beat(place.first, request, context, true);
}

void Group::leave(Members::iterator place, std::int32_t epoch, const Context& context) {
  Member& member = place->second;
  if (epoch == kEpochLeaveStatic) {
    member.away = true;
    member.revoking.clear();
    member.assigned = difference(member.assigned, difference(member.assigned, member.target));
    member.deadline = context.now + std::chrono::milliseconds(member.session_timeout_ms);
    return wake_at(member.deadline);
  }
  members_.erase(place);
  take_counts(subscribed(*context.partition_count));
  retarget();
}

Group::Beat Group::beat(Members::iterator place, const Request& request, const Context& context,
                        bool changed) {
  auto updated = update(place->first, place->second, request, context);
  if (!updated) return {fail(std::move(updated).error()), changed};
  // A member that says nothing of what it works on still works on what it was to give up.
  const PartitionSet owned = request.owned ? set_of(*request.owned) : place->second.revoking;
  const Reconciled reconciled = reconcile(place, owned, context.now);
  return {place, changed || *updated || reconciled.changed, reconciled.reassigned};
}

Result<bool> Group::update(const std::string& id, Member& member, const Request& request,
                           const Context& context) {
  bool changed = false;
  const auto set = [&](auto& field, const auto& value) {
    if (field == value) return;
    field = value;
    changed = true;
  };
  TopicList names = member.names;
  if (request.names) {
    std::vector<std::string> named = sorted_topics(*request.names);
    if (named != *names) names = shared(std::move(named));
  }
  const std::string& pattern = request.pattern ? *request.pattern : member.pattern;
  const bool subscribes = names != member.names || pattern != member.pattern;
  TopicList topics;
  if (subscribes) {
    RUNNEL_TRY_ASSIGN(topics, topics_of(names, pattern, context.match));
    RUNNEL_TRY(check_size(id, member, names, topics, *context.partition_count));
  }

  member.deadline = context.now + std::chrono::milliseconds(request.session_timeout_ms);
  wake_at(member.deadline);
  set(member.session_timeout_ms, request.session_timeout_ms);
  if (request.rebalance_timeout_ms != 0) {
    set(member.rebalance_timeout_ms, request.rebalance_timeout_ms);
  }
  if (request.client_name) set(member.client_name, *request.client_name);
  if (request.rack) set(member.rack, *request.rack);
  set(member.host, std::string(context.host.substr(0, kMaxMemberTextBytes)));
  if (subscribes) {
    set(member.pattern, std::string(pattern));
    set(member.names, names);
    set(member.topics, topics);
  }
  const Assignor before = chosen_assignor();
  if (request.assignor) set(member.assignor, *request.assignor);
  if (subscribes || chosen_assignor() != before) {
    take_counts(subscribed(*context.partition_count));
    retarget();
  }
  return changed;
}

Group::Reconciled Group::reconcile(Members::iterator place, const PartitionSet& owned, Time now) {
  Member& member = place->second;
  bool changed = false;
  if (!member.revoking.empty()) {
    if (intersects(owned, member.revoking)) return {};
    member.revoking.clear();
    changed = true;
  }
  PartitionSet excess = excess_of(member);
  member.gone.clear();
  if (!excess.empty()) {
    remove_all(member.assigned, excess);
    member.revoking = std::move(excess);
    member.revoke_deadline = now + (member.rebalance_timeout_ms == 0
                                        ? kRevocationTimeout
                                        : std::chrono::milliseconds(member.rebalance_timeout_ms));
    wake_at(member.revoke_deadline);
    return {true, true};
  }
  if (member.epoch != epoch_) {
    member.previous_epoch = std::exchange(member.epoch, epoch_);
    changed = true;
  }
  const PartitionSet granted =
      free_of_others(place->first, difference(member.target, member.assigned));
  if (granted.empty()) return {changed, false};
  add_all(member.assigned, granted);
  return {true, true};
}

PartitionSet Group::excess_of(const Member& member) {
  PartitionSet excess = difference(member.assigned, member.target);
  for (const std::string& topic : member.gone) {
    const auto lost = member.assigned.find(topic);
    if (lost != member.assigned.end()) excess.insert_or_assign(topic, lost->second);
  }
  return excess;
}

PartitionSet Group::free_of_others(const std::string& id, PartitionSet wanted) const {
  for (const auto& [other_id, other] : members_) {
    if (wanted.empty()) break;
    if (other_id == id) continue;
    remove_all(wanted, other.assigned);
    remove_all(wanted, other.revoking);
  }
  return wanted;
}

bool Group::settled(const Member& member) const {
  return member.revoking.empty() && member.gone.empty() && member.assigned == member.target &&
         (member.away || member.epoch == epoch_);
}

bool Group::expire(Time now) {
  if (now < next_deadline_) return false;
  const std::size_t gone = std::erase_if(members_, [&](const auto& entry) {
    const Member& member = entry.second;
    return member.deadline <= now || (!member.revoking.empty() && member.revoke_deadline <= now);
  });
  next_deadline_ = Time::max();
  for (const auto& [id, member] : members_) {
    wake_at(member.deadline);
    if (!member.revoking.empty()) wake_at(member.revoke_deadline);
  }
  if (gone == 0) return false;
  std::erase_if(counts_, [&](const auto& entry) {
    return std::none_of(members_.begin(), members_.end(), [&](const auto& member) {
      return std::ranges::binary_search(*member.second.topics, entry.first);
    });
  });
  retarget();
  check_invariants();
  return true;
}

Assignor Group::chosen_assignor() const {
  const auto range = std::count_if(members_.begin(), members_.end(), [](const auto& entry) {
    return entry.second.assignor == name_of(Assignor::kRange);
  });
  // The majority's choice; uniform wins a tie.
  return 2 * static_cast<std::size_t>(range) > members_.size() ? Assignor::kRange
                                                               : Assignor::kUniform;
}

void Group::retarget() {
  ++epoch_;
  std::vector<AssignorMember> input;
  input.reserve(members_.size());
  for (const auto& [id, member] : members_) {
    input.push_back({member.instance_id.empty() ? id : member.instance_id, member.topics.get(),
                     &member.target});
  }
  std::vector<PartitionSet> shares = assign(chosen_assignor(), input, counts_);
  std::size_t i = 0;
  for (auto& [id, member] : members_) {
    member.target = std::move(shares[i++]);
    // Nobody works on an away member's partitions, so what moves on is free at once.
    if (member.away) remove_all(member.assigned, difference(member.assigned, member.target));
  }
}

void Group::check_invariants() const {
  PartitionSet taken;
  std::size_t partitions = 0;
  for (const auto& [id, member] : members_) {
    RUNNEL_ASSERT(member.epoch <= epoch_ && !intersects(member.assigned, member.revoking));
    partitions += size_of(member.assigned) + size_of(member.revoking);
    add_all(taken, member.assigned);
    add_all(taken, member.revoking);
  }
  RUNNEL_ASSERT(size_of(taken) == partitions);
}

}  // namespace runnel::broker
