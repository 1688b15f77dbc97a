// What members ask of a classic group.
#include "broker/groups/classic_group.h"

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::broker {

using classic::JoinReply;
using classic::JoinRequest;
using classic::SyncReply;
using classic::SyncRequest;

namespace {

ClassicGroup::Answer refusal(ClassicGroup::ReplyToken token, ErrorCode error,
                             std::string member_id) {
  JoinReply reply;
  reply.error = error;
  reply.member_id = std::move(member_id);
  return {token, std::move(reply)};
}

ClassicGroup::Answer refusal(ClassicGroup::ReplyToken token, ErrorCode error) {
  SyncReply reply;
  reply.error = error;
  return {token, std::move(reply)};
}

std::size_t size_of(const std::vector<classic::Protocol>& protocols) {
  std::size_t size = 0;
  for (const auto& protocol : protocols) size += protocol.name.size() + protocol.metadata.size();
  return size;
}

/// A name that is offered twice counts once.
std::vector<classic::Protocol> unique_protocols(const std::vector<classic::Protocol>& all) {
  std::vector<classic::Protocol> unique;
  unique.reserve(all.size());
  for (const auto& protocol : all) {
    const bool known = std::ranges::any_of(
        unique, [&](const classic::Protocol& other) { return other.name == protocol.name; });
    if (!known) unique.push_back(protocol);
  }
  return unique;
}

bool differ(const std::optional<std::string>& named, const std::optional<std::string>& ours) {
  return named && ours && *named != *ours;
}

}  // namespace

std::string_view name_of(ClassicGroup::State state) noexcept {
  switch (state) {
    case ClassicGroup::State::kEmpty:
      return "Empty";
    case ClassicGroup::State::kPreparingRebalance:
      return "PreparingRebalance";
    case ClassicGroup::State::kCompletingRebalance:
      return "CompletingRebalance";
    case ClassicGroup::State::kStable:
      return "Stable";
    case ClassicGroup::State::kDead:
      break;
  }
  return "Dead";
}

ErrorCode ClassicGroup::validate(const JoinRequest& request, const GroupConfig& config) {
  if (request.group.empty() || request.group.size() > kMaxGroupNameBytes ||
      request.group.find('\0') != std::string::npos) {
    return ErrorCode::kInvalidGroupId;
  }
  const std::chrono::milliseconds session{request.session_timeout_ms};
  if (session < config.min_session_timeout || session > config.max_session_timeout) {
    return ErrorCode::kInvalidSessionTimeout;
  }
  const bool too_large =
      (request.instance_id && request.instance_id->size() > kMaxMemberTextBytes) ||
      request.protocol_type.size() > kMaxMemberTextBytes ||
      request.protocols.size() > kMaxMemberProtocols ||
      size_of(request.protocols) > kMaxMemberMetadataBytes;
  return too_large ? ErrorCode::kInvalidArgument : ErrorCode::kOk;
}

ClassicGroup::Effects ClassicGroup::join(const JoinRequest& request, std::string_view unique,
                                         ReplyToken token, const Context& context) {
  Step step{context, {}};
  if (state_ == State::kDead) {
    step.effects.answers.push_back(refusal(token, ErrorCode::kNotAvailable, request.member_id));
  } else if (!accepts(request.member_id, context.config) || !fits(request)) {
    step.effects.answers.push_back(refusal(token, ErrorCode::kGroupMaxSizeReached, ""));
    if (const auto member = members_.find(request.member_id); member != members_.end()) {
      remove_member(member, step);
      after_removal(step);
    }
  } else if (!supports(request)) {
    step.effects.answers.push_back(
        refusal(token, ErrorCode::kInconsistentGroupProtocol, request.member_id));
  } else if (request.member_id.empty()) {
    join_new(request, unique, token, step);
  } else if (const auto pending = pending_.find(request.member_id);
             pending != pending_.end() && !request.instance_id) {
    remove_pending(pending);
    add_member(request, request.member_id, token, step);
  } else if (const ErrorCode error = check_member(request.member_id, request.instance_id);
             error != ErrorCode::kOk) {
    Answer answer = refusal(token, error, request.member_id);
    std::get<JoinReply>(answer.reply).protocol_name.reset();
    step.effects.answers.push_back(std::move(answer));
  } else {
    join_known(request, token, step);
  }
  return std::move(step.effects);
}

bool ClassicGroup::accepts(std::string_view member_id, const GroupConfig& config) const {
  const auto member = members_.find(member_id);
  if (state_ == State::kEmpty) return pending_.size() < kMaxClassicMembers;
  if (member == members_.end() && !pending_.contains(member_id) &&
      members_.size() + pending_.size() >= kMaxClassicMembers) {
    return false;
  }
  if (state_ == State::kPreparingRebalance) {
    // Those who wait count, not those who are still listed: a group that has become too large
    // loses the members that are last to join again.
    return (member != members_.end() && member->second.join) || awaiting_join_ < config.max_size;
  }
  return member != members_.end() || members_.size() < config.max_size;
}

bool ClassicGroup::fits(const JoinRequest& request) const {
  const auto member = members_.find(request.member_id);
  const std::size_t before = member == members_.end() ? 0 : cost_of(member->first, member->second);
  const std::size_t after = kMemberOverheadBytes + size_of(request.protocols);
  return after <= before || bytes_ - before + after <= kMaxClassicGroupBytes;
}

bool ClassicGroup::supports(const JoinRequest& request) const {
  if (request.protocol_type.empty() || request.protocols.empty()) return false;
  if (state_ == State::kEmpty) return true;
  if (request.protocol_type != protocol_type_) return false;
  return std::ranges::any_of(request.protocols, [&](const classic::Protocol& protocol) {
    const auto known = supported_.find(protocol.name);
    return (known == supported_.end() ? 0 : known->second) == members_.size();
  });
}

ErrorCode ClassicGroup::check_member(std::string_view member_id,
                                     const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const auto holder = static_ids_.find(*instance_id);
    if (holder == static_ids_.end()) return ErrorCode::kUnknownMember;
    if (holder->second != member_id) return ErrorCode::kFencedInstanceId;
  }
  return members_.contains(member_id) ? ErrorCode::kOk : ErrorCode::kUnknownMember;
}

