#include "protocol/kafka/offset_for_leader_epoch.h"

namespace runnel::protocol::kafka {

void OffsetForLeaderEpochRequest::Partition::describe(Fields& f) {
  f(index);
  f(current_leader_epoch);
  f(leader_epoch);
  f.tags();
}
void OffsetForLeaderEpochRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void OffsetForLeaderEpochRequest::describe(Fields& f) {
  f(replica_id, from(3));
  f(topics);
  f.tags();
}

void OffsetForLeaderEpochResponse::Partition::describe(Fields& f) {
  f(error);
  f(index);
  f(leader_epoch);
  f(end_offset);
  f.tags();
}
void OffsetForLeaderEpochResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void OffsetForLeaderEpochResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
