#include "protocol/kafka/delete_records.h"

namespace runnel::protocol::kafka {

void DeleteRecordsRequest::Partition::describe(Fields& f) {
  f(index);
  f(offset);
  f.tags();
}
void DeleteRecordsRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DeleteRecordsRequest::describe(Fields& f) {
  f(topics);
  f(timeout_ms);
  f.tags();
}

void DeleteRecordsResponse::Partition::describe(Fields& f) {
  f(index);
  f(low_watermark);
  f(error);
  f.tags();
}
void DeleteRecordsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DeleteRecordsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
