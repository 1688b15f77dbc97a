// The bytes that Kafka's consumers put into a classic group: who subscribes to what, who works on
// what. The group passes them on unread; these two readings are for those who ask about a group.
//
//   subscription: i16 version, i32 topics, each: i16 length, name; more follows
//   assignment:   i16 version, i32 topics, each: i16 length, name, i32 partitions, each i32; more
//
// Integers are big-endian. What follows depends on the version and is not looked at.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/partition_set.h"
#include "protocol/base/buffer.h"

namespace runnel::broker {

/// The topics, as views into `bytes`. nullopt: not a subscription, or more than kMaxParsedTopics.
[[nodiscard]] std::optional<std::vector<std::string_view>> parse_subscription(Bytes bytes);
/// The partitions. Empty bytes are an empty assignment. nullopt: not an assignment, or more than
/// kMaxGroupPartitions.
[[nodiscard]] std::optional<PartitionSet> parse_assignment(Bytes bytes);

}  // namespace runnel::broker
