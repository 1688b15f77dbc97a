// Statistics of Kafka's clients, in the native protocol's form.
#include "broker/kafka/service.h"

namespace runnel::broker {

std::vector<protocol::native::Statistic> KafkaService::statistics() const {
  const auto count = [](const KafkaCounters::Count& c) {
    return c.load(std::memory_order_relaxed);
  };
  return {
      {"kafka.sessions", count(counters_.sessions), "connections", "Kafka's connections now"},
      {"kafka.requests", count(counters_.requests), "requests", "requests received"},
      {"kafka.malformed", count(counters_.malformed), "connections",
       "closed because of bytes that are no valid request"},
      {"kafka.unsupported", count(counters_.unsupported), "requests",
       "of an API or version that is not offered; a rise means a client that is too old or too "
       "new"},
  };
}

}  // namespace runnel::broker
