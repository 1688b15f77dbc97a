// Sets of partitions, kept by topic: what a member has, gives up and should have.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "protocol/native/messages.h"

namespace runnel::broker {

/// Topic -> its partitions, ascending and unique. A topic without partitions is not in the map.
using PartitionSet = std::map<std::string, std::vector<std::int32_t>, std::less<>>;

/// Order and repetitions do not matter.
[[nodiscard]] PartitionSet set_of(std::span<const protocol::native::TopicPartition> list);
[[nodiscard]] std::vector<protocol::native::TopicPartition> list_of(const PartitionSet& set);
[[nodiscard]] std::size_t size_of(const PartitionSet& set);
void add_all(PartitionSet& set, const PartitionSet& more);
void remove_all(PartitionSet& set, const PartitionSet& gone);
[[nodiscard]] PartitionSet difference(PartitionSet set, const PartitionSet& gone);
[[nodiscard]] bool intersects(const PartitionSet& a, const PartitionSet& b);

}  // namespace runnel::broker
