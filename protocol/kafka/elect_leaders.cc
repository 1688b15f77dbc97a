#include "protocol/kafka/elect_leaders.h"

namespace runnel::protocol::kafka {

void ElectLeadersRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void ElectLeadersRequest::describe(Fields& f) {
  f(election_type, from(1));
  f(topics);
  f(timeout_ms);
  f.tags();
}

void ElectLeadersResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f(error_message);
  f.tags();
}
void ElectLeadersResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void ElectLeadersResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error, from(1));
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
