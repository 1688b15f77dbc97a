#include "protocol/kafka/offset_fetch.h"

namespace runnel::protocol::kafka {

void OffsetFetchRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void OffsetFetchRequest::GroupTopic::describe(Fields& f) {
  f(name, until(9));
  f(topic_id, from(10));
  f(partitions);
  f.tags();
}
void OffsetFetchRequest::Group::describe(Fields& f) {
  f(group_id);
  f(member_id, from(9));
  f(member_epoch, from(9));
  f(topics);
  f.tags();
}
void OffsetFetchRequest::describe(Fields& f) {
  f(group_id, until(7));
  f.nullable(topics, from(2), until(7));
  f(groups, from(8));
  f(require_stable, from(7));
  f.tags();
}

void OffsetFetchResponse::Partition::describe(Fields& f) {
  f(index);
  f(committed_offset);
  f(committed_leader_epoch, from(5));
  f(metadata);
  f(error);
  f.tags();
}
void OffsetFetchResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void OffsetFetchResponse::GroupTopic::describe(Fields& f) {
  f(name, until(9));
  f(topic_id, from(10));
  f(partitions);
  f.tags();
}
void OffsetFetchResponse::Group::describe(Fields& f) {
  f(group_id);
  f(topics);
  f(error);
  f.tags();
}
void OffsetFetchResponse::describe(Fields& f) {
  f(throttle_time_ms, from(3));
  f(topics, until(7));
  f(error, only(2, 7));
  f(groups, from(8));
  f.tags();
}

}  // namespace runnel::protocol::kafka
