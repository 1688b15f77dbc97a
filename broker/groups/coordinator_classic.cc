// Kafka's classic protocol: joins and syncs that wait, and the time they wait for.
#include "broker/groups/coordinator_state.h"
#include "protocol/base/assert.h"

namespace runnel::broker {
namespace {

std::size_t size_of(const classic::JoinRequest& request) {
  std::size_t size = kMemberOverheadBytes;
  for (const auto& protocol : request.protocols) {
    size += protocol.name.size() + protocol.metadata.size();
  }
  return size;
}

std::size_t size_of(const classic::SyncRequest& request) {
  std::size_t size = 0;
  for (const auto& [id, assignment] : request.assignments) size += assignment.size();
  return size;
}

/// New members are taken in up to the bound; those that are known may go on beyond it, so that a
/// full coordinator finishes its rebalances.
constexpr std::size_t kMaxKnownClassicBytes = 2 * kMaxClassicBytes;

}  // namespace

ReplyTicket Coordinator::State::park(ReplyCallback done) {
  parked.emplace(++last_ticket, std::move(done));
  return last_ticket;
}

void Coordinator::State::deliver(ReplyTicket ticket, Reply reply) {
  ReplyCallback done;
  {
    MutexLock lock(mutex);
    auto node = parked.extract(ticket);
    if (node.empty()) return;  // cancelled
    done = std::move(node.mapped());
  }
  if (auto* join = std::get_if<classic::JoinReply>(&reply)) {
    std::get<JoinCallback>(done)(std::move(*join));
  } else {
    std::get<SyncCallback>(done)(std::get<classic::SyncReply>(std::move(reply)));
  }
}

void Coordinator::State::apply(Entry& entry, ClassicGroup::Effects effects, Time now, Work& work) {
  ClassicGroup& group = *entry.classic();
  if (effects.store) {
    entry.snapshot = std::make_shared<const std::string>(group.encode());
    changed(entry, now);
  }
  tell_active(entry, now);
  if (entry.empty()) entry.empty_since = now;
  for (auto& answer : effects.answers) {
    // Waiters lie in this state, so they must not keep it alive; whoever runs them does.
    auto send = [weak = weak_from_this(), ticket = answer.token,
                 reply = std::move(answer.reply)](const Status& status) {
      Reply said = reply;
      if (!status) {
        std::visit([](auto& failed) { failed = {}; }, said);
        std::visit([](auto& failed) { failed.error = ErrorCode::kNotAvailable; }, said);
      }
      if (const auto self = weak.lock()) self->deliver(ticket, std::move(said));
    };
    if (answer.after_store) {
      when_stored(entry, std::move(send), work);
    } else {
      work.push_back([send = std::move(send)] { send({}); });
    }
  }
  if (effects.store) when_stored(entry, {}, work);
  next_deadline = std::min(next_deadline, group.next_deadline());
}

Result<Coordinator::State::Groups::iterator> Coordinator::State::classic_group_for(
    const classic::JoinRequest& request, Time now, Work& work) {
  const bool joins = request.member_id.empty();
  const auto place = groups.find(request.group);
  if (place != groups.end()) {
    Entry& entry = place->second;
    if (entry.deleting()) return fail(ErrorCode::kNotAvailable, "it is being deleted");
    if (entry.classic()) return place;
    if (!entry.empty()) {
      return fail(ErrorCode::kInconsistentGroupProtocol, "its members use the other protocol");
    }
    if (!joins) return fail(ErrorCode::kUnknownMember, "it has no members");
    ClassicGroup group(request.group);
    // What the consumer group had still to store is overtaken by this.
    entry.snapshot = std::make_shared<const std::string>(group.encode());
    entry.body = std::move(group);
    return place;
  }
  if (!joins) return fail(ErrorCode::kUnknownMember, "there is no such group");
  if (!has_room(now, work)) return fail(ErrorCode::kNotAvailable, full().message());
  return groups.emplace(request.group, Entry(ClassicGroup(request.group))).first;
}

Coordinator::State::Entry* Coordinator::State::find_classic(std::string_view name) {
  const auto place = groups.find(name);
  if (place == groups.end() || place->second.deleting() || !place->second.classic()) return nullptr;
  return &place->second;
}

ReplyTicket Coordinator::join(const classic::JoinRequest& request, std::chrono::nanoseconds now,
                              JoinCallback done) {
  State& state = *state_;
  State::Work work;
  ReplyTicket ticket = 0;
  {
    MutexLock lock(state.mutex);
    const auto refuse = [&](ErrorCode error, const std::string& member_id) {
      classic::JoinReply reply;
      reply.error = error;
      reply.member_id = member_id;
      work.push_back([done = std::move(done), reply = std::move(reply)] { done(reply); });
    };
    const std::size_t bound = request.member_id.empty() ? kMaxClassicBytes : kMaxKnownClassicBytes;
    if (const ErrorCode error = ClassicGroup::validate(request, state.config);
        error != ErrorCode::kOk) {
      refuse(error, request.member_id);
    } else if (state.classic_bytes + size_of(request) > bound) {
      refuse(ErrorCode::kNotAvailable, request.member_id);
    } else if (const auto place = state.classic_group_for(request, now, work); !place) {
      const bool other = place.error().code() == ErrorCode::kInconsistentGroupProtocol;
      refuse(place.error().code(), other ? std::string() : request.member_id);
    } else {
      State::Entry& entry = (*place)->second;
      ClassicGroup& group = *entry.classic();
      ticket = state.park(std::move(done));
      const std::size_t before = group.bytes();
      auto effects = group.join(request, state.unique_text(), ticket, {now, state.config});
      state.classic_bytes += group.bytes() - before;
      state.apply(entry, std::move(effects), now, work);
      state.forget_if_unused(*place);
    }
  }
  State::run(work);
  return ticket;
}

ReplyTicket Coordinator::sync(const classic::SyncRequest& request, std::chrono::nanoseconds now,
                              SyncCallback done) {
  State& state = *state_;
  State::Work work;
  ReplyTicket ticket = 0;
  {
    MutexLock lock(state.mutex);
    State::Entry* entry = state.find_classic(request.group);
    const bool fits = state.classic_bytes + size_of(request) <= kMaxKnownClassicBytes;
    if (!entry || !fits) {
      classic::SyncReply reply;
      reply.error = request.group.empty() ? ErrorCode::kInvalidGroupId
                    : entry               ? ErrorCode::kNotAvailable
                                          : ErrorCode::kUnknownMember;
      work.push_back([done = std::move(done), reply] { done(reply); });
    } else {
      ClassicGroup& group = *entry->classic();
      ticket = state.park(std::move(done));
      const std::size_t before = group.bytes();
      auto effects = group.sync(request, ticket, {now, state.config});
      state.classic_bytes += group.bytes() - before;
      state.apply(*entry, std::move(effects), now, work);
    }
  }
  State::run(work);
  return ticket;
}

bool Coordinator::cancel(ReplyTicket ticket) {
  MutexLock lock(state_->mutex);
  return state_->parked.erase(ticket) != 0;
}

ErrorCode Coordinator::classic_heartbeat(std::string_view group,
                                         const classic::MemberIdentity& member,
                                         std::chrono::nanoseconds now) {
  if (group.empty()) return ErrorCode::kInvalidGroupId;
  MutexLock lock(state_->mutex);
  State::Entry* entry = state_->find_classic(group);
  if (!entry) return ErrorCode::kUnknownMember;
  const ErrorCode error = entry->classic()->heartbeat(member, {now, state_->config});
  state_->next_deadline = std::min(state_->next_deadline, entry->classic()->next_deadline());
  return error;
}

std::vector<classic::LeftMember> Coordinator::leave(std::string_view group,
                                                    std::span<const classic::LeavingMember> leaving,
                                                    std::chrono::nanoseconds now) {
  State& state = *state_;
  State::Work work;
  std::vector<classic::LeftMember> members;
  {
    MutexLock lock(state.mutex);
    if (State::Entry* entry = state.find_classic(group)) {
      const std::size_t before = entry->classic()->bytes();
      auto left = entry->classic()->leave(leaving, {now, state.config});
      state.classic_bytes += entry->classic()->bytes() - before;
      members = std::move(left.members);
      state.apply(*entry, std::move(left.effects), now, work);
    } else {
      const ErrorCode error =
          group.empty() ? ErrorCode::kInvalidGroupId : ErrorCode::kUnknownMember;
      for (const auto& who : leaving) members.push_back({who.member_id, who.instance_id, error});
    }
  }
  State::run(work);
  return members;
}

Result<classic::Description> Coordinator::describe_classic(std::string_view group) const {
  {
    MutexLock lock(state_->mutex);
    const auto place = state_->groups.find(group);
    if (place != state_->groups.end() && !place->second.deleting()) {
      if (place->second.classic()) return place->second.classic()->describe();
      return fail(unknown_group(group).within("it is not a classic group"));
    }
  }
  RUNNEL_TRY_ASSIGN(const bool has_offsets, state_->store->has_offsets(group));
  if (!has_offsets) return fail(unknown_group(group));
  classic::Description description;
  description.group = group;
  description.state = name_of(ClassicGroup::State::kEmpty);
  return description;
}

}  // namespace runnel::broker
