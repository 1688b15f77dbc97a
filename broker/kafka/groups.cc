// The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. The coordinator decides,
// this file carries its answers. Joins and syncs may wait for other members for minutes.
#include "broker/kafka/groups.h"

#include "broker/kafka/handlers.h"
#include "protocol/kafka/heartbeat.h"
#include "protocol/kafka/join_group.h"
#include "protocol/kafka/leave_group.h"
#include "protocol/kafka/sync_group.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

/// From this version on JoinGroup names the rebalance timeout; before, it is the session's.
constexpr std::int16_t kFirstWithRebalanceTimeout = 1;
/// From this version on a new dynamic member is given its id before it takes part.
constexpr std::int16_t kFirstWithKnownIds = 4;
/// From this version on a leader may be told that its assignment is not needed.
constexpr std::int16_t kFirstWithSkippedAssignment = 9;
/// From this version on SyncGroup must say which protocol it is about.
constexpr std::int16_t kFirstSyncWithProtocol = 5;
/// From this version on LeaveGroup answers for each member.
constexpr std::int16_t kFirstLeaveWithMembers = 3;

std::string text_of(Bytes bytes) {
  return std::string(as_text(bytes));
}

std::chrono::nanoseconds now_of(Call& call) {
  return call.service().clock().monotonic();
}

/// A join or sync waits under `ticket`. If its connection ends first nobody wants the answer, and
/// the member stays until its session is over; if the server stops, the client asks elsewhere.
template <class Response>
void answer_if_cancelled(const CallRef& call, ReplyTicket ticket) {
  Coordinator& coordinator = call->service().coordinator();
  const std::weak_ptr<Call> weak = call;
  call->on_cancel([&coordinator, ticket, weak] {
    const CallRef waiting = weak.lock();
    if (!coordinator.cancel(ticket) || !waiting) return;
    Response response;
    response.error = KafkaError::kNotCoordinator;
    waiting->reply(response);
  });
}

// ---------------------------------------------------------------- join
classic::JoinRequest join_of(Call& call, kafka::JoinGroupRequest& request) {
  classic::JoinRequest join;
  join.group = std::move(request.group_id);
  join.member_id = std::move(request.member_id);
  join.instance_id = std::move(request.group_instance_id);
  join.client_id = call.client_id();
  join.host = call.remote().host;
  join.protocol_type = std::move(request.protocol_type);
  join.protocols.reserve(request.protocols.size());
  for (auto& protocol : request.protocols) {
    join.protocols.push_back({std::move(protocol.name), text_of(protocol.metadata)});
  }
  join.session_timeout_ms = request.session_timeout_ms;
  join.rebalance_timeout_ms = call.version() >= kFirstWithRebalanceTimeout
                                  ? request.rebalance_timeout_ms
                                  : request.session_timeout_ms;
  join.needs_known_id = call.version() >= kFirstWithKnownIds;
  join.can_skip_assignment = call.version() >= kFirstWithSkippedAssignment;
  return join;
}

void answer_join(Call& call, const classic::JoinReply& reply) {
  kafka::JoinGroupResponse response;
  response.error = group_error(reply.error);
  response.generation_id = reply.generation;
  response.protocol_type = reply.protocol_type;
  if (reply.error == ErrorCode::kOk) response.protocol_name = reply.protocol_name;
  response.leader = reply.leader;
  response.skip_assignment = reply.skip_assignment;
  response.member_id = reply.member_id;
  response.members.reserve(reply.members.size());
  for (const auto& member : reply.members) {
    response.members.push_back({member.member_id, member.instance_id, as_bytes(member.metadata)});
  }
  call.reply(response);
}

// ---------------------------------------------------------------- sync
classic::SyncRequest sync_of(kafka::SyncGroupRequest& request) {
  classic::SyncRequest sync;
  sync.group = std::move(request.group_id);
  sync.member_id = std::move(request.member_id);
  sync.instance_id = std::move(request.group_instance_id);
  sync.generation = request.generation_id;
  sync.protocol_type = std::move(request.protocol_type);
  sync.protocol_name = std::move(request.protocol_name);
  sync.assignments.reserve(request.assignments.size());
  for (auto& a : request.assignments) {
    sync.assignments.emplace_back(std::move(a.member_id), text_of(a.assignment));
  }
  return sync;
}

void answer_sync(Call& call, const classic::SyncReply& reply) {
  kafka::SyncGroupResponse response;
  response.error = group_error(reply.error);
  response.protocol_type = reply.protocol_type;
  response.protocol_name = reply.protocol_name;
  response.assignment = as_bytes(reply.assignment);
  call.reply(response);
}

}  // namespace

KafkaError group_error(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kIo:
    case ErrorCode::kLowSpace:
    case ErrorCode::kOverloaded:
      return KafkaError::kCoordinatorNotAvailable;
    case ErrorCode::kUnsupported:
      return KafkaError::kUnsupportedVersion;
    default:
      return kafka_error(code);
  }
}

void handle_join_group(const CallRef& call) {
  auto request = call->decode<kafka::JoinGroupRequest>();
  if (!request) return;
  const ReplyTicket ticket = call->service().coordinator().join(
      join_of(*call, *request), now_of(*call), [call](classic::JoinReply reply) {
        call->on_loop([call, reply = std::move(reply)] { answer_join(*call, reply); });
      });
  if (ticket != 0) answer_if_cancelled<kafka::JoinGroupResponse>(call, ticket);
}

void handle_sync_group(const CallRef& call) {
  auto request = call->decode<kafka::SyncGroupRequest>();
  if (!request) return;
  if (call->version() >= kFirstSyncWithProtocol &&
      !(request->protocol_type && request->protocol_name)) {
    kafka::SyncGroupResponse response;
    response.error = KafkaError::kInconsistentGroupProtocol;
    return call->reply(response);
  }
  const ReplyTicket ticket = call->service().coordinator().sync(
      sync_of(*request), now_of(*call), [call](classic::SyncReply reply) {
        call->on_loop([call, reply = std::move(reply)] { answer_sync(*call, reply); });
      });
  if (ticket != 0) answer_if_cancelled<kafka::SyncGroupResponse>(call, ticket);
}

void handle_heartbeat(const CallRef& call) {
  auto request = call->decode<kafka::HeartbeatRequest>();
  if (!request) return;
  kafka::HeartbeatResponse response;
  response.error = group_error(call->service().coordinator().classic_heartbeat(
      request->group_id,
      {std::move(request->member_id), std::move(request->group_instance_id),
       request->generation_id},
      now_of(*call)));
  call->reply(response);
}

void handle_leave_group(const CallRef& call) {
  auto request = call->decode<kafka::LeaveGroupRequest>();
  if (!request) return;
  kafka::LeaveGroupResponse response;
  if (request->group_id.empty()) {
    response.error = KafkaError::kInvalidGroupId;
    return call->reply(response);
  }
  std::vector<classic::LeavingMember> leaving;
  if (call->version() >= kFirstLeaveWithMembers) {
    for (auto& member : request->members) {
      leaving.push_back({std::move(member.member_id), std::move(member.group_instance_id)});
    }
  } else {
    leaving.push_back({std::move(request->member_id), std::nullopt});
  }
  const auto left = call->service().coordinator().leave(request->group_id, leaving, now_of(*call));
  if (call->version() < kFirstLeaveWithMembers) {
    response.error = group_error(left.front().error);
    return call->reply(response);
  }
  for (const auto& member : left) {
    response.members.push_back({member.member_id, member.instance_id, group_error(member.error)});
  }
  call->reply(response);
}

}  // namespace runnel::broker
