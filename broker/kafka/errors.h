// From Runnel's errors to those that Kafka's clients understand.
#pragma once

#include "protocol/base/error.h"
#include "protocol/kafka/errors.h"

namespace runnel::broker {

/// What a client should be told. Never "unknown server error" where a retry would help.
[[nodiscard]] protocol::kafka::KafkaError kafka_error(ErrorCode code) noexcept;
[[nodiscard]] inline protocol::kafka::KafkaError kafka_error(const Error& error) noexcept {
  return kafka_error(error.code());
}

}  // namespace runnel::broker
