// The summary against the list itself.
#include "storage/log/aborted_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace runnel::storage {
namespace {

/// Aborted transactions as a log has them: some producers, each with one open transaction at most.
std::vector<AbortedRecord> random_list(std::mt19937_64& random, int steps) {
  std::vector<AbortedRecord> list;
  std::map<std::int64_t, std::int64_t> open;  // producer -> first offset
  for (std::int64_t offset = 0; offset < steps; ++offset) {
    const auto producer = static_cast<std::int64_t>(random() % 12);
    const auto it = open.find(producer);
    if (it == open.end()) {
      open[producer] = offset;
      continue;
    }
    // The low numbers stay open for long.
    if (random() % (producer < 2 ? 400 : 2) != 0) continue;
    const std::int64_t first = it->second;
    open.erase(it);
    if (random() % 4 == 0) continue;  // committed
    std::int64_t stable = offset + 1;
    for (const auto& [other, began] : open) stable = std::min(stable, began);
    list.push_back({Offset(offset), ProducerId(producer), Offset(first), Offset(stable)});
  }
  return list;
}

TEST(AbortedMap, FindsAllThatTouchAndFewOthers) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const int steps = 20'000;
    const auto list = random_list(random, steps);
    ASSERT_FALSE(list.empty());
    AbortedMap map;
    EXPECT_EQ(map.last(), kNoOffset);
    for (const AbortedRecord& a : list) map.add(a);
    EXPECT_EQ(map.last(), list.back().marker);
    for (int i = 0; i < 200; ++i) {
      const Offset from(static_cast<std::int64_t>(random() % steps));
      const Offset next = from + 1 + static_cast<std::int64_t>(random() % 50);
      const auto ranges = map.find(from, next);
      Offset last = kNoOffset;
      for (const auto& range : ranges) {
        EXPECT_LT(last, range.first);
        EXPECT_LE(range.first, range.last);
        last = range.last;
      }
      std::size_t touching = 0;
      std::size_t walked = 0;
      for (const AbortedRecord& a : list) {
        const bool touches = a.marker >= from && a.first < next;
        const bool found = std::any_of(ranges.begin(), ranges.end(), [&](const auto& r) {
          return r.first <= a.marker && a.marker <= r.last;
        });
        EXPECT_TRUE(found || !touches) << "marker " << a.marker.value();
        touching += touches ? 1 : 0;
        walked += found ? 1 : 0;
      }
      EXPECT_LE(walked, (touching + 1) * AbortedMap::kBlock);
    }
  }
}

TEST(AbortedMap, ForgetsWholeBlocksOnly) {
  AbortedMap map;
  constexpr auto kBlock = static_cast<std::int64_t>(AbortedMap::kBlock);
  for (std::int64_t i = 0; i < 2 * kBlock; ++i) {
    map.add({Offset(i), ProducerId(1), Offset(i), Offset(i + 1)});
  }
  map.forget_before(Offset(kBlock - 1));
  EXPECT_EQ(map.find(Offset(0), Offset(1)).size(), 1U);
  map.forget_before(Offset(kBlock));
  EXPECT_TRUE(map.find(Offset(0), Offset(1)).empty());
  EXPECT_EQ(map.last(), Offset(2 * kBlock - 1));
  map.forget_before(Offset(2 * kBlock));
  EXPECT_EQ(map.last(), kNoOffset);
}

}  // namespace
}  // namespace runnel::storage
