// What the members of a consumer group subscribe to, and what that may take.
#include <algorithm>
#include <iterator>

#include "broker/groups/group.h"
#include "storage/store.h"

namespace runnel::broker {
namespace {

std::size_t sum_of(const PartitionCounts& counts) {
  std::size_t partitions = 0;
  for (const auto& [topic, shape] : counts) {
    partitions += static_cast<std::size_t>(shape.partitions);
  }
  return partitions;
}

}  // namespace

std::size_t bytes_of(const std::vector<std::string>& topics) {
  std::size_t bytes = 0;
  for (const std::string& topic : topics) bytes += kTopicOverheadBytes + 2 * topic.size();
  return bytes;
}

Status check_topics(const std::vector<std::string>& topics) {
  if (topics.size() > kMaxMemberTopics) {
    return fail(ErrorCode::kInvalidArgument, std::to_string(topics.size()) +
                                                 " topics in one subscription; at most " +
                                                 std::to_string(kMaxMemberTopics) + " are allowed");
  }
  const auto too_long = std::ranges::find_if(
      topics, [](const std::string& topic) { return topic.size() > storage::kMaxTopicNameBytes; });
  if (too_long == topics.end()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "a topic of " + std::to_string(too_long->size()) + " bytes in the subscription; no " +
                  "topic has a name of more than " + std::to_string(storage::kMaxTopicNameBytes));
}

const Group::TopicList& Group::no_topics() {
  static const TopicList kNone = std::make_shared<const std::vector<std::string>>();
  return kNone;
}

Group::TopicList Group::shared(std::vector<std::string> list) const {
  const std::vector<std::string>* last = nullptr;  // most members have the same
  for (const auto& [id, member] : members_) {
    for (const TopicList* known : {&member.names, &member.topics}) {
      if (known->get() == last) continue;
      last = known->get();
      if (**known == list) return *known;
    }
  }
  return std::make_shared<const std::vector<std::string>>(std::move(list));
}

Result<Group::TopicList> Group::topics_of(const TopicList& names, const std::string& pattern,
                                          const TopicMatch* match) const {
  if (pattern.empty() || !match) return names;
  RUNNEL_TRY_ASSIGN(const std::vector<std::string> matching, (*match)(pattern));
  std::vector<std::string> topics;
  std::set_union(names->begin(), names->end(), matching.begin(), matching.end(),
                 std::back_inserter(topics));
  return topics == *names ? names : shared(std::move(topics));
}

// ---------------------------------------------------------------- limits
void Group::count(const std::string& id, const Member& member, Usage& usage) {
  usage.bytes += kMemberOverheadBytes + id.size() + member.instance_id.size() +
                 member.client_name.size() + member.host.size() + member.rack.size() +
                 member.pattern.size();
  usage.subscriptions += member.topics->size();
  for (const TopicList* list : {&member.names, &member.topics}) {
    if (usage.lists.insert(list->get()).second) usage.bytes += bytes_of(**list);
  }
}

Group::Usage Group::usage(const Member* without) const {
  Usage usage;
  for (const auto& [id, member] : members_) {
    if (&member != without) count(id, member, usage);
  }
  return usage;
}

std::size_t Group::partitions_with(const std::vector<std::string>& topics,
                                   const PartitionCount& partition_count) const {
  std::size_t partitions = sum_of(counts_);
  for (const std::string& topic : topics) {
    if (counts_.contains(topic)) continue;
    partitions += static_cast<std::size_t>(partition_count(topic).partitions);
  }
  return partitions;
}

Status Group::check_size(const std::string& id, const Member& member, const TopicList& names,
                         const TopicList& topics, const PartitionCount& partition_count) const {
  if (const std::size_t partitions = partitions_with(*topics, partition_count);
      partitions > kMaxGroupPartitions) {
    return fail(ErrorCode::kTooManyPartitions,
                "group \"" + name_ + "\" would have " + std::to_string(partitions) +
                    " partitions; at most " + std::to_string(kMaxGroupPartitions) +
                    " are allowed. Use more groups");
  }
  Usage after = usage(&member);
  Member as_wished;
  as_wished.instance_id = member.instance_id;
  as_wished.pattern = member.pattern;
  as_wished.names = names;
  as_wished.topics = topics;
  count(id, as_wished, after);
  if (after.subscriptions <= kMaxGroupSubscriptions && after.bytes <= kMaxConsumerGroupBytes) {
    return {};
  }
  const Usage now = usage();
  if (after.subscriptions <= now.subscriptions && after.bytes <= now.bytes) return {};
  return fail(ErrorCode::kGroupMaxSizeReached,
              "the members of group \"" + name_ + "\" would subscribe to " +
                  std::to_string(after.subscriptions) + " topics in all and take " +
                  std::to_string(after.bytes) + " bytes; at most " +
                  std::to_string(kMaxGroupSubscriptions) + " and " +
                  std::to_string(kMaxConsumerGroupBytes) + " are allowed. Use more groups");
}

// ---------------------------------------------------------------- topics that come and go
bool Group::match_again(const PartitionCount& partition_count, const TopicMatch& match) {
  std::vector<std::pair<Member*, TopicList>> before;
  std::map<std::pair<TopicList, std::string>, TopicList> known;  // members often say the same
  for (auto& [id, member] : members_) {
    if (member.pattern.empty()) continue;
    const auto [place, fresh] = known.try_emplace({member.names, member.pattern}, member.topics);
    if (fresh) {
      const auto topics = topics_of(member.names, member.pattern, &match);
      if (topics) place->second = *topics;
    }
    if (place->second == member.topics) continue;
    before.emplace_back(&member, std::exchange(member.topics, place->second));
  }
  if (before.empty()) return false;
  const Usage now = usage();
  if (now.subscriptions <= kMaxGroupSubscriptions && now.bytes <= kMaxConsumerGroupBytes &&
      sum_of(subscribed(partition_count)) <= kMaxGroupPartitions) {
    return true;
  }
  for (auto& [member, topics] : before) member->topics = std::move(topics);
  return false;
}

bool Group::refresh_topics(const PartitionCount& partition_count, const TopicMatch* match) {
  const bool matched = match && match_again(partition_count, *match);
  const bool moved = take_counts(subscribed(partition_count));
  if (!matched && !moved) return false;
  retarget();
  check_invariants();
  return true;
}

bool Group::take_counts(PartitionCounts now) {
  bool moved = now.size() != counts_.size();
  for (const auto& [topic, before] : counts_) {
    const auto found = now.find(topic);
    if (found == now.end()) {  // nobody subscribes any more
      moved = true;
      continue;
    }
    const TopicShape& after = found->second;
    const bool another = !before.id.is_zero() && before.id != after.id;
    if (another || after.partitions < before.partitions) {
      for (auto& [id, member] : members_) {
        if (!member.assigned.contains(topic)) continue;
        if (member.away) {  // nobody works on it
          member.assigned.erase(topic);
        } else {
          member.gone.insert(topic);
        }
      }
    }
    moved = moved || another || before.partitions != after.partitions;
  }
  counts_ = std::move(now);
  return moved;
}

PartitionCounts Group::subscribed(const PartitionCount& partition_count) const {
  PartitionCounts counts;
  std::set<const void*> lists;
  for (const auto& [id, member] : members_) {
    if (!lists.insert(member.topics.get()).second) continue;
    for (const std::string& topic : *member.topics) {
      const auto [place, fresh] = counts.try_emplace(topic, 0);
      if (fresh) place->second = partition_count(topic);
    }
  }
  return counts;
}

}  // namespace runnel::broker
