// Topics: create, delete, alter, grow. Each is one exclusive commit: durable when it returns.
#include <algorithm>

#include "storage/log/log_store.h"

namespace runnel::storage {
namespace {

tl::unexpected<Error> bad_partitions(std::int64_t asked, std::string_view why) {
  return fail(ErrorCode::kTooManyPartitions,
              std::to_string(asked) + " partitions are not possible: " + std::string(why));
}

Status check_partition_count(std::int64_t total, std::size_t existing, std::int64_t added) {
  if (total < 1 || total > kMaxPartitionsPerTopic) {
    return bad_partitions(total, "a topic has 1 to " + std::to_string(kMaxPartitionsPerTopic));
  }
  if (existing + static_cast<std::size_t>(added) > kMaxPartitions) {
    return bad_partitions(added, "a store holds at most " + std::to_string(kMaxPartitions));
  }
  return {};
}

ProducerInfo info_of(ProducerId id, const ProducerState& state) {
  ProducerInfo info{
      id, state.epoch, -1, state.last_seen, state.transaction_first, state.coordinator_epoch};
  if (state.count > 0) info.last_sequence = state.batches[state.count - 1U].last_sequence;
  return info;
}

}  // namespace

Result<std::uint64_t> LogStore::take_partition_ids(std::uint64_t count, Mutations& to) {
  RUNNEL_TRY_ASSIGN(const auto value, index_->get(Family::kMeta, keys::next_partition()));
  std::uint64_t first = 1;
  if (value) {
    RUNNEL_TRY_ASSIGN(first, decode_number(*value));
  }
  if (first + count > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::kTooManyPartitions, "the store has used up its partition numbers");
  }
  to.put(Family::kMeta, keys::next_partition(), encode_number(first + count));
  return first;
}

Result<std::shared_ptr<Topic>> LogStore::changed_topic(const Topic& from, TopicRecord record) {
  RUNNEL_TRY(read_topic_config(record.configs));
  auto topic = std::make_shared<Topic>();
  topic->name = from.name;
  topic->partitions = from.partitions;
  for (std::size_t i = from.partitions.size(); i < record.partitions.size(); ++i) {
    topic->partitions.push_back(std::make_shared<Partition>(
        record.partitions[i], PartitionIndex(static_cast<std::int32_t>(i)), from.name,
        TopicConfig()));  // put_topic() gives it what holds
  }
  topic->record = std::move(record);
  return topic;
}

void LogStore::apply_configs(const Topic& topic) {
  const auto config = read_topic_config(topic.record.configs, topic_defaults_);
  RUNNEL_ASSERT(config.has_value());  // each was checked when it was set
  for (const auto& partition : topic.partitions) partition->set_config(*config);
}

void LogStore::put_topic(const TopicRef& topic) {
  MutexLock lock(defaults_mutex_);
  apply_configs(*topic);
  topics_.put(topic);
}

Status LogStore::set_topic_defaults(ConfigMap defaults) {
  RUNNEL_TRY(read_topic_config(defaults));
  MutexLock lock(defaults_mutex_);
  topic_defaults_ = std::move(defaults);
  for (const TopicRef& topic : topics_.all()) apply_configs(*topic);
  topic_defaults_known_.store(true, std::memory_order_release);
  return {};
}

Status LogStore::check_spec(const TopicSpec& spec) const {
  RUNNEL_TRY(validate_topic_name(spec.name));
  RUNNEL_TRY(check_partition_count(spec.partitions, topics_.partition_count(), spec.partitions));
  RUNNEL_TRY(read_topic_config(spec.configs));
  if (!topics_.find(spec.name)) return {};
  return fail(ErrorCode::kTopicExists, "topic '" + spec.name + "' already exists");
}

Status LogStore::validate_topic(const TopicSpec& spec) const {
  return check_spec(spec);
}

Result<TopicInfo> LogStore::create_topic(const TopicSpec& spec) {
  RUNNEL_TRY(check_spec(spec));
  std::shared_ptr<Topic> topic;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    RUNNEL_TRY(check_spec(spec));  // again: nobody else changes topics now
    Mutations m;
    const auto count = static_cast<std::uint64_t>(spec.partitions);
    RUNNEL_TRY_ASSIGN(const std::uint64_t first, take_partition_ids(count, m));
    TopicRecord record;
    record.id = Uuid::from_random(options_.random->next(), options_.random->next());
    record.created = options_.clock->now();
    record.configs = spec.configs;
    for (std::uint64_t i = 0; i < count; ++i) {
      record.partitions.emplace_back(static_cast<std::uint32_t>(first + i));
    }
    m.put(Family::kMeta, keys::topic(spec.name), encode(record));
    Topic none;
    none.name = spec.name;
    RUNNEL_TRY_ASSIGN(topic, changed_topic(none, std::move(record)));
    return m;
  };
  work.applied = [&] { put_topic(topic); };
  RUNNEL_TRY(committer_->run(std::move(work)));
  return describe_topic(spec.name);
}

void LogStore::erase_partition(const Partition& partition, Mutations& to) const {
  const PartitionId id = partition.id();
  to.erase_range(Family::kIndex, keys::index_entry(id, Offset(0)),
                 keys::index_entry(id + 1, Offset(0)));
  to.erase_range(Family::kIndex, keys::span(id, 0), keys::span(id + 1, 0));
  to.erase_range(Family::kIndex, keys::aborted(id, Offset(0)), keys::aborted(id + 1, Offset(0)));
  to.erase_range(Family::kIndex, keys::lost(id, Offset(0)), keys::lost(id + 1, Offset(0)));
  to.erase(Family::kMeta, keys::partition_state(id));
  to.erase(Family::kMeta, keys::log_start(id));
  to.erase(Family::kMeta, keys::clean_point(id));
  to.erase_range(Family::kMeta, keys::producers_of(id), keys::producers_of(id + 1));
}

