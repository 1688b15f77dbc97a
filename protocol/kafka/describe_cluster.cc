#include "protocol/kafka/describe_cluster.h"

namespace runnel::protocol::kafka {

void DescribeClusterRequest::describe(Fields& f) {
  f(include_authorized_operations);
  f(endpoint_type, from(1));
  f(include_fenced_brokers, from(2));
  f.tags();
}

void DescribeClusterResponse::Broker::describe(Fields& f) {
  f(node_id);
  f(host);
  f(port);
  f(rack);
  f(is_fenced, from(2));
  f.tags();
}
void DescribeClusterResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(error_message);
  f(endpoint_type, from(1));
  f(cluster_id);
  f(controller_id);
  f(brokers);
  f(authorized_operations);
  f.tags();
}

}  // namespace runnel::protocol::kafka
