#include "broker/kafka/service.h"

#include "broker/kafka/kafka_session.h"

namespace runnel::broker {

KafkaService::KafkaService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                           Shared shared, KafkaOptions options)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      shared_(std::move(shared)),
      options_(std::move(options)),
      configs_(store, options_.configs),
      transaction_clock_(clock),
      transactions_(make_transaction_store(store),
                    {options_.max_transaction_timeout, options_.transactional_id_expiry}) {
  coordinator_.configure(options_.groups);
}

Status KafkaService::start() {
  RUNNEL_TRY(configs_.load());
  return transactions_.load(transaction_clock_.now());
}

SessionFactory KafkaService::factory() {
  return [this](Connection& connection) -> std::unique_ptr<Session> {
    return std::make_unique<KafkaSession>(*this, connection);
  };
}

}  // namespace runnel::broker
