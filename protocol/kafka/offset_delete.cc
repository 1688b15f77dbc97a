#include "protocol/kafka/offset_delete.h"

namespace runnel::protocol::kafka {

void OffsetDeleteRequest::Partition::describe(Fields& f) {
  f(index);
  f.tags();
}
void OffsetDeleteRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void OffsetDeleteRequest::describe(Fields& f) {
  f(group_id);
  f(topics);
  f.tags();
}

void OffsetDeleteResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f.tags();
}
void OffsetDeleteResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void OffsetDeleteResponse::describe(Fields& f) {
  f(error);
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
