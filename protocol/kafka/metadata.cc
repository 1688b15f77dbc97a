#include "protocol/kafka/metadata.h"

namespace runnel::protocol::kafka {

void MetadataRequest::Topic::describe(Fields& f) {
  f(topic_id, from(10));
  f.nullable(name, from(10));
  f.tags();
}
void MetadataRequest::describe(Fields& f) {
  f.nullable(topics, from(1));
  f(allow_auto_topic_creation, from(4));
  f(include_cluster_authorized_operations, only(8, 10));
  f(include_topic_authorized_operations, from(8));
  f.tags();
}

void MetadataResponse::Broker::describe(Fields& f) {
  f(node_id);
  f(host);
  f(port);
  f(rack, from(1));
  f.tags();
}
void MetadataResponse::Partition::describe(Fields& f) {
  f(error);
  f(index);
  f(leader_id);
  f(leader_epoch, from(7));
  f(replica_nodes);
  f(isr_nodes);
  f(offline_replicas, from(5));
  f.tags();
}
void MetadataResponse::Topic::describe(Fields& f) {
  f(error);
  f.nullable(name, from(12));
  f(topic_id, from(10));
  f(is_internal, from(1));
  f(partitions);
  f(authorized_operations, from(8));
  f.tags();
}
void MetadataResponse::describe(Fields& f) {
  f(throttle_time_ms, from(3));
  f(brokers);
  f(cluster_id, from(2));
  f(controller_id, from(1));
  f(topics);
  f(cluster_authorized_operations, only(8, 10));
  f(error, from(13));
  f.tags();
}

}  // namespace runnel::protocol::kafka
