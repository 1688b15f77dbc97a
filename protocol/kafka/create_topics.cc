#include "protocol/kafka/create_topics.h"

namespace runnel::protocol::kafka {

void CreateTopicsRequest::Assignment::describe(Fields& f) {
  f(index);
  f(broker_ids);
  f.tags();
}
void CreateTopicsRequest::Config::describe(Fields& f) {
  f(name);
  f(value);
  f.tags();
}
void CreateTopicsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f(replication_factor);
  f(assignments);
  f(configs);
  f.tags();
}
void CreateTopicsRequest::describe(Fields& f) {
  f(topics);
  f(timeout_ms);
  f(validate_only, from(1));
  f.tags();
}

void CreateTopicsResponse::Config::describe(Fields& f) {
  f(name);
  f(value);
  f(read_only);
  f(source);
  f(is_sensitive);
  f.tags();
}
void CreateTopicsResponse::Topic::describe(Fields& f) {
  f(name);
  f(topic_id, from(7));
  f(error);
  f(error_message, from(1));
  f(partitions, from(5));
  f(replication_factor, from(5));
  f(configs, from(5));
  f.tags({tag(0, config_error, from(5))});
}
void CreateTopicsResponse::describe(Fields& f) {
  f(throttle_time_ms, from(2));
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
