// InitProducerId: a fresh id for an idempotent producer.
#include "protocol/kafka/init_producer_id.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"

namespace runnel::broker {

void handle_init_producer_id(const CallRef& call) {
  const auto request = call->decode<kafka::InitProducerIdRequest>();
  if (!request) return;
  kafka::InitProducerIdResponse response;
  if (request->transactional_id) {
    // Permanent for clients: they say at once that there are no transactions here.
    response.error = kafka::KafkaError::kUnsupportedVersion;
    return call->reply(response);
  }
  run_blocking(
      call, [call] { return call->store().new_producer(); },
      [call](const Result<storage::ProducerIdentity>& producer) {
        kafka::InitProducerIdResponse answer;
        if (producer) {
          answer.producer_id = producer->id;
          answer.producer_epoch = producer->epoch;
        } else {
          answer.error = kafka_error(producer.error());
        }
        call->reply(answer);
      });
}

}  // namespace runnel::broker
