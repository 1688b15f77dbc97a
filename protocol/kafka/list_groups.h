// The groups there are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct ListGroupsRequest : RequestOf<ApiKey::kListGroups> {
  std::vector<std::string> states_filter;  ///< empty: all
  std::vector<std::string> types_filter;
  void describe(Fields& f);
};

struct ListGroupsResponse : ResponseOf<ApiKey::kListGroups> {
  struct Group {
    std::string group_id;
    std::string protocol_type;
    std::string state;
    std::string type;  ///< "classic" or "consumer"
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::vector<Group> groups;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
