#include "protocol/kafka/offset_commit.h"

namespace runnel::protocol::kafka {

void OffsetCommitRequest::Partition::describe(Fields& f) {
  f(index);
  f(committed_offset);
  f(committed_leader_epoch, from(6));
  f(metadata);
  f.tags();
}
void OffsetCommitRequest::Topic::describe(Fields& f) {
  f(name, until(9));
  f(topic_id, from(10));
  f(partitions);
  f.tags();
}
void OffsetCommitRequest::describe(Fields& f) {
  f(group_id);
  f(generation_or_member_epoch);
  f(member_id);
  f(group_instance_id, from(7));
  f(retention_time_ms, until(4));
  f(topics);
  f.tags();
}

void OffsetCommitResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f.tags();
}
void OffsetCommitResponse::Topic::describe(Fields& f) {
  f(name, until(9));
  f(topic_id, from(10));
  f(partitions);
  f.tags();
}
void OffsetCommitResponse::describe(Fields& f) {
  f(throttle_time_ms, from(3));
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
