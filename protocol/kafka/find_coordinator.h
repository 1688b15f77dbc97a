// Which broker looks after a group or a transactional id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

enum class CoordinatorType : std::int8_t { kGroup = 0, kTransaction = 1, kShare = 2 };

struct FindCoordinatorRequest : RequestOf<ApiKey::kFindCoordinator> {
  std::string key;
  CoordinatorType key_type = CoordinatorType::kGroup;
  std::vector<std::string> keys;
  void describe(Fields& f);
};

struct FindCoordinatorResponse : ResponseOf<ApiKey::kFindCoordinator> {
  struct Coordinator {
    std::string key;
    std::int32_t node_id = -1;
    std::string host;
    std::int32_t port = -1;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  std::int32_t node_id = -1;
  std::string host;
  std::int32_t port = -1;
  std::vector<Coordinator> coordinators;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
