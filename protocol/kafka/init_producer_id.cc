#include "protocol/kafka/init_producer_id.h"

namespace runnel::protocol::kafka {

void InitProducerIdRequest::describe(Fields& f) {
  f(transactional_id);
  f(transaction_timeout_ms);
  f(producer_id, from(3));
  f(producer_epoch, from(3));
  f.tags();
}

void InitProducerIdResponse::describe(Fields& f) {
  f(throttle_time_ms);
  f(error);
  f(producer_id);
  f(producer_epoch);
  f.tags();
}

}  // namespace runnel::protocol::kafka