void ClassicGroup::join_new(const JoinRequest& request, std::string_view unique, ReplyToken token,
                            Step& step) {
  const std::string_view prefix = request.instance_id ? std::string_view(*request.instance_id)
                                                      : std::string_view(request.client_id);
  std::string id(prefix.substr(0, kMaxMemberTextBytes));
  id.append("-").append(unique);
  if (request.instance_id) {
    const auto holder = static_ids_.find(*request.instance_id);
    if (holder == static_ids_.end()) return add_member(request, std::move(id), token, step);
    const auto old = members_.find(holder->second);
    RUNNEL_ASSERT(old != members_.end());
    return replace_static(old, std::move(id), request, token, step);
  }
  if (!request.needs_known_id) return add_member(request, std::move(id), token, step);
  // A client that never comes back with its id costs this entry, not a place in a rebalance.
  const Time until = step.context.now + milliseconds(request.session_timeout_ms);
  wake_at(until);
  bytes_ += kMemberOverheadBytes;
  step.effects.answers.push_back(refusal(token, ErrorCode::kMemberIdRequired, id));
  const bool fresh = pending_.emplace(std::move(id), until).second;
  RUNNEL_ASSERT(fresh);
}

void ClassicGroup::join_known(const JoinRequest& request, ReplyToken token, Step& step) {
  const auto member = members_.find(request.member_id);
  RUNNEL_ASSERT(member != members_.end() && state_ != State::kEmpty);
  const bool changed = member->second.protocols != unique_protocols(request.protocols);
  // The leader joins again when what it knows of topics has changed, so that alone is a reason.
  const bool leads = state_ == State::kStable && leader_ == member->first;
  if (state_ == State::kPreparingRebalance || changed || leads) {
    update_member(member, request, token, step);
    return rebalance_or_complete(step);
  }
  // Its reply got lost, or it has nothing new to say: it is told again.
  JoinReply reply = join_reply(member->first);
  if (state_ == State::kStable) reply.members.clear();
  step.effects.answers.push_back({token, std::move(reply)});
}

void ClassicGroup::add_member(const JoinRequest& request, std::string id, ReplyToken token,
                              Step& step) {
  Member member;
  member.instance_id = request.instance_id;
  member.client_id = request.client_id.substr(0, kMaxClientIdBytes);
  member.host = request.host.substr(0, kMaxMemberTextBytes);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.protocols = unique_protocols(request.protocols);
  member.is_new = true;
  // It has no member id to heartbeat with yet; a client that is gone shall not stay for ever.
  member.deadline = step.context.now + kNewMemberJoinTimeout;
  wake_at(member.deadline);
  if (state_ == State::kPreparingRebalance && initial_) new_member_added_ = true;
  if (members_.empty()) protocol_type_ = request.protocol_type;
  if (leader_.empty()) leader_ = id;
  if (member.instance_id) static_ids_[*member.instance_id] = id;
  count_protocols(member, +1);
  await_join(member, token);
  bytes_ += cost_of(id, member);
  const bool fresh = members_.emplace(std::move(id), std::move(member)).second;
  RUNNEL_ASSERT(fresh);
  rebalance_or_complete(step);
}

