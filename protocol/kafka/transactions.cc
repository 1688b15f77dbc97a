#include "protocol/kafka/transactions.h"

namespace runnel::protocol::kafka {

void DescribeTransactionsRequest::describe(Fields& f) {
  f(transactional_ids);
  f.tags();
}

void DescribeTransactionsResponse::Topic::describe(Fields& f) {
  f(name);
  f(partitions);
  f.tags();
}
void DescribeTransactionsResponse::Transaction::describe(Fields& f) {
  f(error);
  f(transactional_id);
  f(state);
  f(timeout_ms);
  f(start_time);
  f(producer_id);
  f(producer_epoch);
  f(topics);
  f.tags();
}
void DescribeTransactionsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(transactions);
  f.tags();
}

void ListTransactionsRequest::describe(Fields& f) {
  f(state_filters);
  f(producer_id_filters);
  f(duration_filter_ms, from(1));
  f(transactional_id_pattern, from(2));
  f.tags();
}

void ListTransactionsResponse::Transaction::describe(Fields& f) {
  f(transactional_id);
  f(producer_id);
  f(state);
  f.tags();
}
void ListTransactionsResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(unknown_state_filters);
  f(transactions);
  f.tags();
}

}  // namespace runnel::protocol::kafka
