#include "protocol/kafka/find_coordinator.h"

namespace runnel::protocol::kafka {

void FindCoordinatorRequest::describe(Fields& f) {
  f(key, until(3));
  f(key_type, from(1));
  f(keys, from(4));
  f.tags();
}

void FindCoordinatorResponse::Coordinator::describe(Fields& f) {
  f(key);
  f(node_id);
  f(host);
  f(port);
  f(error);
  f(error_message);
  f.tags();
}
void FindCoordinatorResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(error, until(3));
  f(error_message, only(1, 3));
  f(node_id, until(3));
  f(host, until(3));
  f(port, until(3));
  f(coordinators, from(4));
  f.tags();
}

}  // namespace runnel::protocol::kafka
