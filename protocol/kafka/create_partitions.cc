#include "protocol/kafka/create_partitions.h"

namespace runnel::protocol::kafka {

void CreatePartitionsRequest::Assignment::describe(Fields& f) {
  f(broker_ids);
  f.tags();
}
void CreatePartitionsRequest::Topic::describe(Fields& f) {
  f(name);
  f(count);
  f(assignments);
  f.tags();
}
void CreatePartitionsRequest::describe(Fields& f) {
  f(topics);
  f(timeout_ms);
  f(validate_only);
  f.tags();
}

void CreatePartitionsResponse::Topic::describe(Fields& f) {
  f(name);
  f(error);
  f(error_message);
  f.tags();
}
void CreatePartitionsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
