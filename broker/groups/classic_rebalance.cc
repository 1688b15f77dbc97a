// The phases of a classic group's rebalance, and what time does to its members.
#include <algorithm>

#include "broker/groups/classic_group.h"
#include "protocol/base/assert.h"
#include "protocol/kafka/consumer_protocol.h"

namespace runnel::broker {

using classic::JoinReply;
using classic::SyncReply;

void ClassicGroup::rebalance_or_complete(Step& step) {
  if (state_ == State::kPreparingRebalance) return maybe_complete_join(step);
  prepare_rebalance(step);
}

void ClassicGroup::prepare_rebalance(Step& step) {
  RUNNEL_ASSERT(state_ != State::kPreparingRebalance && state_ != State::kDead);
  if (state_ == State::kCompletingRebalance) {
    for (auto& [id, member] : members_) {
      bytes_ -= member.assignment.size();
      member.assignment.clear();
      if (member.sync) answer_sync(member, {ErrorCode::kRebalancing, {}, {}, {}}, step);
    }
  }
  initial_ = state_ == State::kEmpty;
  state_ = State::kPreparingRebalance;
  sync_deadline_ = kNever;
  const Time now = step.context.now;
  if (!initial_) {
    // Who was only given an id is not waited for by a group without members.
    if (all_joined() || members_.empty()) return complete_join(step);
    join_deadline_ = now + rebalance_timeout();
  } else {
    // The first of many members that start at about the same time: wait for the others, so that
    // there is one rebalance and not one for each.
    const Time delay = step.context.config.initial_rebalance_delay;
    if (delay <= Time::zero()) return complete_join(step);
    new_member_added_ = false;
    initial_step_ = delay;
    initial_left_ = std::max(rebalance_timeout() - delay, Time::zero());
    join_deadline_ = now + delay;
  }
  wake_at(join_deadline_);
}

void ClassicGroup::maybe_complete_join(Step& step) {
  if (state_ == State::kPreparingRebalance && !initial_ && all_joined()) complete_join(step);
}

void ClassicGroup::join_time_is_over(Step& step) {
  if (!initial_ || !new_member_added_ || initial_left_ == Time::zero()) return complete_join(step);
  new_member_added_ = false;
  const Time next = std::min<Time>(step.context.config.initial_rebalance_delay, initial_left_);
  initial_left_ = std::max(initial_left_ - initial_step_, Time::zero());
  initial_step_ = next;
  join_deadline_ = step.context.now + next;
}

void ClassicGroup::complete_join(Step& step) {
  join_deadline_ = kNever;
  for (auto member = members_.begin(); member != members_.end();) {
    const auto next = std::next(member);
    if (!member->second.join && !member->second.instance_id) remove_member(member, step);
    member = next;
  }
  const Time now = step.context.now;
  if (!elect_joined_leader() && !members_.empty()) {
    // Only static members, none of them back: wait on, until their sessions end.
    initial_ = false;
    join_deadline_ = now + rebalance_timeout();
    return wake_at(join_deadline_);
  }
  generation_ = generation_ == INT32_MAX ? 1 : generation_ + 1;
  owing_sync_ = 0;
  if (members_.empty()) {
    protocol_.reset();
    leader_.clear();
    state_ = State::kEmpty;
    step.effects.store = true;
    return;
  }
  protocol_ = select_protocol();
  state_ = State::kCompletingRebalance;
  sync_deadline_ = now + rebalance_timeout();
  wake_at(sync_deadline_);
  for (auto member = members_.begin(); member != members_.end(); ++member) {
    member->second.owes_sync = true;
    ++owing_sync_;
    if (member->second.join) answer_join(member, join_reply(member->first), step);
    member->second.is_new = false;
    renew(member->second, now);
  }
}

bool ClassicGroup::elect_joined_leader() {
  const auto leader = members_.find(leader_);
  if (leader == members_.end()) return false;
  if (leader->second.join) return true;
  const auto joined = std::ranges::find_if(
      members_, [](const auto& entry) { return entry.second.join.has_value(); });
  if (joined == members_.end()) return false;
  leader_ = joined->first;
  return true;
}

std::string ClassicGroup::select_protocol() const {
  // Each member votes for the first of its protocols that all know. A tie goes to what the leader
  // prefers.
  const auto common = [&](const classic::Protocol& protocol) {
    return supported_.find(protocol.name)->second == members_.size();
  };
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members_) {
    const auto choice = std::ranges::find_if(member.protocols, common);
    RUNNEL_ASSERT(choice != member.protocols.end());
    ++votes[choice->name];
  }
  std::string_view best;
  std::size_t most = 0;
  for (const auto& protocol : members_.find(leader_)->second.protocols) {
    const auto count = votes.find(protocol.name);
    if (count == votes.end() || count->second <= most) continue;
    best = protocol.name;
    most = count->second;
  }
  RUNNEL_ASSERT(most > 0);
  return std::string(best);
}

