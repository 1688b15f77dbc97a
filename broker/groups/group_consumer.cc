// A consumer group as Kafka's clients see it (KIP-848).
#include <algorithm>

#include "broker/groups/group.h"
#include "broker/groups/group_errors.h"
#include "protocol/base/assert.h"

namespace runnel::broker {

using protocol::native::kEpochJoin;
using protocol::native::kEpochLeaveStatic;

namespace {

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

Status check_size_of(std::string_view what, const std::optional<std::string>& text,
                     std::size_t limit) {
  if (!text || text->size() <= limit) return {};
  return invalid(std::string(what) + " has " + std::to_string(text->size()) + " bytes; at most " +
                 std::to_string(limit) + " are allowed");
}

Status check_texts(const ConsumerHeartbeat& request) {
  RUNNEL_TRY(check_size_of("the member id", request.member_id, kMaxMemberTextBytes));
  RUNNEL_TRY(check_size_of("the instance id", request.instance_id, kMaxMemberTextBytes));
  RUNNEL_TRY(check_size_of("the rack id", request.rack_id, kMaxMemberTextBytes));
  RUNNEL_TRY(check_size_of("the pattern", request.regex, kMaxRegexBytes));
  if (request.instance_id && request.instance_id->empty()) {
    return invalid("the instance id is empty; leave it out for a dynamic member");
  }
  if (request.rack_id && request.rack_id->empty()) {
    return invalid("the rack id is empty; leave it out");
  }
  return request.topics ? check_topics(*request.topics) : Status();
}

}  // namespace

Status Group::validate(const ConsumerHeartbeat& request) {
  const std::size_t name = request.group.size();
  if (name == 0) return invalid("the group's name is empty; give it one");
  if (name > kMaxGroupNameBytes || request.group.find('\0') != std::string::npos) {
    return fail(ErrorCode::kInvalidGroupId, "a group's name has at most " +
                                                std::to_string(kMaxGroupNameBytes) +
                                                " bytes, none of them zero");
  }
  RUNNEL_TRY(check_texts(request));
  const bool joins = request.member_epoch == kEpochJoin;
  if (request.member_id.empty() && (!joins || request.brings_member_id)) {
    return invalid("the member id is empty; a member makes its own");
  }
  if (joins) {
    if (request.rebalance_timeout_ms == -1) {
      return invalid("the rebalance timeout is missing; a member that joins names one");
    }
    if (!request.owned || !request.owned->empty()) {
      return invalid("a member that joins works on nothing; its partitions must be empty");
    }
    if (!request.topics && !request.regex) {
      return invalid("a member that joins names topics or a pattern");
    }
  }
  if (request.member_epoch < kEpochLeaveStatic) {
    return invalid("member epoch " + std::to_string(request.member_epoch) + " has no meaning");
  }
  if (request.member_epoch == kEpochLeaveStatic && !request.instance_id) {
    return invalid("only a static member can leave for a while (-2): the instance id is missing");
  }
  if (request.assignor && (request.assignor->empty() || !assignor_named(*request.assignor))) {
    return fail(ErrorCode::kUnsupportedAssignor, "there is no assignor \"" + *request.assignor +
                                                     "\"; choose \"uniform\" or \"range\"");
  }
  return {};
}

Group::Request Group::request_of(const ConsumerHeartbeat& request, const GroupConfig& config) {
  Request out;
  out.member_id = request.member_id;
  out.epoch = request.member_epoch;
  if (request.instance_id) out.instance_id = *request.instance_id;
  out.session_timeout_ms = static_cast<std::uint32_t>(config.consumer_session_timeout.count());
  if (request.rebalance_timeout_ms > 0) {
    out.rebalance_timeout_ms = static_cast<std::uint32_t>(request.rebalance_timeout_ms);
  }
  if (!request.client_id.empty()) out.client_name = &request.client_id;
  if (request.rack_id) out.rack = &*request.rack_id;
  if (request.assignor) out.assignor = &*request.assignor;
  if (request.topics) out.names = &*request.topics;
  if (request.regex) out.pattern = &*request.regex;
  if (request.owned) out.owned = &*request.owned;
  return out;
}

Group::ConsumerOutcome Group::heartbeat(const ConsumerHeartbeat& heartbeat,
                                        const Context& context) {
  RUNNEL_ASSERT(context.config);
  const Request request = request_of(heartbeat, *context.config);
  Beat done{members_.end()};
  if (request.epoch == kEpochJoin) {
    if (Status status = check_consumer_join(heartbeat, *context.config); !status) {
      return {fail(std::move(status).error())};
    }
    done = join(request, context);
  } else if (auto member = find_consumer(heartbeat); !member) {
    return {fail(std::move(member).error())};
  } else if (request.epoch < 0) {
    leave(*member, request.epoch, context);
    check_invariants();
    return {ConsumerHeartbeatReply{heartbeat.member_id, request.epoch, 0, {}}, true};
  } else if (Status status = check_consumer_epoch((*member)->second, heartbeat); !status) {
    return {fail(std::move(status).error())};
  } else {
    done = beat(*member, request, context, false);
  }
  if (done.changed) check_invariants();
  if (!done.member) return {fail(std::move(done.member).error()), done.changed};
  const Member& member = (*done.member)->second;
  ConsumerHeartbeatReply reply{(*done.member)->first, member.epoch, 0, {}};
  // While partitions are on their way, members ask more often, so that none lies idle for long.
  const auto interval = settled(member) ? context.config->consumer_heartbeat_interval
                                        : std::min(context.config->consumer_heartbeat_interval,
                                                   kConsumerReconcilingInterval);
  reply.heartbeat_interval_ms = static_cast<std::int32_t>(interval.count());
  const bool says_everything =
      request.epoch == kEpochJoin || (heartbeat.rebalance_timeout_ms != -1 && heartbeat.owned &&
                                      (heartbeat.topics || heartbeat.regex));
  if (says_everything || done.reassigned) reply.assignment = list_of(member.assigned);
  return {std::move(reply), done.changed};
}

Status Group::check_consumer_join(const ConsumerHeartbeat& request, const GroupConfig& config) {
  const auto holder = find_instance(request.instance_id.value_or(""));
  if (holder != members_.end() && holder->first != request.member_id && !holder->second.away) {
    return fail(ErrorCode::kUnreleasedInstanceId,
                "instance \"" + *request.instance_id + "\" is member \"" + holder->first +
                    "\", which has not left; stop it, or wait until its session is over");
  }
  const bool fresh = holder == members_.end() && !members_.contains(request.member_id);
  if (fresh && members_.size() >= std::min(config.consumer_max_size, kMaxGroupMembers)) {
    return fail(ErrorCode::kGroupMaxSizeReached,
                "group \"" + name_ + "\" has " + std::to_string(members_.size()) +
                    " members, which is the limit; wait for one to leave");
  }
  return {};
}

Result<Group::Members::iterator> Group::find_consumer(const ConsumerHeartbeat& request) {
  if (!request.instance_id) {
    const auto member = members_.find(request.member_id);
    if (member != members_.end() && !member->second.away) return member;
    return fail(unknown_member(request.member_id, name_));
  }
  const auto holder = find_instance(*request.instance_id);
  if (holder == members_.end()) return fail(unknown_member(request.member_id, name_));
  if (holder->first == request.member_id) {
    if (!holder->second.away) return holder;
    return fail(ErrorCode::kFencedMemberEpoch,
                "member \"" + request.member_id + "\" has left for a while; join with epoch 0");
  }
  return fail(ErrorCode::kFencedInstanceId, "instance \"" + *request.instance_id +
                                                "\" is member \"" + holder->first +
                                                "\" now; stop this one");
}

Status Group::check_consumer_epoch(const Member& member, const ConsumerHeartbeat& request) const {
  const std::int32_t epoch = request.member_epoch;
  if (epoch == member.epoch) return {};
  // The reply with the newer epoch may be lost: fine if nothing is worked on beyond what it gave.
  if (epoch == member.previous_epoch && request.owned &&
      difference(set_of(*request.owned), member.assigned).empty()) {
    return {};
  }
  return fail(ErrorCode::kFencedMemberEpoch,
              "member \"" + request.member_id + "\" of group \"" + name_ + "\" is at epoch " +
                  std::to_string(member.epoch) + ", not " + std::to_string(epoch) +
                  "; give up all partitions and join again with epoch 0");
}

ErrorCode Group::check_commit(const classic::MemberIdentity& who, bool transactional,
                              bool knows_epochs) const {
  if (who.generation < 0 && members_.empty()) return ErrorCode::kOk;
  const bool nameless = who.generation == -1 && who.member_id.empty() && !who.instance_id;
  if (transactional && nameless) return ErrorCode::kOk;
  const auto found = members_.find(who.member_id);
  if (found == members_.end()) return ErrorCode::kUnknownMember;
  if (!transactional && !knows_epochs) return ErrorCode::kUnsupported;
  if (found->second.away || who.generation != found->second.epoch) {
    return ErrorCode::kStaleMemberEpoch;
  }
  return ErrorCode::kOk;
}

bool Group::subscribes(std::string_view topic) const {
  return std::ranges::any_of(members_, [&](const auto& entry) {
    return std::ranges::binary_search(*entry.second.topics, topic, std::less<>());
  });
}

ConsumerDescription Group::describe_consumer(bool with_members) const {
  ConsumerDescription shown;
  shown.group = name_;
  shown.epoch = shown.assignment_epoch = epoch_;
  const bool stable =
      std::ranges::all_of(members_, [&](const auto& entry) { return settled(entry.second); });
  shown.state = members_.empty() ? "Empty" : stable ? "Stable" : "Reconciling";
  shown.assignor = name_of(chosen_assignor());
  if (!with_members) return shown;
  for (const auto& [id, member] : members_) {
    ConsumerMember& out = shown.members.emplace_back();
    out.member_id = id;
    if (!member.instance_id.empty()) out.instance_id = member.instance_id;
    if (!member.rack.empty()) out.rack_id = member.rack;
    out.member_epoch = member.away ? kEpochLeaveStatic : member.epoch;
    out.client_id = member.client_name;
    out.host = member.host;
    out.topics = *member.names;
    out.regex = member.pattern;
    out.assignment = list_of(member.assigned);
    out.target = list_of(member.target);
  }
  return shown;
}

}  // namespace runnel::broker