void ClassicGroup::update_member(Members::iterator place, const JoinRequest& request,
                                 ReplyToken token, Step& step) {
  Member& member = place->second;
  if (member.join) fail_join(place, ErrorCode::kRebalancing, step);
  bytes_ -= cost_of(place->first, member);
  count_protocols(member, -1);
  member.protocols = unique_protocols(request.protocols);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  count_protocols(member, +1);
  bytes_ += cost_of(place->first, member);
  await_join(member, token);
}

void ClassicGroup::replace_static(Members::iterator old, std::string id, const JoinRequest& request,
                                  ReplyToken token, Step& step) {
  // Whoever waits under the old id is fenced now, not when it next asks.
  const std::string old_leader = leader_;
  if (old->second.join) {
    JoinReply fenced;
    fenced.error = ErrorCode::kFencedInstanceId;
    fenced.member_id = old->first;
    fenced.protocol_name.reset();
    answer_join(old, std::move(fenced), step);
  }
  if (old->second.sync) answer_sync(old->second, {ErrorCode::kFencedInstanceId, {}, {}, {}}, step);
  settle_sync(old->second);
  if (leader_ == old->first) leader_ = id;
  bytes_ -= cost_of(old->first, old->second);
  static_ids_[*request.instance_id] = id;
  auto node = members_.extract(old);
  node.key() = id;
  const auto member = members_.insert(std::move(node)).position;
  bytes_ += cost_of(member->first, member->second);
  member->second.is_new = false;
  member->second.client_id = request.client_id.substr(0, kMaxClientIdBytes);
  member->second.host = request.host.substr(0, kMaxMemberTextBytes);
  update_member(member, request, token, step);
  renew(member->second, step.context.now);

  if (state_ != State::kStable) {
    // The leader may be sharing out work to the old id at this moment: once more, then.
    if (state_ == State::kCompletingRebalance) return prepare_rebalance(step);
    return maybe_complete_join(step);
  }
  if (select_protocol() != protocol_) return prepare_rebalance(step);
  JoinReply reply = join_reply(id);
  if (request.can_skip_assignment) {
    reply.skip_assignment = leader_ == id;
  } else {
    // A client that cannot skip the assignment must not take itself for the leader: its own
    // rebalance would be answered with the shares that there are.
    reply.leader = old_leader;
    reply.members.clear();
  }
  step.effects.store = true;
  answer_join(member, std::move(reply), step, true);
}

ErrorCode ClassicGroup::check_sync(const SyncRequest& request) const {
  if (state_ == State::kDead) return ErrorCode::kNotAvailable;
  const ErrorCode error = check_member(request.member_id, request.instance_id);
  if (error != ErrorCode::kOk) return error;
  if (request.generation != generation_) return ErrorCode::kIllegalGeneration;
  if (differ(request.protocol_type, protocol_type_) || differ(request.protocol_name, protocol_)) {
    return ErrorCode::kInconsistentGroupProtocol;
  }
  if (state_ == State::kPreparingRebalance) return ErrorCode::kRebalancing;
  std::size_t size = bytes_;
  for (const auto& [id, assignment] : request.assignments) size += assignment.size();
  const bool leads = state_ == State::kCompletingRebalance && leader_ == request.member_id;
  return leads && size > kMaxClassicGroupBytes ? ErrorCode::kInvalidArgument : ErrorCode::kOk;
}

ClassicGroup::Effects ClassicGroup::sync(const SyncRequest& request, ReplyToken token,
                                         const Context& context) {
  Step step{context, {}};
  if (const ErrorCode error = check_sync(request); error != ErrorCode::kOk) {
    step.effects.answers.push_back(refusal(token, error));
    return std::move(step.effects);
  }
  Member& member = members_.find(request.member_id)->second;
  settle_sync(member);
  if (member.sync) answer_sync(member, {ErrorCode::kRebalancing, {}, {}, {}}, step);
  member.sync = token;
  if (state_ == State::kStable) {
    answer_sync(member, sync_reply(member), step);
  } else if (leader_ == request.member_id) {
    take_assignment(request, step);
  }
  return std::move(step.effects);
}

