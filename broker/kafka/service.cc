#include "broker/kafka/service.h"

#include "broker/kafka/kafka_session.h"

namespace runnel::broker {

KafkaService::KafkaService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                           RunBlocking run_blocking, KafkaOptions options)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      run_blocking_(std::move(run_blocking)),
      options_(std::move(options)),
      configs_(store, options_.configs),
      gate_(std::make_shared<MemoryGate>(store.memory())) {
  coordinator_.configure(options_.groups);
}

SessionFactory KafkaService::factory() {
  return [this](Connection& connection) -> std::unique_ptr<Session> {
    return std::make_unique<KafkaSession>(*this, connection);
  };
}

}  // namespace runnel::broker
