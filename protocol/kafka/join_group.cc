#include "protocol/kafka/join_group.h"

namespace runnel::protocol::kafka {

void JoinGroupRequest::Protocol::describe(Fields& f) {
  f(name);
  f(metadata);
  f.tags();
}
void JoinGroupRequest::describe(Fields& f) {
  f(group_id);
  f(session_timeout_ms);
  f(rebalance_timeout_ms, from(1));
  f(member_id);
  f(group_instance_id, from(5));
  f(protocol_type);
  f(protocols);
  f(reason, from(8));
  f.tags();
}

void JoinGroupResponse::Member::describe(Fields& f) {
  f(member_id);
  f(group_instance_id, from(5));
  f(metadata);
  f.tags();
}
void JoinGroupResponse::describe(Fields& f) {
  f(throttle_time_ms, from(2));
  f(error);
  f(generation_id);
  f(protocol_type, from(7));
  f.nullable(protocol_name, from(7));
  f(leader);
  f(skip_assignment, from(9));
  f(member_id);
  f(members);
  f.tags();
}

}  // namespace runnel::protocol::kafka
