#include "protocol/kafka/fetch.h"

namespace runnel::protocol::kafka {

void FetchRequest::ReplicaState::describe(Fields& f) {
  f(replica_id);
  f(replica_epoch);
  f.tags();
}
void FetchRequest::Partition::describe(Fields& f) {
  f(index);
  f(current_leader_epoch, from(9));
  f(fetch_offset);
  f(last_fetched_epoch, from(12));
  f(log_start_offset, from(5));
  f(max_bytes);
  f.tags({tag(0, replica_directory_id, from(17)),
          tag(1, high_watermark, from(18), Offset(INT64_MAX))});
}
void FetchRequest::Topic::describe(Fields& f) {
  f(name, until(12));
  f(topic_id, from(13));
  f(partitions);
  f.tags();
}
void FetchRequest::ForgottenTopic::describe(Fields& f) {
  f(name, until(12));
  f(topic_id, from(13));
  f(partitions);
  f.tags();
}
void FetchRequest::describe(Fields& f) {
  f(replica_id, until(14));
  f(max_wait_ms);
  f(min_bytes);
  f(max_bytes);
  f(isolation_level);
  f(session_id, from(7));
  f(session_epoch, from(7));
  f(topics);
  f(forgotten_topics, from(7));
  f(rack_id, from(11));
  f.tags({tag(0, cluster_id, from(12)), tag(1, replica_state, from(15))});
}

void FetchResponse::EpochEnd::describe(Fields& f) {
  f(epoch);
  f(end_offset);
  f.tags();
}
void FetchResponse::Snapshot::describe(Fields& f) {
  f(end_offset);
  f(epoch);
  f.tags();
}
void FetchResponse::AbortedTransaction::describe(Fields& f) {
  f(producer_id);
  f(first_offset);
  f.tags();
}
void FetchResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f(high_watermark);
  f(last_stable_offset);
  f(log_start_offset, from(5));
  f(aborted_transactions);
  f(preferred_read_replica, from(11));
  f(records);
  f.tags({tag(0, diverging_epoch, from(12)), tag(1, current_leader, from(12)),
          tag(2, snapshot, from(12))});
}
void FetchResponse::Topic::describe(Fields& f) {
  f(name, until(12));
  f(topic_id, from(13));
  f(partitions);
  f.tags();
}
void FetchResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error, from(7));
  f(session_id, from(7));
  f(topics);
  f.tags({tag(0, node_endpoints, from(16))});
}

}  // namespace runnel::protocol::kafka