void ClassicGroup::take_assignment(const SyncRequest& request, Step& step) {
  for (auto& [id, member] : members_) {
    bytes_ -= member.assignment.size();
    member.assignment.clear();  // whom the leader does not name has nothing to do
  }
  for (const auto& [id, assignment] : request.assignments) {
    const auto member = members_.find(id);
    if (member == members_.end()) continue;
    bytes_ = bytes_ - member->second.assignment.size() + assignment.size();
    member->second.assignment = assignment;
  }
  state_ = State::kStable;
  step.effects.store = true;
  for (auto& [id, member] : members_) {
    if (member.sync) answer_sync(member, sync_reply(member), step);
  }
}

ErrorCode ClassicGroup::heartbeat(const classic::MemberIdentity& who, const Context& context) {
  if (state_ == State::kDead) return ErrorCode::kNotAvailable;
  const ErrorCode error = check_member(who.member_id, who.instance_id);
  if (error != ErrorCode::kOk) return error;
  if (who.generation != generation_) return ErrorCode::kIllegalGeneration;
  renew(members_.find(who.member_id)->second, context.now);
  return state_ == State::kPreparingRebalance ? ErrorCode::kRebalancing : ErrorCode::kOk;
}

ClassicGroup::Left ClassicGroup::leave(std::span<const classic::LeavingMember> leaving,
                                       const Context& context) {
  Step step{context, {}};
  Left left;
  left.members.reserve(leaving.size());
  bool removed = false;
  for (const auto& who : leaving) {
    std::string id = who.member_id;
    ErrorCode error = ErrorCode::kOk;
    if (state_ == State::kDead) {
      error = ErrorCode::kNotAvailable;
    } else if (const auto pending = pending_.find(id); pending != pending_.end()) {
      remove_pending(pending);
    } else {
      if (id.empty() && who.instance_id) {
        const auto holder = static_ids_.find(*who.instance_id);
        if (holder != static_ids_.end()) id = holder->second;
      }
      error = check_member(id, who.instance_id);
      if (error == ErrorCode::kOk) {
        remove_member(members_.find(id), step);
        removed = true;
      }
    }
    left.members.push_back({who.member_id, who.instance_id, error});
  }
  if (removed) {
    after_removal(step);
  } else {
    maybe_complete_join(step);  // an id that was given out may have been all it waited for
  }
  left.effects = std::move(step.effects);
  return left;
}

ErrorCode ClassicGroup::check_commit(const classic::MemberIdentity& who, bool transactional,
                                     const Context& context) {
  if (state_ == State::kDead) return ErrorCode::kNotAvailable;
  // A tool, or a consumer that does without the group's sharing out.
  if (who.generation < 0 && state_ == State::kEmpty) return ErrorCode::kOk;
  const bool named = who.generation >= 0 || !who.member_id.empty() || who.instance_id;
  if (named) {
    const ErrorCode error = check_member(who.member_id, who.instance_id);
    if (error != ErrorCode::kOk) return error;
    if (who.generation != generation_) return ErrorCode::kIllegalGeneration;
  } else if (!transactional) {
    return ErrorCode::kUnknownMember;
  }
  if (transactional) return ErrorCode::kOk;
  if (state_ == State::kCompletingRebalance) return ErrorCode::kRebalancing;
  renew(members_.find(who.member_id)->second, context.now);
  return ErrorCode::kOk;
}

void ClassicGroup::kill() {
  RUNNEL_ASSERT(members_.empty());
  state_ = State::kDead;
  pending_.clear();
  bytes_ = 0;
  join_deadline_ = sync_deadline_ = next_deadline_ = kNever;
}

JoinReply ClassicGroup::join_reply(const std::string& member_id) const {
  JoinReply reply;
  reply.generation = generation_;
  reply.protocol_type = protocol_type_;
  reply.protocol_name = protocol_;
  reply.leader = leader_;
  reply.member_id = member_id;
  if (member_id != leader_) return reply;
  reply.members.reserve(members_.size());
  for (const auto& [id, member] : members_) {
    const auto chosen = std::ranges::find_if(
        member.protocols, [&](const classic::Protocol& p) { return p.name == protocol_; });
    RUNNEL_ASSERT(chosen != member.protocols.end());
    reply.members.push_back({id, member.instance_id, chosen->metadata});
  }
  return reply;
}

SyncReply ClassicGroup::sync_reply(const Member& member) const {
  return {ErrorCode::kOk, protocol_type_, protocol_, member.assignment};
}

}  // namespace runnel::broker
