// Patterns over topic names: what a member that subscribes by pattern reads.
#pragma once

#include <string>
#include <vector>

#include "broker/groups/group.h"

namespace runnel::broker {

/// Matches whole names with RE2's syntax, which Kafka uses too: time is linear in the name, memory
/// bounded, whatever the pattern. Refers to `topics` (ascending), which must outlive it. Each
/// pattern is matched once. Not thread safe.
[[nodiscard]] Group::TopicMatch matcher_of(const std::vector<std::string>& topics);

}  // namespace runnel::broker
