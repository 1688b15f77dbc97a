#include "broker/groups/group.h"

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::broker {

using protocol::native::kEpochJoin;
using protocol::native::kEpochLeave;
using protocol::native::kEpochLeaveStatic;

namespace {

Status check_text(std::string_view what, std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return {};
  return fail(ErrorCode::kInvalidArgument, std::string(what) + " has " +
                                               std::to_string(text.size()) + " bytes; at most " +
                                               std::to_string(limit) + " are allowed");
}

std::vector<std::string> sorted_topics(const std::vector<std::string>& topics) {
  std::vector<std::string> sorted = topics;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

tl::unexpected<Error> unknown_member(std::string_view id, std::string_view group) {
  return fail(ErrorCode::kUnknownMember,
              "\"" + std::string(id) + "\" is not a member of group \"" + std::string(group) +
                  "\"; it left or was silent for longer than its session timeout. Give up all "
                  "partitions and join again with epoch 0");
}

}  // namespace

Status Group::validate(const Heartbeat& request) {
  if (request.group.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the group's name is empty; give it one");
  }
  RUNNEL_TRY(check_text("the group's name", request.group, kMaxGroupNameBytes));
  RUNNEL_TRY(check_text("the member id", request.member_id, kMaxMemberTextBytes));
  RUNNEL_TRY(check_text("the instance id", request.instance_id, kMaxMemberTextBytes));
  RUNNEL_TRY(check_text("the client name", request.client_name, kMaxMemberTextBytes));
  if (request.member_epoch < kEpochLeaveStatic) {
    return fail(ErrorCode::kInvalidArgument,
                "member epoch " + std::to_string(request.member_epoch) +
                    " has no meaning; 0 joins, -1 leaves, -2 leaves for a while");
  }
  if (request.member_epoch != kEpochJoin && request.member_id.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the member id is missing; join with epoch 0 first");
  }
  if (request.member_epoch == kEpochLeaveStatic && request.instance_id.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "only a static member can leave for a while (-2); give its instance id or leave "
                "with -1");
  }
  if (!assignor_named(request.assignor)) {
    return fail(ErrorCode::kInvalidArgument, "there is no assignor \"" + request.assignor +
                                                 "\"; choose \"uniform\" or \"range\"");
  }
  if (request.topics.size() > kMaxMemberTopics) {
    return fail(ErrorCode::kInvalidArgument, std::to_string(request.topics.size()) +
                                                 " topics in one subscription; at most " +
                                                 std::to_string(kMaxMemberTopics) + " are allowed");
  }
  const std::chrono::milliseconds timeout{request.session_timeout_ms};
  if (timeout < kMinSessionTimeout || timeout > kMaxSessionTimeout) {
    return fail(ErrorCode::kInvalidArgument,
                "session timeout " + std::to_string(timeout.count()) +
                    " ms is out of range; from " + std::to_string(kMinSessionTimeout.count()) +
                    " to " + std::to_string(kMaxSessionTimeout.count()) + " ms");
  }
  return {};
}

Group::Outcome Group::heartbeat(const Heartbeat& request, const Context& context) {
  Outcome outcome = [&]() -> Outcome {
    if (request.member_epoch < 0) return leave(request, context);
    if (request.member_epoch == kEpochJoin) return join(request, context);
    auto member = find_member(request);
    if (!member) return {fail(std::move(member).error())};
    if (Status status = check_epoch((*member)->second, request); !status) {
      return {fail(std::move(status).error())};
    }
    return beat(*member, request, context, false);
  }();
  if (outcome.changed) check_invariants();
  return outcome;
}

Group::Members::iterator Group::find_instance(std::string_view instance_id) {
  if (instance_id.empty()) return members_.end();
  return std::find_if(members_.begin(), members_.end(),
                      [&](const auto& entry) { return entry.second.instance_id == instance_id; });
}

Result<Group::Members::iterator> Group::find_member(const Heartbeat& request) {
  const auto holder = find_instance(request.instance_id);
  if (holder != members_.end() && holder->first != request.member_id) {
    return fail(ErrorCode::kFenced, "instance \"" + request.instance_id + "\" of group \"" + name_ +
                                        "\" is another process now (member \"" + holder->first +
                                        "\"); stop this one");
  }
  const auto member = members_.find(request.member_id);
  if (member == members_.end() || member->second.away) {
    return unknown_member(request.member_id, name_);
  }
  if (!request.instance_id.empty() && holder == members_.end()) {
    return fail(ErrorCode::kInvalidArgument,
                "member \"" + request.member_id + "\" joined without instance id \"" +
                    request.instance_id + "\"; a member keeps the instance id it joined with");
  }
  return member;
}

Status Group::check_epoch(const Member& member, const Heartbeat& request) const {
  if (request.member_epoch > member.epoch) {
    return fail(ErrorCode::kFenced, "epoch " + std::to_string(request.member_epoch) +
                                        " was never given to member \"" + request.member_id +
                                        "\", which is at " + std::to_string(member.epoch) +
                                        "; give up all partitions and join again with epoch 0");
  }
  // A reply may get lost: the epoch before is fine, as long as nothing is worked on that the
  // member has given up since.
  const bool known =
      request.member_epoch == member.epoch || request.member_epoch == member.previous_epoch;
  const PartitionSet granted = [&] {
    PartitionSet all = member.assigned;
    add_all(all, member.revoking);
    return all;
  }();
  if (known && difference(set_of(request.owned), granted).empty()) return {};
  return fail(ErrorCode::kStaleGeneration,
              "member \"" + request.member_id + "\" at epoch " +
                  std::to_string(request.member_epoch) + " of group \"" + name_ +
                  "\" is behind epoch " + std::to_string(member.epoch) +
                  " or works on partitions it was not given; give up all partitions and join "
                  "again with epoch 0");
}

Group::Outcome Group::join(const Heartbeat& request, const Context& context) {
  const auto holder = find_instance(request.instance_id);
  const auto known = members_.find(request.member_id);
  if (known != members_.end()) {
    if (known != holder && known->second.instance_id != request.instance_id) {
      return {fail(ErrorCode::kInvalidArgument,
                   "member id \"" + request.member_id +
                       "\" is in use with another instance id; join with an id of your own")};
    }
    // A join that is repeated, or a member that starts again. Its replies may have been lost, so
    // any epoch is fine; partitions it was not given are not.
    Heartbeat again = request;
    again.member_epoch = known->second.epoch;
    if (Status status = check_epoch(known->second, again); !status) {
      return {fail(std::move(status).error())};
    }
    const bool was_away = std::exchange(known->second.away, false);
    if (was_away) retarget();  // a new epoch: the process before it has the old one
    return beat(known, request, context, was_away);
  }
  if (!request.owned.empty()) {
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

Group::Outcome Group::add_member(const Heartbeat& request, std::string id, const Context& context) {
  if (members_.size() >= kMaxGroupMembers) {
    return {fail(ErrorCode::kOverloaded,
                 "group \"" + name_ + "\" has " + std::to_string(kMaxGroupMembers) +
                     " members, which is the limit; wait for one to leave")};
  }
  const std::vector<std::string> topics = sorted_topics(request.topics);
  if (Status status = check_size(topics, *context.partition_count); !status) {
    return {fail(std::move(status).error())};
  }
  Member member;
  member.instance_id = request.instance_id;
  member.assignor = request.assignor;
  member.topics = topics;
  const auto place = members_.emplace(std::move(id), std::move(member));
  RUNNEL_ASSERT(place.second);
  counts_ = subscribed(*context.partition_count);
  retarget();
  return beat(place.first, request, context, true);
}

Group::Outcome Group::leave(const Heartbeat& request, const Context& context) {
  auto found = find_member(request);
  if (!found) return {fail(std::move(found).error())};
  Reply reply;
  reply.member_id = request.member_id;
  reply.member_epoch = request.member_epoch;
  if (request.member_epoch == kEpochLeaveStatic) {
    Member& member = (*found)->second;
    member.away = true;
    member.revoking.clear();
    member.assigned = difference(member.assigned, difference(member.assigned, member.target));
    member.deadline = context.now + std::chrono::milliseconds(member.session_timeout_ms);
    return {std::move(reply), true};
  }
  members_.erase(*found);
  counts_ = subscribed(*context.partition_count);
  retarget();
  return {std::move(reply), true};
}

Group::Outcome Group::beat(Members::iterator member, const Heartbeat& request,
                           const Context& context, bool changed) {
  auto updated = update(member->second, request, context);
  if (!updated) return {fail(std::move(updated).error()), changed};
  const bool moved = reconcile(member, set_of(request.owned), context.now);
  return {reply_to(member->first, member->second), changed || *updated || moved};
}

Result<bool> Group::update(Member& member, const Heartbeat& request, const Context& context) {
  bool changed = false;
  const auto set = [&](auto& field, const auto& value) {
    if (field == value) return;
    field = value;
    changed = true;
  };
  std::vector<std::string> topics = sorted_topics(request.topics);
  const bool joins = request.member_epoch == kEpochJoin;
  const bool subscribes = (joins || !topics.empty()) && topics != member.topics;
  if (subscribes) RUNNEL_TRY(check_size(topics, *context.partition_count));
  const bool votes = (joins || !request.assignor.empty()) && request.assignor != member.assignor;

  member.deadline = context.now + std::chrono::milliseconds(request.session_timeout_ms);
  set(member.session_timeout_ms, request.session_timeout_ms);
  if (joins || !request.client_name.empty()) set(member.client_name, request.client_name);
  set(member.host, std::string(context.host.substr(0, kMaxMemberTextBytes)));
  if (subscribes) set(member.topics, topics);
  const Assignor before = chosen_assignor();
  if (votes) set(member.assignor, request.assignor);
  if (subscribes || chosen_assignor() != before) {
    counts_ = subscribed(*context.partition_count);
    retarget();
  }
  return changed;
}

Status Group::check_size(const std::vector<std::string>& topics,
                         const PartitionCount& partition_count) const {
  std::size_t partitions = 0;
  for (const auto& [topic, count] : counts_) partitions += static_cast<std::size_t>(count);
  for (const std::string& topic : topics) {
    if (counts_.contains(topic)) continue;
    partitions += static_cast<std::size_t>(std::max(partition_count(topic), 0));
  }
  if (partitions <= kMaxGroupPartitions) return {};
  return fail(ErrorCode::kTooManyPartitions,
              "group \"" + name_ + "\" would have " + std::to_string(partitions) +
                  " partitions; at most " + std::to_string(kMaxGroupPartitions) +
                  " are allowed. Use more groups");
}

bool Group::reconcile(Members::iterator place, const PartitionSet& owned, Time now) {
  Member& member = place->second;
  bool changed = false;
  if (!member.revoking.empty()) {
    if (intersects(owned, member.revoking)) return false;
    member.revoking.clear();
    changed = true;
  }
  PartitionSet excess = difference(member.assigned, member.target);
  if (!excess.empty()) {
    remove_all(member.assigned, excess);
    member.revoking = std::move(excess);
    member.revoke_deadline = now + kRevocationTimeout;
    return true;
  }
  if (member.epoch != epoch_) {
    member.previous_epoch = std::exchange(member.epoch, epoch_);
    changed = true;
  }
  const PartitionSet granted =
      free_of_others(place->first, difference(member.target, member.assigned));
  if (granted.empty()) return changed;
  add_all(member.assigned, granted);
  return true;
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
  return member.revoking.empty() && member.assigned == member.target &&
         (member.away || member.epoch == epoch_);
}

bool Group::expire(Time now) {
  const std::size_t gone = std::erase_if(members_, [&](const auto& entry) {
    const Member& member = entry.second;
    return member.deadline <= now || (!member.revoking.empty() && member.revoke_deadline <= now);
  });
  if (gone == 0) return false;
  std::erase_if(counts_, [&](const auto& entry) {
    return std::none_of(members_.begin(), members_.end(), [&](const auto& member) {
      return std::binary_search(member.second.topics.begin(), member.second.topics.end(),
                                entry.first);
    });
  });
  retarget();
  check_invariants();
  return true;
}

bool Group::refresh_topics(const PartitionCount& partition_count) {
  PartitionCounts now = subscribed(partition_count);
  if (now == counts_) return false;
  counts_ = std::move(now);
  retarget();
  check_invariants();
  return true;
}

PartitionCounts Group::subscribed(const PartitionCount& partition_count) const {
  PartitionCounts counts;
  for (const auto& [id, member] : members_) {
    for (const std::string& topic : member.topics) {
      const auto [place, fresh] = counts.try_emplace(topic, 0);
      if (fresh) place->second = std::max(partition_count(topic), 0);
    }
  }
  return counts;
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
    input.push_back(
        {member.instance_id.empty() ? id : member.instance_id, &member.topics, &member.target});
  }
  std::vector<PartitionSet> shares = assign(chosen_assignor(), input, counts_);
  std::size_t i = 0;
  for (auto& [id, member] : members_) {
    member.target = std::move(shares[i++]);
    // Nobody works on an away member's partitions, so what moves on is free at once.
    if (member.away) remove_all(member.assigned, difference(member.assigned, member.target));
  }
}

Status Group::check_commit(std::string_view member_id, std::int32_t epoch) const {
  if (member_id.empty()) {
    if (members_.empty()) return {};
    return fail(ErrorCode::kUnknownMember,
                "group \"" + name_ + "\" has " + std::to_string(members_.size()) +
                    " members, so only they may commit its offsets; stop them first or commit as "
                    "a member");
  }
  const auto found = members_.find(member_id);
  if (found == members_.end() || found->second.away) return unknown_member(member_id, name_);
  const std::int32_t current = found->second.epoch;
  if (epoch == current) return {};
  const std::string epochs = "epoch " + std::to_string(epoch) + " of member \"" +
                             std::string(member_id) + "\" in group \"" + name_ + "\"";
  if (epoch > current) {
    return fail(ErrorCode::kFenced, epochs + " was never given; the member is at " +
                                        std::to_string(current) + ". Join again with epoch 0");
  }
  return fail(ErrorCode::kStaleGeneration, epochs + " is over; it is at " +
                                               std::to_string(current) +
                                               " now. Heartbeat, then commit with the new epoch");
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

Group::Reply Group::reply_to(const std::string& id, const Member& member) const {
  using std::chrono::milliseconds;
  const milliseconds tenth{member.session_timeout_ms / 10};
  const milliseconds interval =
      std::min(tenth, settled(member) ? kMaxHeartbeatInterval : kReconcilingInterval);
  return {id, member.epoch, static_cast<std::uint32_t>(interval.count()), list_of(member.assigned)};
}

protocol::native::GroupDescription Group::describe(bool with_members) const {
  protocol::native::GroupDescription description;
  description.group = name_;
  description.epoch = epoch_;
  const bool stable = std::all_of(members_.begin(), members_.end(),
                                  [&](const auto& entry) { return settled(entry.second); });
  description.state = members_.empty() ? "empty" : stable ? "stable" : "reconciling";
  if (!members_.empty()) description.assignor = name_of(chosen_assignor());
  if (!with_members) return description;
  for (const auto& [id, member] : members_) {
    description.members.push_back({id, member.instance_id, member.client_name, member.host,
                                   member.epoch, list_of(member.assigned)});
  }
  return description;
}

}  // namespace runnel::broker
