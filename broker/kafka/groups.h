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

/// For a group whose description has no room in the answer any more. Kafka's clients ask again for
/// those groups alone, until they have all: an administrator may ask for every group at once.
inline constexpr kafka::KafkaError kNoRoomForGroup = kafka::KafkaError::kCoordinatorLoadInProgress;
inline constexpr std::string_view kNoRoomText =
    "the answer is full; ask again for the groups that are missing";
/// For a group that would not be alone in an answer either.
inline constexpr std::string_view kTooLargeText =
    "the description of this group alone is larger than an answer may be";

/// A member's address as Kafka's tools show it.
[[nodiscard]] inline std::string shown_host(std::string_view host) {
  return "/" + std::string(host);
}

}  // namespace runnel::broker
