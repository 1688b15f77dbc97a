#include "protocol/kafka/list_groups.h"

namespace runnel::protocol::kafka {

void ListGroupsRequest::describe(Fields& f) {
  f(states_filter, from(4));
  f(types_filter, from(5));
  f.tags();
}

void ListGroupsResponse::Group::describe(Fields& f) {
  f(group_id);
  f(protocol_type);
  f(state, from(4));
  f(type, from(5));
  f.tags();
}
void ListGroupsResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(error);
  f(groups);
  f.tags();
}

}  // namespace runnel::protocol::kafka
