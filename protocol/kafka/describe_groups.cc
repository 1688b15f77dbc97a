#include "protocol/kafka/describe_groups.h"

namespace runnel::protocol::kafka {

void DescribeGroupsRequest::describe(Fields& f) {
  f(groups);
  f(include_authorized_operations, from(3));
  f.tags();
}

void DescribeGroupsResponse::Member::describe(Fields& f) {
  f(member_id);
  f(group_instance_id, from(4));
  f(client_id);
  f(client_host);
  f(metadata);
  f(assignment);
  f.tags();
}
void DescribeGroupsResponse::Group::describe(Fields& f) {
  f(error);
  f(error_message, from(6));
  f(group_id);
  f(state);
  f(protocol_type);
  f(protocol_data);
  f(members);
  f(authorized_operations, from(3));
  f.tags();
}
void DescribeGroupsResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(groups);
  f.tags();
}

}  // namespace runnel::protocol::kafka
