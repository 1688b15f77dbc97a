#include "broker/groups/partition_set.h"

#include <algorithm>
#include <iterator>

namespace runnel::broker {

PartitionSet set_of(std::span<const protocol::native::TopicPartition> list) {
  PartitionSet set;
  for (const auto& item : list) set[item.topic].push_back(item.partition.value());
  for (auto& [topic, partitions] : set) {
    std::sort(partitions.begin(), partitions.end());
    partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
  }
  return set;
}

std::vector<protocol::native::TopicPartition> list_of(const PartitionSet& set) {
  std::vector<protocol::native::TopicPartition> list;
  list.reserve(size_of(set));
  for (const auto& [topic, partitions] : set) {
    for (const std::int32_t p : partitions) list.push_back({topic, PartitionIndex(p)});
  }
  return list;
}

std::size_t size_of(const PartitionSet& set) {
  std::size_t size = 0;
  for (const auto& [topic, partitions] : set) size += partitions.size();
  return size;
}

void add_all(PartitionSet& set, const PartitionSet& more) {
  for (const auto& [topic, partitions] : more) {
    auto& mine = set[topic];
    std::vector<std::int32_t> both;
    both.reserve(mine.size() + partitions.size());
    std::set_union(mine.begin(), mine.end(), partitions.begin(), partitions.end(),
                   std::back_inserter(both));
    mine = std::move(both);
  }
}

void remove_all(PartitionSet& set, const PartitionSet& gone) {
  for (const auto& [topic, partitions] : gone) {
    const auto mine = set.find(topic);
    if (mine == set.end()) continue;
    std::vector<std::int32_t> rest;
    std::set_difference(mine->second.begin(), mine->second.end(), partitions.begin(),
                        partitions.end(), std::back_inserter(rest));
    if (rest.empty()) {
      set.erase(mine);
    } else {
      mine->second = std::move(rest);
    }
  }
}

PartitionSet difference(PartitionSet set, const PartitionSet& gone) {
  remove_all(set, gone);
  return set;
}

bool intersects(const PartitionSet& a, const PartitionSet& b) {
  for (const auto& [topic, partitions] : a) {
    const auto other = b.find(topic);
    if (other == b.end()) continue;
    const bool shared = std::any_of(partitions.begin(), partitions.end(), [&](std::int32_t p) {
      return std::binary_search(other->second.begin(), other->second.end(), p);
    });
    if (shared) return true;
  }
  return false;
}

}  // namespace runnel::broker
