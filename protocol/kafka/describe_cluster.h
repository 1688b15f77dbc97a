// The cluster's id and its nodes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/common.h"
#include "protocol/kafka/errors.h"
#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

enum class EndpointType : std::int8_t { kUnknown = 0, kBroker = 1, kController = 2 };

struct DescribeClusterRequest : RequestOf<ApiKey::kDescribeCluster> {
  bool include_authorized_operations = false;
  EndpointType endpoint_type = EndpointType::kBroker;
  bool include_fenced_brokers = false;
  void describe(Fields& f);
};

struct DescribeClusterResponse : ResponseOf<ApiKey::kDescribeCluster> {
  struct Broker {
    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    bool is_fenced = false;
    void describe(Fields& f);
  };
  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> error_message;
  EndpointType endpoint_type = EndpointType::kBroker;
  std::string cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Broker> brokers;
  std::int32_t authorized_operations = kOperationsNotAsked;
  void describe(Fields& f);
};

}  // namespace runnel::protocol::kafka
