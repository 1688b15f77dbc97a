// Topics get more partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct CreatePartitionsRequest : RequestOf<ApiKey::kCreatePartitions> {
  struct Assignment {
    std::vector<std::int32_t> broker_ids;
    void describe(Fields& f);
  };
  struct Topic {
    std::string name;
    std::int32_t count = 0;                              ///< wanted in all
    std::optional<std::vector<Assignment>> assignments;  ///< null: the broker assigns
    void describe(Fields& f);
  };
  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;
  void describe(Fields& f);
};

struct CreatePartitionsResponse : ResponseOf<ApiKey::kCreatePartitions> {
  struct Topic {
    std::string name;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
