#include "broker/groups/assignor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

struct Input {
  std::vector<std::string> keys;
  std::vector<std::vector<std::string>> topics;
  std::vector<PartitionSet> previous;
  PartitionCounts counts;

  void add(std::string key, std::vector<std::string> subscribed) {
    keys.push_back(std::move(key));
    topics.push_back(std::move(subscribed));
    previous.emplace_back();
  }
  [[nodiscard]] std::vector<PartitionSet> run(Assignor assignor) const {
    std::vector<AssignorMember> members;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      members.push_back({keys[i], &topics[i], &previous[i]});
    }
    return assign(assignor, members, counts);
  }
};

using Sizes = std::vector<std::size_t>;
Sizes sizes(const std::vector<PartitionSet>& shares) {
  Sizes all;
  for (const auto& share : shares) all.push_back(size_of(share));
  return all;
}

TEST(Assignor, RangeGivesContiguousSharesInKeyOrder) {
  Input input;
  input.add("b", {"t"});
  input.add("a", {"t"});
  input.counts = {{"t", 5}};
  const auto shares = input.run(Assignor::kRange);
  EXPECT_EQ(shares[1], (PartitionSet{{"t", {0, 1, 2}}}));
  EXPECT_EQ(shares[0], (PartitionSet{{"t", {3, 4}}}));
}

TEST(Assignor, RangeLeavesNothingToSuperfluousMembers) {
  Input input;
  for (const char* key : {"a", "b", "c"}) input.add(key, {"t"});
  input.counts = {{"t", 2}};
  EXPECT_EQ(sizes(input.run(Assignor::kRange)), (Sizes{1, 1, 0}));
}

TEST(Assignor, UniformMovesOnlyWhatItMust) {
  Input input;
  input.add("a", {"t"});
  input.add("b", {"t"});
  input.counts = {{"t", 6}};
  input.previous[0] = {{"t", {0, 1, 2, 3, 4, 5}}};
  auto shares = input.run(Assignor::kUniform);
  EXPECT_EQ(sizes(shares), (Sizes{3, 3}));
  // A third member: one partition from each of the two, the rest stays.
  input.previous = shares;
  input.add("c", {"t"});
  const auto three = input.run(Assignor::kUniform);
  EXPECT_EQ(sizes(three), (Sizes{2, 2, 2}));
  for (std::size_t i : {0u, 1u}) EXPECT_TRUE(difference(three[i], shares[i]).empty());
}

TEST(Assignor, TopicsThatDoNotExistGiveNothing) {
  Input input;
  input.add("a", {"gone", "t"});
  input.counts = {{"gone", 0}, {"t", 1}};
  for (const Assignor assignor : {Assignor::kRange, Assignor::kUniform}) {
    EXPECT_EQ(input.run(assignor)[0], (PartitionSet{{"t", {0}}}));
  }
}

Input random_input(storage::SeededRandom& random, bool same_subscriptions) {
  Input input;
  const std::size_t topic_count = 1 + random.next() % 4;
  std::vector<std::string> names;
  for (std::size_t t = 0; t < topic_count; ++t) {
    names.push_back("t" + std::to_string(t));
    input.counts[names.back()] = static_cast<std::int32_t>(random.next() % 12);
  }
  const std::size_t members = 1 + random.next() % 7;
  for (std::size_t m = 0; m < members; ++m) {
    std::vector<std::string> mine;
    for (const auto& name : names) {
      if (same_subscriptions || random.next() % 2 == 0) mine.push_back(name);
    }
    input.add("m" + std::to_string(random.next() % 1000) + "-" + std::to_string(m), mine);
    // What it had may overlap with others' and reach past the topic's end.
    for (const auto& name : names) {
      std::set<std::int32_t> had;
      for (std::uint64_t i = random.next() % 6; i > 0; --i) {
        had.insert(static_cast<std::int32_t>(random.next() % 14));
      }
      if (!had.empty()) input.previous.back()[name].assign(had.begin(), had.end());
    }
  }
  return input;
}

TEST(Assignor, EveryPartitionHasOneSubscriberAndLoadsAreEven) {
  storage::for_each_seed(1, 2000, [](std::uint64_t seed) {
    storage::SeededRandom random(seed);
    const bool same = random.next() % 2 == 0;
    const Input input = random_input(random, same);
    for (const Assignor assignor : {Assignor::kRange, Assignor::kUniform}) {
      const auto shares = input.run(assignor);
      PartitionSet all;
      std::size_t total = 0;
      for (std::size_t m = 0; m < shares.size(); ++m) {
        for (const auto& [topic, partitions] : shares[m]) {
          EXPECT_TRUE(std::ranges::find(input.topics[m], topic) != input.topics[m].end());
        }
        add_all(all, shares[m]);
        total += size_of(shares[m]);
      }
      EXPECT_EQ(size_of(all), total) << "a partition was given twice";
      for (const auto& [topic, count] : input.counts) {
        const bool wanted = std::ranges::any_of(
            input.topics, [&](const auto& t) { return std::ranges::find(t, topic) != t.end(); });
        const std::size_t given = all.contains(topic) ? all[topic].size() : 0;
        EXPECT_EQ(given, wanted ? static_cast<std::size_t>(count.partitions) : 0) << topic;
      }
      if (assignor == Assignor::kUniform && same) {
        const auto [low, high] = std::ranges::minmax(sizes(shares));
        EXPECT_LE(high - low, 1u);
      }
    }
  });
}

}  // namespace
}  // namespace runnel::broker
