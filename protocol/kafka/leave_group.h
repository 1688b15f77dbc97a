// Members leave: one until version 2, any number from 3 on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct LeaveGroupRequest : RequestOf<ApiKey::kLeaveGroup> {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::optional<std::string> reason;
    void describe(Fields& f);
  };
  std::string group_id;
  std::string member_id;
  std::vector<Member> members;
  void describe(Fields& f);
};

struct LeaveGroupResponse : ResponseOf<ApiKey::kLeaveGroup> {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::vector<Member> members;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
