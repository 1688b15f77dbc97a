#include "protocol/kafka/produce.h"

namespace runnel::protocol::kafka {

void ProduceRequest::Partition::describe(Fields& f) {
  f(index);
  f(records);
  f.tags();
}
void ProduceRequest::Topic::describe(Fields& f) {
  f(name, until(12));
  f(topic_id, from(13));
  f(partitions);
  f.tags();
}
void ProduceRequest::describe(Fields& f) {
  f(transactional_id, from(3));
  f(acks);
  f(timeout_ms);
  f(topics);
  f.tags();
}

void ProduceResponse::RecordError::describe(Fields& f) {
  f(batch_index);
  f(message);
  f.tags();
}
void ProduceResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f(base_offset);
  f(log_append_time, from(2));
  f(log_start_offset, from(5));
  f(record_errors, from(8));
  f(error_message, from(8));
  f.tags({tag(0, current_leader, from(10))});
}
void ProduceResponse::Topic::describe(Fields& f) {
  f(name, until(12));
  f(topic_id, from(13));
  f(partitions);
  f.tags();
}
void ProduceResponse::describe(Fields& f) {
  f(topics);
  f(throttle_time_ms, from(1));
  f.tags({tag(0, node_endpoints, from(10))});
}

}  // namespace runnel::protocol::kafka
