#include "storage/log/topics.h"

namespace runnel::storage {

Result<TopicRef> Topics::find(std::string_view name) const {
  MutexLock lock(mutex_);
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) {
    return fail(ErrorCode::kUnknownTopic, "there is no topic '" + std::string(name) +
                                              "'; create it, or list the topics that exist");
  }
  return it->second;
}

Result<TopicRef> Topics::find(const Uuid& id) const {
  MutexLock lock(mutex_);
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) {
    return fail(ErrorCode::kUnknownTopic, "there is no topic with id " + id.to_string());
  }
  return it->second;
}

PartitionRef Topics::partition(PartitionId id) const {
  MutexLock lock(mutex_);
  const auto it = partitions_.find(id);
  return it == partitions_.end() ? nullptr : it->second;
}

std::vector<TopicRef> Topics::all() const {
  MutexLock lock(mutex_);
  std::vector<TopicRef> topics;
  topics.reserve(by_name_.size());
  for (const auto& [name, topic] : by_name_) topics.push_back(topic);
  return topics;
}

std::vector<PartitionRef> Topics::all_partitions() const {
  MutexLock lock(mutex_);
  std::vector<PartitionRef> partitions;
  partitions.reserve(partitions_.size());
  for (const auto& [name, topic] : by_name_) {
    partitions.insert(partitions.end(), topic->partitions.begin(), topic->partitions.end());
  }
  return partitions;
}

std::size_t Topics::partition_count() const {
  MutexLock lock(mutex_);
  return partitions_.size();
}

void Topics::put(TopicRef topic) {
  MutexLock lock(mutex_);
  for (const auto& p : topic->partitions) partitions_[p->id()] = p;
  by_id_[topic->record.id] = topic;
  by_name_[topic->name] = std::move(topic);
}

void Topics::erase(std::string_view name) {
  MutexLock lock(mutex_);
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  for (const auto& p : it->second->partitions) partitions_.erase(p->id());
  by_id_.erase(it->second->record.id);
  by_name_.erase(it);
}

}  // namespace runnel::storage
