#include "protocol/kafka/describe_topic_partitions.h"

namespace runnel::protocol::kafka {

void TopicCursor::describe(Fields& f) {
  f(topic);
  f(partition);
  f.tags();
}

void DescribeTopicPartitionsRequest::Topic::describe(Fields& f) {
  f(name);
  f.tags();
}
void DescribeTopicPartitionsRequest::describe(Fields& f) {
  f(topics);
  f(response_partition_limit);
  f(cursor);
  f.tags();
}

void DescribeTopicPartitionsResponse::Partition::describe(Fields& f) {
  f(error);
  f(index);
  f(leader_id);
  f(leader_epoch);
  f(replica_nodes);
  f(isr_nodes);
  f(eligible_leader_replicas);
  f(last_known_eligible);
  f(offline_replicas);
  f.tags();
}
void DescribeTopicPartitionsResponse::Topic::describe(Fields& f) {
  f(error);
  f(name);
  f(topic_id);
  f(is_internal);
  f(partitions);
  f(authorized_operations);
  f.tags();
}
void DescribeTopicPartitionsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f(next_cursor);
  f.tags();
}

}  // namespace runnel::protocol::kafka
