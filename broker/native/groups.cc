// Groups: the coordinator decides; this file carries its answers.
#include "broker/native/native_session.h"

namespace runnel::broker {

void NativeSession::handle(std::uint64_t id, const native::GroupHeartbeat& request) {
  service_.coordinator().heartbeat(
      request, connection_.remote().host, service_.clock().monotonic(),
      [replies = replies_, id](Result<native::GroupHeartbeatReply> reply) {
        replies->push({id, reply ? native::Response(std::move(*reply))
                                 : native::Response(failure_of(reply.error()))});
      });
}

void NativeSession::handle(std::uint64_t id, const native::ListGroups&) {
  run_blocking(id, [&coordinator = service_.coordinator()] {
    auto groups = coordinator.list();
    return groups ? native::Response(std::move(*groups))
                  : native::Response(failure_of(groups.error()));
  });
}

void NativeSession::handle(std::uint64_t id, const native::DescribeGroup& request) {
  auto found = service_.coordinator().describe(request.group);
  if (!found) return fail_request(id, found.error());
  native::GroupsReply reply;
  reply.groups.push_back(std::move(*found));
  answer(id, reply);
  request_done();
}

void NativeSession::handle(std::uint64_t id, native::DeleteGroup& request) {
  run_blocking(id, [&coordinator = service_.coordinator(), group = std::move(request.group)] {
    const Status done = coordinator.remove(group);
    return done ? native::Response(native::Done{}) : native::Response(failure_of(done.error()));
  });
}

}  // namespace runnel::broker