Status LogStore::delete_topic(std::string_view name) {
  TopicRef topic;
  std::vector<std::uint32_t> freed;  // one entry a span
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    RUNNEL_TRY_ASSIGN(topic, topics_.find(name));
    Mutations m;
    m.erase(Family::kMeta, keys::topic(topic->name));
    for (const auto& partition : topic->partitions) {
      Partition::View everything = partition->view();
      everything.start = {};
      everything.open_span = partition->writer().state.open_span;
      RUNNEL_TRY_ASSIGN(const auto spans, reader_->spans_of(*partition, everything));
      for (const Span& s : spans) freed.push_back(s.segment);
      erase_partition(*partition, m);
    }
    RUNNEL_TRY(index_->scan_prefix(Family::kMeta, keys::kGroupOffsets,
                                   [&](std::string_view key, std::string_view) {
                                     const auto offset = keys::parse_group_offset(key);
                                     if (offset && offset->topic == topic->name) {
                                       m.erase(Family::kMeta, std::string(key));
                                     }
                                     return true;
                                   }));
    return m;
  };
  work.applied = [&] {
    topics_.erase(topic->name);
    producers_.forget_partitions([&](PartitionId id) { return !topics_.partition(id); });
    std::vector<WaiterRef> ready;
    for (const auto& partition : topic->partitions) partition->set_deleted(ready);
    for (const std::uint32_t segment : freed) segments_.remove(segment);
    reader_->wake(ready);
  };
  return committer_->run(std::move(work));
}

Status LogStore::alter_topic(std::string_view name,
                             const std::map<std::string, std::optional<std::string>>& changes) {
  std::shared_ptr<Topic> topic;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    RUNNEL_TRY_ASSIGN(const TopicRef before, topics_.find(name));
    TopicRecord record = before->record;
    for (const auto& [key, value] : changes) {
      RUNNEL_TRY(read_topic_config({{key, value.value_or(default_of(key))}}));
      if (value) {
        record.configs[key] = *value;
      } else {
        record.configs.erase(key);
      }
    }
    Mutations m;
    m.put(Family::kMeta, keys::topic(before->name), encode(record));
    RUNNEL_TRY_ASSIGN(topic, changed_topic(*before, std::move(record)));
    return m;
  };
  work.applied = [&] { put_topic(topic); };
  return committer_->run(std::move(work));
}

Status LogStore::add_partitions(std::string_view name, std::int32_t total) {
  std::shared_ptr<Topic> topic;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    RUNNEL_TRY_ASSIGN(const TopicRef before, topics_.find(name));
    const auto now = static_cast<std::int64_t>(before->partitions.size());
    if (total <= now) {
      return fail(ErrorCode::kInvalidArgument,
                  "topic '" + before->name + "' has " + std::to_string(now) +
                      " partitions; their number can only grow, not become " +
                      std::to_string(total));
    }
    RUNNEL_TRY(check_partition_count(total, topics_.partition_count(), total - now));
    Mutations m;
    const auto count = static_cast<std::uint64_t>(total - now);
    RUNNEL_TRY_ASSIGN(const std::uint64_t first, take_partition_ids(count, m));
    TopicRecord record = before->record;
    for (std::uint64_t i = 0; i < count; ++i) {
      record.partitions.emplace_back(static_cast<std::uint32_t>(first + i));
    }
    m.put(Family::kMeta, keys::topic(before->name), encode(record));
    RUNNEL_TRY_ASSIGN(topic, changed_topic(*before, std::move(record)));
    return m;
  };
  work.applied = [&] { put_topic(topic); };
  return committer_->run(std::move(work));
}

std::vector<std::string> LogStore::topic_names() const {
  std::vector<std::string> names;
  for (const auto& topic : topics_.all()) names.push_back(topic->name);
  return names;
}

Result<TopicInfo> LogStore::describe_topic(std::string_view name) const {
  RUNNEL_TRY_ASSIGN(const TopicRef topic, topics_.find(name));
  TopicInfo info{topic->name, topic->record.id, topic->record.created, {}, topic->record.configs};
  info.partitions.reserve(topic->partitions.size());
  for (const auto& p : topic->partitions) info.partitions.push_back(partition_info(p));
  return info;
}

Result<std::vector<ProducerInfo>> LogStore::producers(const PartitionRef& partition) {
  std::vector<ProducerInfo> found;
  Committer::Exclusive work;  // the producers belong to the committer
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    producers_.visit(partition->id(), [&](ProducerId id, const ProducerState& state) {
      found.push_back(info_of(id, state));
    });
    return Mutations{};
  };
  RUNNEL_TRY(committer_->run(std::move(work)));
  std::sort(found.begin(), found.end(),
            [](const ProducerInfo& a, const ProducerInfo& b) { return a.id < b.id; });
  return found;
}

Result<std::optional<ProducerInfo>> LogStore::producer(const PartitionRef& partition,
                                                       ProducerId id) {
  std::optional<ProducerInfo> found;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    const ProducerState* state = producers_.find(partition->id(), id);
    if (state != nullptr) found = info_of(id, *state);
    return Mutations{};
  };
  RUNNEL_TRY(committer_->run(std::move(work)));
  return found;
}

Result<std::string> LogStore::topic_name(const Uuid& id) const {
  RUNNEL_TRY_ASSIGN(const TopicRef topic, topics_.find(id));
  return topic->name;
}

}  // namespace runnel::storage
