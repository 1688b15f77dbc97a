#include "protocol/kafka/list_offsets.h"

namespace runnel::protocol::kafka {

void ListOffsetsRequest::Partition::describe(Fields& f) {
  f(index);
  f(current_leader_epoch, from(4));
  f(timestamp);
  f.tags();
}
void ListOffsetsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void ListOffsetsRequest::describe(Fields& f) {
  f(replica_id);
  f(isolation_level, from(2));
  f(topics);
  f(timeout_ms, from(10));
  f.tags();
}

void ListOffsetsResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f(timestamp);
  f(offset);
  f(leader_epoch, from(4));
  f.tags();
}
void ListOffsetsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void ListOffsetsResponse::describe(Fields& f) {
  f(throttle_time_ms, from(2));
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
