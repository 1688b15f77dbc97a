// What tools ask about groups: DescribeGroups, ListGroups, DeleteGroups. They may read the disk.
#include <algorithm>
#include <future>

#include "broker/kafka/answer_room.h"
#include "broker/kafka/groups.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/named_before.h"
#include "protocol/kafka/delete_groups.h"
#include "protocol/kafka/describe_groups.h"
#include "protocol/kafka/list_groups.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

/// From this version on a group that is not there is an error; before, it is described as dead.
constexpr std::int16_t kFirstWithUnknownGroups = 6;

// ---------------------------------------------------------------- describe
/// A description with what its views point into.
struct Described {
  kafka::DescribeGroupsResponse response;
  std::vector<classic::Description> texts;
};

std::uint64_t bytes_of(const classic::Description& group) {
  std::uint64_t bytes = group.members.size() * kMemberOverheadBytes;
  for (const auto& m : group.members) {
    bytes += m.member_id.size() + m.instance_id.value_or("").size() + m.client_id.size() +
             m.host.size() + m.metadata.size() + m.assignment.size();
  }
  return bytes;
}

void refuse_one(kafka::DescribeGroupsResponse::Group& group, KafkaError error,
                std::string_view why) {
  group.error = error;
  group.error_message = why;
}

void describe_one(const CallRef& call, bool with_operations, const std::string& name,
                  AnswerRoom& room, Described& to) {
  auto& group = to.response.groups.emplace_back();
  group.group_id = name;
  if (room.full()) return refuse_one(group, kNoRoomForGroup, kNoRoomText);
  auto found = call->service().coordinator().describe_classic(name);
  if (!found) {
    group.state = "Dead";
    if (call->version() < kFirstWithUnknownGroups) {
      if (with_operations) group.authorized_operations = kAllGroupOperations;
    } else {
      refuse_one(group, group_error(found.error().code()), found.error().message());
    }
    return;
  }
  const std::uint64_t bytes = bytes_of(*found);
  if (room.is_too_small_for(bytes)) {
    return refuse_one(group, KafkaError::kInvalidRequest, kTooLargeText);
  }
  if (!room.take(bytes)) return refuse_one(group, kNoRoomForGroup, kNoRoomText);
  const classic::Description& text = to.texts.emplace_back(std::move(*found));
  group.state = text.state;
  group.protocol_type = text.protocol_type;
  group.protocol_data = text.protocol;
  group.members.reserve(text.members.size());
  for (const auto& member : text.members) {
    group.members.push_back({member.member_id, member.instance_id, member.client_id,
                             shown_host(member.host), as_bytes(member.metadata),
                             as_bytes(member.assignment)});
  }
  if (with_operations) group.authorized_operations = kAllGroupOperations;
}

void refuse_repeated(const std::string& name, kafka::DescribeGroupsResponse& to) {
  auto& group = to.groups.emplace_back();
  group.group_id = name;
  refuse_one(group, KafkaError::kInvalidRequest, named_twice("the group"));
}

// ---------------------------------------------------------------- list
std::string_view name_of(GroupKind kind) {
  return kind == GroupKind::kClassic ? "classic" : "consumer";
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// A filter that names nothing lets everything pass.
bool passes(const std::vector<std::string>& filter, std::string_view value) {
  return filter.empty() ||
         std::any_of(filter.begin(), filter.end(),
                     [&](const std::string& wanted) { return equal_ignoring_case(wanted, value); });
}

kafka::ListGroupsResponse list(const CallRef& call, const kafka::ListGroupsRequest& request) {
  kafka::ListGroupsResponse response;
  auto groups = call->service().coordinator().list_all();
  if (!groups) {
    response.error = kafka_error(groups.error());
    return response;
  }
  AnswerRoom room(*call);
  for (auto& group : *groups) {
    if (!passes(request.states_filter, group.state)) continue;
    if (!passes(request.types_filter, name_of(group.kind))) continue;
    if (!room.take(sizeof(kafka::ListGroupsResponse::Group) + group.group.size() +
                   group.protocol_type.size())) {
      response.error = KafkaError::kInvalidRequest;
      response.groups.clear();
      break;
    }
    response.groups.push_back({std::move(group.group), std::move(group.protocol_type),
                               std::move(group.state), std::string(name_of(group.kind))});
  }
  return response;
}

// ---------------------------------------------------------------- delete
Status forget_pending_offsets(Call& call, const std::string& group) {
  std::promise<Status> stored;
  call.service().transactions().forget_group(
      group, [&stored](Status status) { stored.set_value(std::move(status)); });
  return stored.get_future().get();
}

kafka::DeleteGroupsResponse remove(const CallRef& call, const kafka::DeleteGroupsRequest& request) {
  kafka::DeleteGroupsResponse response;
  NamedBefore<std::string_view> named_before;
  for (const std::string& name : request.groups) {
    if (named_before(name)) continue;  // answered with its first
    auto& group = response.groups.emplace_back();
    group.group_id = name;
    Status done = call->service().coordinator().remove(name);
    if (done) done = forget_pending_offsets(*call, name);
    if (!done) group.error = group_error(done.error().code());
  }
  return response;
}

}  // namespace

void handle_describe_groups(const CallRef& call) {
  auto request = call->decode<kafka::DescribeGroupsRequest>();
  if (!request) return;
  run_blocking(
      call,
      [call, request = std::move(*request)] {
        Described described;
        described.texts.reserve(request.groups.size());  // their texts must not move
        NamedBefore<std::string_view> named_before;
        AnswerRoom room(*call);
        for (const std::string& name : request.groups) {
          if (named_before(name)) {
            refuse_repeated(name, described.response);
          } else {
            describe_one(call, request.include_authorized_operations, name, room, described);
          }
        }
        return described;
      },
      [call](const Described& described) { call->reply(described.response); });
}

void handle_list_groups(const CallRef& call) {
  auto request = call->decode<kafka::ListGroupsRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return list(call, request); },
      [call](const kafka::ListGroupsResponse& response) { call->reply(response); });
}

void handle_delete_groups(const CallRef& call) {
  auto request = call->decode<kafka::DeleteGroupsRequest>();
  if (!request) return;
  run_blocking(
      call, [call, request = std::move(*request)] { return remove(call, request); },
      [call](const kafka::DeleteGroupsResponse& response) { call->reply(response); });
}

}  // namespace runnel::broker