ClassicGroup::Time ClassicGroup::rebalance_timeout() const {
  Time longest{};
  for (const auto& [id, member] : members_) {
    longest = std::max(longest, milliseconds(member.rebalance_timeout_ms));
  }
  return longest;
}

ClassicGroup::Effects ClassicGroup::expire(const Context& context) {
  Step step{context, {}};
  if (context.now < next_deadline_) return std::move(step.effects);
  expire_sessions(step);
  if (join_deadline_ <= context.now) join_time_is_over(step);
  if (sync_deadline_ <= context.now) sync_time_is_over(step);
  find_next_deadline();
  return std::move(step.effects);
}

void ClassicGroup::expire_sessions(Step& step) {
  const Time now = step.context.now;
  bool removed = false;
  for (auto pending = pending_.begin(); pending != pending_.end();) {
    const auto next = std::next(pending);
    if (pending->second <= now) remove_pending(pending);
    pending = next;
  }
  for (auto place = members_.begin(); place != members_.end();) {
    const auto next = std::next(place);
    Member& member = place->second;
    if (member.deadline <= now) {
      if (!member.is_new && (member.join || member.sync)) {
        member.deadline = kNever;  // its next reply begins a new session
      } else {
        remove_member(place, step);
        removed = true;
      }
    }
    place = next;
  }
  if (removed) return after_removal(step);
  maybe_complete_join(step);  // an id that was given out may have been all it waited for
}

void ClassicGroup::sync_time_is_over(Step& step) {
  sync_deadline_ = kNever;
  if (owing_sync_ == 0) return;
  for (auto place = members_.begin(); place != members_.end();) {
    const auto next = std::next(place);
    if (place->second.owes_sync) remove_member(place, step);
    place = next;
  }
  prepare_rebalance(step);
}

void ClassicGroup::after_removal(Step& step) {
  switch (state_) {
    case State::kStable:
    case State::kCompletingRebalance:
      return prepare_rebalance(step);
    case State::kPreparingRebalance:
      return maybe_complete_join(step);
    case State::kEmpty:
    case State::kDead:
      return;
  }
}

void ClassicGroup::remove_member(Members::iterator place, Step& step) {
  Member& member = place->second;
  if (member.join) {
    JoinReply reply;
    reply.error = ErrorCode::kUnknownMember;
    answer_join(place, std::move(reply), step);
  }
  if (member.sync) answer_sync(member, {ErrorCode::kUnknownMember, {}, {}, {}}, step);
  settle_sync(member);
  count_protocols(member, -1);
  bytes_ -= cost_of(place->first, member);
  if (member.instance_id) static_ids_.erase(*member.instance_id);
  const bool led = leader_ == place->first;
  members_.erase(place);
  if (led) leader_ = members_.empty() ? std::string() : members_.begin()->first;
}

void ClassicGroup::remove_pending(std::map<std::string, Time, std::less<>>::iterator pending) {
  bytes_ -= kMemberOverheadBytes;
  pending_.erase(pending);
}

