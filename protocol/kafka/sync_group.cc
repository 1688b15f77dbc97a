#include "protocol/kafka/sync_group.h"

namespace runnel::protocol::kafka {

void SyncGroupRequest::Assignment::describe(Fields& f) {
  f(member_id);
  f(assignment);
  f.tags();
}
void SyncGroupRequest::describe(Fields& f) {
  f(group_id);
  f(generation_id);
  f(member_id);
  f(group_instance_id, from(3));
  f(protocol_type, from(5));
  f(protocol_name, from(5));
  f(assignments);
  f.tags();
}

void SyncGroupResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(error);
  f(protocol_type, from(5));
  f(protocol_name, from(5));
  f(assignment);
  f.tags();
}

}  // namespace runnel::protocol::kafka
