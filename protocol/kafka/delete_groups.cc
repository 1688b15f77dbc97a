#include "protocol/kafka/delete_groups.h"

namespace runnel::protocol::kafka {

void DeleteGroupsRequest::describe(Fields& f) {
  f(groups);
  f.tags();
}

void DeleteGroupsResponse::Group::describe(Fields& f) {
  f(group_id);
  f(error);
  f.tags();
}
void DeleteGroupsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(groups);
  f.tags();
}

}  // namespace runnel::protocol::kafka
