#include "protocol/kafka/leave_group.h"

namespace runnel::protocol::kafka {

void LeaveGroupRequest::Member::describe(Fields& f) {
  f(member_id);
  f(group_instance_id);
  f(reason, from(5));
  f.tags();
}
void LeaveGroupRequest::describe(Fields& f) {
  f(group_id);
  f(member_id, until(2));
  f(members, from(3));
  f.tags();
}

void LeaveGroupResponse::Member::describe(Fields& f) {
  f(member_id);
  f(group_instance_id);
  f(error);
  f.tags();
}
void LeaveGroupResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(error);
  f(members, from(3));
  f.tags();
}

}  // namespace runnel::protocol::kafka
