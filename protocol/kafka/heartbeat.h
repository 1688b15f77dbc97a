// A classic member is alive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct HeartbeatRequest : RequestOf<ApiKey::kHeartbeat> {
  std::string group_id;
  std::int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  void describe(Fields& f);
};

struct HeartbeatResponse : ResponseOf<ApiKey::kHeartbeat> {
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
