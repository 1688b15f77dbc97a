#include "protocol/kafka/delete_topics.h"

namespace runnel::protocol::kafka {

void DeleteTopicsRequest::Topic::describe(Fields& f) {
  f(name);
  f(topic_id);
  f.tags();
}
void DeleteTopicsRequest::describe(Fields& f) {
  f(topics, from(6));
  f(names, until(5));
  f(timeout_ms);
  f.tags();
}

void DeleteTopicsResponse::Topic::describe(Fields& f) {
  f.nullable(name, from(6));
  f(topic_id, from(6));
  f(error);
  f(error_message, from(5));
  f.tags();
}
void DeleteTopicsResponse::describe(Fields& f) {
  f(throttle_time_ms, from(1));
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
