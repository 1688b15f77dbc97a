// What the handlers of groups share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/kafka/call.h"
#include "broker/kafka/errors.h"

namespace runnel::broker {

/// What a client may do with a group where nobody is refused anything: Kafka's operations READ,
/// DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS, a bit each.
inline constexpr std::int32_t kAllGroupOperations = 0b1101'0100'1000;

/// What a member of a group, or somebody who asks about one, should be told. As kafka_error(), but
/// what storage cannot do at the moment is the coordinator's trouble: clients of groups know only
/// that, and try again.
[[nodiscard]] kafka::KafkaError group_error(ErrorCode code) noexcept;

/// A member's address as Kafka's tools show it.
[[nodiscard]] inline std::string shown_host(std::string_view host) {
  return "/" + std::string(host);
}

}  // namespace runnel::broker
