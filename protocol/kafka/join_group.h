// A member asks for its place in a group's next generation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct JoinGroupRequest : RequestOf<ApiKey::kJoinGroup> {
  struct Protocol {
    std::string name;
    Bytes metadata;
    void describe(Fields& f);
  };
  std::string group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;
  std::string member_id;                         ///< empty: a new member
  std::optional<std::string> group_instance_id;  ///< a static member's
  std::string protocol_type;
  std::vector<Protocol> protocols;  ///< in order of preference
  std::optional<std::string> reason;
  void describe(Fields& f);
};

struct JoinGroupResponse : ResponseOf<ApiKey::kJoinGroup> {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    Bytes metadata;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::int32_t generation_id = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<Member> members;  ///< to the leader only
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
