// What an operator sets about groups; each field has the name of Kafka's setting beside it.
#pragma once

#include <chrono>
#include <cstddef>

#include "broker/groups/limits.h"

namespace runnel::broker {

/// A value; Coordinator::configure() puts a new one in force for requests that come later.
struct GroupConfig {
  /// group.initial.rebalance.delay.ms: how long an empty group waits for more members; 0: not.
  std::chrono::milliseconds initial_rebalance_delay{3'000};
  /// group.min.session.timeout.ms, group.max.session.timeout.ms
  std::chrono::milliseconds min_session_timeout{6'000};
  std::chrono::milliseconds max_session_timeout{30 * 60 * 1000};
  /// group.max.size
  std::size_t max_size = kMaxClassicMembers;
  /// group.consumer.session.timeout.ms, group.consumer.heartbeat.interval.ms
  std::chrono::milliseconds consumer_session_timeout{45'000};
  std::chrono::milliseconds consumer_heartbeat_interval{5'000};
  /// group.consumer.max.size
  std::size_t consumer_max_size = kMaxGroupMembers;
  std::size_t max_groups = kMaxGroups;  ///< no setting; smaller in tests
};

}  // namespace runnel::broker
