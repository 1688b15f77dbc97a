// What the broker speaks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

struct ApiVersionsRequest : RequestOf<ApiKey::kApiVersions> {
  std::string client_software_name;
  std::string client_software_version;
  void describe(Fields& f);
};

struct ApiVersionsResponse : ResponseOf<ApiKey::kApiVersions> {
  struct Api {
    std::int16_t key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    void describe(Fields& f);
  };
  struct Supported {
    std::string name;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    void describe(Fields& f);
    friend bool operator==(const Supported&, const Supported&) = default;
  };
  struct Finalized {
    std::string name;
    std::int16_t max_version_level = 0;
    std::int16_t min_version_level = 0;
    void describe(Fields& f);
    friend bool operator==(const Finalized&, const Finalized&) = default;
  };
  KafkaError error = KafkaError::kNone;
  std::vector<Api> apis;
  std::int32_t throttle_time_ms = 0;
  std::vector<Supported> supported_features;
  std::int64_t finalized_features_epoch = -1;  ///< -1: not known
  std::vector<Finalized> finalized_features;
  bool zk_migration_ready = false;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
