#include "protocol/kafka/heartbeat.h"

namespace runnel::protocol::kafka {

void HeartbeatRequest::describe(Fields& f) {
  f(group_id);
  f(generation_id);
  f(member_id);
  f(group_instance_id, from(3));
  f.tags();
}

void HeartbeatResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(error);
  f.tags();
}

}  // namespace runnel::protocol::kafka
