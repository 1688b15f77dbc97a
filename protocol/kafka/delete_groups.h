// Groups without members are deleted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DeleteGroupsRequest : RequestOf<ApiKey::kDeleteGroups> {
  std::vector<std::string> groups;
  void describe(Fields& f);
};

struct DeleteGroupsResponse : ResponseOf<ApiKey::kDeleteGroups> {
  struct Group {
    std::string group_id;
    KafkaError error = KafkaError::kNone;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
