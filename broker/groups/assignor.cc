#include "broker/groups/assignor.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>

namespace runnel::broker {
namespace {

/// One topic and the members that subscribe to it, as places in the member list in key order.
struct Topic {
  std::string_view name;
  std::int32_t partitions = 0;
  std::vector<std::size_t> subscribers;
};

std::vector<Topic> subscribed_topics(std::span<const AssignorMember> members,
                                     const PartitionCounts& counts) {
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return members[a].key < members[b].key; });
  std::map<std::string_view, std::vector<std::size_t>> subscribers;
  for (const std::size_t m : order) {
    for (const std::string& topic : *members[m].topics) subscribers[topic].push_back(m);
  }
  std::vector<Topic> topics;
  for (auto& [name, list] : subscribers) {
    const auto count = counts.find(name);
    if (count == counts.end() || count->second.partitions == 0) continue;
    topics.push_back({name, count->second.partitions, std::move(list)});
  }
  return topics;
}

std::vector<PartitionSet> assign_range(std::size_t members, const std::vector<Topic>& topics) {
  std::vector<PartitionSet> shares(members);
  for (const Topic& topic : topics) {
    const auto n = static_cast<std::int32_t>(topic.subscribers.size());
    std::int32_t next = 0;
    for (std::int32_t i = 0; i < n; ++i) {
      const std::int32_t length = topic.partitions / n + (i < topic.partitions % n ? 1 : 0);
      if (length == 0) break;
      auto& share = shares[topic.subscribers[static_cast<std::size_t>(i)]];
      auto& list = share[std::string(topic.name)];
      list.resize(static_cast<std::size_t>(length));
      std::iota(list.begin(), list.end(), next);
      next += length;
    }
  }
  return shares;
}

/// Keeps what each member has, gives what is free to the least loaded, then moves partitions from
/// the most to the least loaded subscriber of a topic until no move evens out the loads. Each move
/// lowers the sum of squared loads, so it ends.
class UniformAssignment {
 public:
  UniformAssignment(std::span<const AssignorMember> members, const std::vector<Topic>& topics)
      : topics_(topics), load_(members.size(), 0), owned_(topics.size()) {
    for (std::size_t t = 0; t < topics.size(); ++t) {
      owned_[t].resize(topics[t].subscribers.size());
      keep_and_fill(t, members);
    }
    bool moved = true;
    while (moved) {
      moved = false;
      for (std::size_t t = 0; t < topics.size(); ++t) moved = balance(t) || moved;
    }
  }

  [[nodiscard]] std::vector<PartitionSet> shares() && {
    std::vector<PartitionSet> shares(load_.size());
    for (std::size_t t = 0; t < topics_.size(); ++t) {
      for (std::size_t i = 0; i < owned_[t].size(); ++i) {
        auto& list = owned_[t][i];
        if (list.empty()) continue;
        std::sort(list.begin(), list.end());
        shares[topics_[t].subscribers[i]].emplace(topics_[t].name, std::move(list));
      }
    }
    return shares;
  }

 private:
  void keep_and_fill(std::size_t t, std::span<const AssignorMember> members) {
    const Topic& topic = topics_[t];
    std::vector<bool> taken(static_cast<std::size_t>(topic.partitions), false);
    for (std::size_t i = 0; i < topic.subscribers.size(); ++i) {
      const PartitionSet& previous = *members[topic.subscribers[i]].previous;
      const auto had = previous.find(topic.name);
      if (had == previous.end()) continue;
      for (const std::int32_t p : had->second) {
        if (p >= topic.partitions || taken[static_cast<std::size_t>(p)]) continue;
        taken[static_cast<std::size_t>(p)] = true;
        give(t, i, p);
      }
    }
    give_to_least_loaded(t, taken);
  }

  /// What nobody has taken; of equally loaded ones the first subscriber gets it.
  void give_to_least_loaded(std::size_t t, const std::vector<bool>& taken) {
    if (std::ranges::find(taken, false) == taken.end()) return;
    using LoadAndPlace = std::pair<std::size_t, std::size_t>;
    std::vector<LoadAndPlace> loads;
    loads.reserve(owned_[t].size());
    for (std::size_t i = 0; i < owned_[t].size(); ++i) loads.emplace_back(load(t, i), i);
    std::priority_queue least(std::greater<LoadAndPlace>(), std::move(loads));
    for (std::size_t p = 0; p < taken.size(); ++p) {
      if (taken[p]) continue;
      const std::size_t i = least.top().second;
      least.pop();
      give(t, i, static_cast<std::int32_t>(p));
      least.emplace(load(t, i), i);
    }
  }

  /// Of topic `t`'s subscriber at place `i`.
  [[nodiscard]] std::size_t& load(std::size_t t, std::size_t i) {
    return load_[topics_[t].subscribers[i]];
  }

  void give(std::size_t t, std::size_t i, std::int32_t p) {
    owned_[t][i].push_back(p);
    ++load(t, i);
  }

  bool balance(std::size_t t) {
    bool moved = false;
    while (true) {
      std::size_t to = 0;
      for (std::size_t i = 1; i < owned_[t].size(); ++i) {
        if (load(t, i) < load(t, to)) to = i;
      }
      std::size_t from = to;
      for (std::size_t i = 0; i < owned_[t].size(); ++i) {
        if (!owned_[t][i].empty() && load(t, i) > load(t, from)) from = i;
      }
      if (load(t, from) < load(t, to) + 2) return moved;
      const std::int32_t p = owned_[t][from].back();
      owned_[t][from].pop_back();
      --load(t, from);
      give(t, to, p);
      moved = true;
    }
  }

  const std::vector<Topic>& topics_;
  std::vector<std::size_t> load_;                              ///< by member
  std::vector<std::vector<std::vector<std::int32_t>>> owned_;  ///< by topic, then subscriber
};

}  // namespace

std::string_view name_of(Assignor assignor) noexcept {
  return assignor == Assignor::kRange ? "range" : "uniform";
}

std::optional<Assignor> assignor_named(std::string_view name) noexcept {
  if (name.empty() || name == "uniform") return Assignor::kUniform;
  if (name == "range") return Assignor::kRange;
  return std::nullopt;
}

std::vector<PartitionSet> assign(Assignor assignor, std::span<const AssignorMember> members,
                                 const PartitionCounts& counts) {
  const std::vector<Topic> topics = subscribed_topics(members, counts);
  if (assignor == Assignor::kRange) return assign_range(members.size(), topics);
  return UniformAssignment(members, topics).shares();
}

}  // namespace runnel::broker
