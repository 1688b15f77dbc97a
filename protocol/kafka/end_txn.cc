#include "protocol/kafka/end_txn.h"

namespace runnel::protocol::kafka {

void EndTxnRequest::describe(Fields& f) {
  f(transactional_id);
  f(producer_id);
  f(producer_epoch);
  f(committed);
  f.tags();
}

void EndTxnResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(producer_id, from(5));
  f(producer_epoch, from(5));
  f.tags();
}

}  // namespace runnel::protocol::kafka
