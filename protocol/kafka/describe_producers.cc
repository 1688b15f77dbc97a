#include "protocol/kafka/describe_producers.h"

namespace runnel::protocol::kafka {

void DescribeProducersRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DescribeProducersRequest::describe(Fields& f) {
  f(topics);
  f.tags();
}

void DescribeProducersResponse::Producer::describe(Fields& f) {
  f(producer_id);
  f(producer_epoch);
  f(last_sequence);
  f(last_timestamp);
  f(coordinator_epoch);
  f(current_txn_start_offset);
  f.tags();
}
void DescribeProducersResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f(error_message);
  f(producers);
  f.tags();
}
void DescribeProducersResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DescribeProducersResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
