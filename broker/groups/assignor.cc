#include "broker/groups/assignor.h"

#include <algorithm>
#include <numeric>

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
    if (count == counts.end() || count->second <= 0) continue;
    topics.push_back({name, count->second, std::move(list)});
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
      owned_[t].resize(members.size());
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
      for (const std::size_t m : topics_[t].subscribers) {
        auto& list = owned_[t][m];
        if (list.empty()) continue;
        std::sort(list.begin(), list.end());
        shares[m].emplace(topics_[t].name, std::move(list));
      }
    }
    return shares;
  }

 private:
  void keep_and_fill(std::size_t t, std::span<const AssignorMember> members) {
    const Topic& topic = topics_[t];
    std::vector<bool> taken(static_cast<std::size_t>(topic.partitions), false);
    for (const std::size_t m : topic.subscribers) {
      const auto had = members[m].previous->find(topic.name);
      if (had == members[m].previous->end()) continue;
      for (const std::int32_t p : had->second) {
        if (p >= topic.partitions || taken[static_cast<std::size_t>(p)]) continue;
        taken[static_cast<std::size_t>(p)] = true;
        give(t, m, p);
      }
    }
    for (std::int32_t p = 0; p < topic.partitions; ++p) {
      if (!taken[static_cast<std::size_t>(p)]) give(t, least_loaded(topic), p);
    }
  }

  void give(std::size_t t, std::size_t m, std::int32_t p) {
    owned_[t][m].push_back(p);
    ++load_[m];
  }

  [[nodiscard]] std::size_t least_loaded(const Topic& topic) const {
    return *std::min_element(topic.subscribers.begin(), topic.subscribers.end(),
                             [&](std::size_t a, std::size_t b) { return load_[a] < load_[b]; });
  }

  bool balance(std::size_t t) {
    const Topic& topic = topics_[t];
    bool moved = false;
    while (true) {
      const std::size_t to = least_loaded(topic);
      std::size_t from = to;
      for (const std::size_t m : topic.subscribers) {
        if (!owned_[t][m].empty() && load_[m] > load_[from]) from = m;
      }
      if (load_[from] < load_[to] + 2) return moved;
      const std::int32_t p = owned_[t][from].back();
      owned_[t][from].pop_back();
      --load_[from];
      give(t, to, p);
      moved = true;
    }
  }

  const std::vector<Topic>& topics_;
  std::vector<std::size_t> load_;                              ///< by member
  std::vector<std::vector<std::vector<std::int32_t>>> owned_;  ///< by topic, then member
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
