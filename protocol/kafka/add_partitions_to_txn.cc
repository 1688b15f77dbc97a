#include "protocol/kafka/add_partitions_to_txn.h"

namespace runnel::protocol::kafka {

void AddPartitionsToTxnRequest::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void AddPartitionsToTxnRequest::Transaction::describe(Fields& f) {
  f(transactional_id);
  f(producer_id);
  f(producer_epoch);
  f(verify_only);
  f(topics);
  f.tags();
}
void AddPartitionsToTxnRequest::describe(Fields& f) {
  f(transactions, from(4));
  f(transactional_id, until(3));
  f(producer_id, until(3));
  f(producer_epoch, until(3));
  f(topics, until(3));
  f.tags();
}

void AddPartitionsToTxnResponse::Partition::describe(Fields& f) {
  f(index);
  f(error);
  f.tags();
}
void AddPartitionsToTxnResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void AddPartitionsToTxnResponse::Transaction::describe(Fields& f) {
  f(transactional_id);
  f(topics);
  f.tags();
}
void AddPartitionsToTxnResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error, from(4));
  f(transactions, from(4));
  f(topics, until(3));
  f.tags();
}

}  // namespace runnel::protocol::kafka
