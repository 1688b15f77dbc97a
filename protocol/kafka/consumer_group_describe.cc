#include "protocol/kafka/consumer_group_describe.h"

namespace runnel::protocol::kafka {

void ConsumerGroupDescribeRequest::describe(Fields& f) {
  f(groups);
  f(include_authorized_operations);
  f.tags();
}

void ConsumerGroupDescribeResponse::TopicPartitions::describe(Fields& f) {
  f(topic_id);
  f(topic_name);
  f(partitions);
  f.tags();
}
void ConsumerGroupDescribeResponse::Assignment::describe(Fields& f) {
  f(topic_partitions);
  f.tags();
}
void ConsumerGroupDescribeResponse::Member::describe(Fields& f) {
  f(member_id);
  f(instance_id);
  f(rack_id);
  f(member_epoch);
  f(client_id);
  f(client_host);
  f(subscribed_topic_names);
  f(subscribed_topic_regex);
  f(assignment);
  f(target_assignment);
  f(member_type, from(1));
  f.tags();
}
void ConsumerGroupDescribeResponse::Group::describe(Fields& f) {
  f(error);
  f(error_message);
  f(group_id);
  f(state);
  f(group_epoch);
  f(assignment_epoch);
  f(assignor_name);
  f(members);
  f(authorized_operations);
  f.tags();
}
void ConsumerGroupDescribeResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(groups);
  f.tags();
}

}  // namespace runnel::protocol::kafka
