// Structs that several messages have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/kafka/fields.h"

namespace runnel::protocol::kafka {

/// A bit set of allowed operations that was not asked for.
inline constexpr std::int32_t kOperationsNotAsked = INT32_MIN;

/// Who leads a partition; -1: not known.
struct LeaderAndEpoch {
  std::int32_t leader_id = -1;
  LeaderEpoch leader_epoch{-1};
  void describe(Fields& f);
  friend bool operator==(const LeaderAndEpoch&, const LeaderAndEpoch&) = default;
};

/// Where a broker is reached.
struct NodeEndpoint {
  std::int32_t node_id = 0;
  std::string host;
  std::int32_t port = 0;
  std::optional<std::string> rack;
  void describe(Fields& f);
  friend bool operator==(const NodeEndpoint&, const NodeEndpoint&) = default;
};

}  // namespace runnel::protocol::kafka