void ClassicGroup::answer_join(Members::iterator place, JoinReply reply, Step& step,
                               bool after_store) {
  Member& member = place->second;
  RUNNEL_ASSERT(member.join && awaiting_join_ > 0);
  step.effects.answers.push_back({*member.join, std::move(reply), after_store});
  member.join.reset();
  --awaiting_join_;
}

void ClassicGroup::fail_join(Members::iterator place, ErrorCode error, Step& step) {
  JoinReply reply;
  reply.error = error;
  reply.member_id = place->first;
  answer_join(place, std::move(reply), step);
}

void ClassicGroup::answer_sync(Member& member, SyncReply reply, Step& step) {
  RUNNEL_ASSERT(member.sync);
  // A share is told when it is stored, so that after a crash no member works on what nobody knows.
  const bool after_store = reply.error == ErrorCode::kOk;
  step.effects.answers.push_back({*member.sync, std::move(reply), after_store});
  member.sync.reset();
  renew(member, step.context.now);
}

void ClassicGroup::await_join(Member& member, ReplyToken token) {
  RUNNEL_ASSERT(!member.join);
  member.join = token;
  ++awaiting_join_;
}

void ClassicGroup::settle_sync(Member& member) {
  if (!std::exchange(member.owes_sync, false)) return;
  RUNNEL_ASSERT(owing_sync_ > 0);
  if (--owing_sync_ == 0) sync_deadline_ = kNever;
}

void ClassicGroup::renew(Member& member, Time now) {
  member.deadline = now + milliseconds(member.session_timeout_ms);
  wake_at(member.deadline);
}

void ClassicGroup::find_next_deadline() {
  next_deadline_ = std::min(join_deadline_, sync_deadline_);
  for (const auto& [id, until] : pending_) wake_at(until);
  for (const auto& [id, member] : members_) wake_at(member.deadline);
}

void ClassicGroup::count_protocols(const Member& member, int sign) {
  for (const auto& protocol : member.protocols) {
    if (sign > 0) {
      ++supported_[protocol.name];
    } else if (const auto known = supported_.find(protocol.name); --known->second == 0) {
      supported_.erase(known);
    }
  }
}

std::size_t ClassicGroup::cost_of(const std::string& id, const Member& member) {
  std::size_t size = kMemberOverheadBytes + id.size() + member.client_id.size() +
                     member.host.size() + member.assignment.size();
  for (const auto& protocol : member.protocols) {
    size += protocol.name.size() + protocol.metadata.size();
  }
  return size;
}

bool ClassicGroup::subscribes(std::string_view topic) const {
  if (members_.empty() || protocol_type() != "consumer") return false;
  if (!protocol_) return true;
  for (const auto& [id, member] : members_) {
    const auto chosen = std::ranges::find_if(
        member.protocols, [&](const classic::Protocol& p) { return p.name == protocol_; });
    if (chosen == member.protocols.end()) continue;
    const auto wanted = protocol::kafka::decode_consumer_subscription(as_bytes(chosen->metadata));
    if (!wanted || std::ranges::find(wanted->topics, topic) != wanted->topics.end()) return true;
  }
  return false;
}

classic::Description ClassicGroup::describe() const {
  classic::Description description;
  description.group = name_;
  description.state = name_of(state_);
  description.protocol_type = protocol_type();
  const bool stable = state_ == State::kStable;
  if (stable) description.protocol = *protocol_;
  for (const auto& [id, member] : members_) {
    classic::DescribedMember& shown = description.members.emplace_back();
    shown = {id, member.instance_id, member.client_id, member.host, {}, {}};
    shown.assignment = member.assignment;  // the last, while there is no new one
    if (!stable) continue;
    const auto chosen = std::ranges::find_if(
        member.protocols, [&](const classic::Protocol& p) { return p.name == protocol_; });
    if (chosen != member.protocols.end()) shown.metadata = chosen->metadata;
  }
  return description;
}

}  // namespace runnel::broker
