#include "protocol/kafka/consumer_group_heartbeat.h"

namespace runnel::protocol::kafka {

void TopicIdPartitions::describe(Fields& f) {
  f(topic_id);
  f(partitions);
  f.tags();
}

void ConsumerGroupHeartbeatRequest::describe(Fields& f) {
  f(group_id);
  f(member_id);
  f(member_epoch);
  f(instance_id);
  f(rack_id);
  f(rebalance_timeout_ms);
  f(subscribed_topic_names);
  f(subscribed_topic_regex, from(1));
  f(server_assignor);
  f(topic_partitions);
  f.tags();
}

void ConsumerGroupHeartbeatResponse::Assignment::describe(Fields& f) {
  f(topic_partitions);
  f.tags();
}
void ConsumerGroupHeartbeatResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(error_message);
  f(member_id);
  f(member_epoch);
  f(heartbeat_interval_ms);
  f(assignment);
  f.tags();
}

}  // namespace runnel::protocol::kafka
