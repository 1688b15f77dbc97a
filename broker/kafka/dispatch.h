// Which APIs and versions are offered, and who handles them.
#pragma once

#include <cstdint>
#include <span>

#include "broker/kafka/call.h"
#include "protocol/kafka/api.h"

namespace runnel::broker {

struct KafkaApi {
  kafka::ApiKey key;
  std::int16_t min_version;  ///< advertised; within what protocol/kafka can read and write
  std::int16_t max_version;
  void (*handle)(const CallRef& call);
};

/// By ascending key.
[[nodiscard]] std::span<const KafkaApi> kafka_apis() noexcept;
/// Null if it is not offered.
[[nodiscard]] const KafkaApi* find_kafka_api(kafka::ApiKey key) noexcept;

}  // namespace runnel::broker
