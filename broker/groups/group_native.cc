// A consumer group as the native protocol sees it.
#include <algorithm>

#include "broker/groups/group.h"
#include "broker/groups/group_errors.h"

namespace runnel::broker {

using protocol::native::kEpochJoin;
using protocol::native::kEpochLeaveStatic;

namespace {

Status check_text(std::string_view what, std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return {};
  return fail(ErrorCode::kInvalidArgument, std::string(what) + " has " +
                                               std::to_string(text.size()) + " bytes; at most " +
                                               std::to_string(limit) + " are allowed");
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
  RUNNEL_TRY(check_topics(request.topics));
  const std::chrono::milliseconds timeout{request.session_timeout_ms};
  if (timeout < kMinSessionTimeout || timeout > kMaxSessionTimeout) {
    return fail(ErrorCode::kInvalidArgument,
                "session timeout " + std::to_string(timeout.count()) +
                    " ms is out of range; from " + std::to_string(kMinSessionTimeout.count()) +
                    " to " + std::to_string(kMaxSessionTimeout.count()) + " ms");
  }
  return {};
}

Group::Request Group::request_of(const Heartbeat& request) {
  // A member that joins says everything; later, empty means as before.
  const bool joins = request.member_epoch == kEpochJoin;
  Request out;
  out.member_id = request.member_id;
  out.epoch = request.member_epoch;
  out.instance_id = request.instance_id;
  out.session_timeout_ms = request.session_timeout_ms;
  if (joins || !request.client_name.empty()) out.client_name = &request.client_name;
  if (joins || !request.assignor.empty()) out.assignor = &request.assignor;
  if (joins || !request.topics.empty()) out.names = &request.topics;
  static const std::string kNoPattern;
  if (out.names) out.pattern = &kNoPattern;
  out.owned = &request.owned;
  return out;
}

Group::Outcome Group::heartbeat(const Heartbeat& heartbeat, const Context& context) {
  const Request request = request_of(heartbeat);
  Beat done{members_.end()};
  if (request.epoch == kEpochJoin) {
    done = join(request, context);
  } else if (auto member = find_member(request); !member) {
    return {fail(std::move(member).error())};
  } else if (request.epoch < 0) {
    leave(*member, request.epoch, context);
    check_invariants();
    return {Reply{heartbeat.member_id, request.epoch, 0, {}}, true};
  } else if (Status status = check_epoch((*member)->second, request.epoch, request); !status) {
    return {fail(std::move(status).error())};
  } else {
    done = beat(*member, request, context, false);
  }
  if (done.changed) check_invariants();
  if (!done.member) return {fail(std::move(done.member).error()), done.changed};
  return {reply_to((*done.member)->first, (*done.member)->second), done.changed};
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
  if (found == members_.end() || found->second.away) return fail(unknown_member(member_id, name_));
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
