// State and members of classic groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/common.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DescribeGroupsRequest : RequestOf<ApiKey::kDescribeGroups> {
  std::vector<std::string> groups;
  bool include_authorized_operations = false;
  void describe(Fields& f);
};

struct DescribeGroupsResponse : ResponseOf<ApiKey::kDescribeGroups> {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::string client_id;
    std::string client_host;
    Bytes metadata;
    Bytes assignment;
    void describe(Fields& f);
  };
  struct Group {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::string group_id;
    std::string state;  ///< "Empty", "Stable", ...
    std::string protocol_type;
    std::string protocol_data;  ///< the protocol chosen
    std::vector<Member> members;
    std::int32_t authorized_operations = kOperationsNotAsked;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
