#include "protocol/kafka/add_offsets_to_txn.h"

namespace runnel::protocol::kafka {

void AddOffsetsToTxnRequest::describe(Fields& f) {
  f(transactional_id);
  f(producer_id);
  f(producer_epoch);
  f(group_id);
  f.tags();
}

void AddOffsetsToTxnResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f.tags();
}

}  // namespace runnel::protocol::kafka
