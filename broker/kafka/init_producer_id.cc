// InitProducerId: an id for an idempotent producer, or the identity of a transactional one.
#include "protocol/kafka/init_producer_id.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/transactions.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

/// From this version on PRODUCER_FENCED is known.
constexpr std::int16_t kFirstWithFenced = 4;

/// `transactional`: the coordinator said so, and clients look for it anew where it is unavailable.
void answer(Call& call, bool transactional, const Result<storage::ProducerIdentity>& producer) {
  kafka::InitProducerIdResponse response;
  if (producer) {
    response.producer_id = producer->id;
    response.producer_epoch = producer->epoch;
  } else {
    const ErrorCode code = producer.error().code();
    response.error = transactional ? transaction_error(code, call.version() >= kFirstWithFenced)
                                   : kafka_error(code);
  }
  call.reply(response);
}

}  // namespace

void handle_init_producer_id(const CallRef& call) {
  auto request = call->decode<kafka::InitProducerIdRequest>();
  if (!request) return;
  const bool has_id = request->producer_id != kNoProducer;
  if (has_id != (request->producer_epoch != kNoEpoch)) {
    return answer(*call, false,
                  fail(ErrorCode::kInvalidArgument, "a producer id without its epoch"));
  }
  if (!request->transactional_id) {
    return run_blocking(
        call, [call] { return call->store().new_producer(); },
        [call](const Result<storage::ProducerIdentity>& producer) {
          answer(*call, false, producer);
        });
  }
  std::optional<storage::ProducerIdentity> expected;
  if (has_id) expected = {request->producer_id, request->producer_epoch};
  call->service().workers().run(call->lane(), [call, expected, request = std::move(*request)] {
    call->service().transactions().init(
        *request.transactional_id, request.transaction_timeout_ms, expected,
        call->service().transaction_now(),
        [call](const Result<storage::ProducerIdentity>& producer) {
          call->on_loop([call, producer] { answer(*call, true, producer); });
        });
    return true;
  });
}

}  // namespace runnel::broker
