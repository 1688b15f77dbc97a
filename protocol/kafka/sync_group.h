// The leader hands in the assignment, every member gets its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct SyncGroupRequest : RequestOf<ApiKey::kSyncGroup> {
  struct Assignment {
    std::string member_id;
    Bytes assignment;
    void describe(Fields& f);
  };
  std::string group_id;
  std::int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::vector<Assignment> assignments;  ///< from the leader only
  void describe(Fields& f);
};

struct SyncGroupResponse : ResponseOf<ApiKey::kSyncGroup> {
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  Bytes assignment;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
