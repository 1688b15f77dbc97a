// Topics are deleted, by name or, from version 6 on, by id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct DeleteTopicsRequest : RequestOf<ApiKey::kDeleteTopics> {
  struct Topic {
    std::optional<std::string> name;  ///< null: by id
    Uuid topic_id;
    void describe(Fields& f);
  };
  std::vector<Topic> topics;
  std::vector<std::string> names;
  std::int32_t timeout_ms = 0;
  void describe(Fields& f);
};

struct DeleteTopicsResponse : ResponseOf<ApiKey::kDeleteTopics> {
  struct Topic {
    std::optional<std::string> name;
    Uuid topic_id;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
