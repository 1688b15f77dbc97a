#include "protocol/kafka/txn_offset_commit.h"

namespace runnel::protocol::kafka {

void TxnOffsetCommitRequest::Partition::describe(Fields& f) {
  f(index);
  f(committed_offset);
  f(committed_leader_epoch, from(2));
  f(metadata);
  f.tags();
}
void TxnOffsetCommitRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void TxnOffsetCommitRequest::describe(Fields& f) {
  f(transactional_id);
  f(group_id);
  f(producer_id);
  f(producer_epoch);
  f(generation_id, from(3));
  f(member_id, from(3));
  f(group_instance_id, from(3));
  f(topics);
  f.tags();
}

void TxnOffsetCommitResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f.tags();
}
void TxnOffsetCommitResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void TxnOffsetCommitResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(topics);
  f.tags();
}

}  // namespace runnel::protocol::kafka
