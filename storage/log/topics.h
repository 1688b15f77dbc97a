// All topics in memory: by name, by id; partitions by number.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "storage/log/partition.h"
#include "storage/log/records.h"

namespace runnel::storage {

/// One topic as it is now; replaced, never changed.
struct Topic {
  std::string name;
  TopicRecord record;
  std::vector<PartitionRef> partitions;
};
using TopicRef = std::shared_ptr<const Topic>;

/// Thread safe. Changed by the committer thread alone, after the change is durable.
class Topics {
 public:
  /// kUnknownTopic, naming it.
  [[nodiscard]] Result<TopicRef> find(std::string_view name) const;
  [[nodiscard]] Result<TopicRef> find(const Uuid& id) const;
  [[nodiscard]] PartitionRef partition(PartitionId id) const;  ///< null if there is none
  [[nodiscard]] std::vector<TopicRef> all() const;             ///< in order of their names
  [[nodiscard]] std::vector<PartitionRef> all_partitions() const;
  [[nodiscard]] std::size_t partition_count() const;

  void put(TopicRef topic);
  void erase(std::string_view name);

 private:
  mutable Mutex mutex_;
  std::map<std::string, TopicRef, std::less<>> by_name_ RUNNEL_GUARDED_BY(mutex_);
  std::map<Uuid, TopicRef> by_id_ RUNNEL_GUARDED_BY(mutex_);
  std::unordered_map<PartitionId, PartitionRef> partitions_ RUNNEL_GUARDED_BY(mutex_);
};

}  // namespace runnel::storage
