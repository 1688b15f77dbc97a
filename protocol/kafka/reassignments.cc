#include "protocol/kafka/reassignments.h"

namespace runnel::protocol::kafka {

void AlterPartitionReassignmentsRequest::Partition::describe(Fields& f) {
  f(index);
  f(replicas);
  f.tags();
}
void AlterPartitionReassignmentsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void AlterPartitionReassignmentsRequest::describe(Fields& f) {
  f(timeout_ms);
  f(allow_replication_factor_change, from(1));
  f(topics);
  f.tags();
}

void AlterPartitionReassignmentsResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f(error_message);
  f.tags();
}
void AlterPartitionReassignmentsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void AlterPartitionReassignmentsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(allow_replication_factor_change, from(1));
  f(error);
  f(error_message);
  f(topics);
  f.tags();
}

void ListPartitionReassignmentsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void ListPartitionReassignmentsRequest::describe(Fields& f) {
  f(timeout_ms);
  f(topics);
  f.tags();
}

void ListPartitionReassignmentsResponse::Partition::describe(Fields& f) {
  f(index);
  f(replicas);
  f(adding_replicas);
  f(removing_replicas);
  f.tags();
}
void ListPartitionReassignmentsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void ListPartitionReassignmentsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(error_message);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
