#include "storage/env/clock.h"

#include <gtest/gtest.h>

#include <set>

#include "storage/env/manual_clock.h"
#include "storage/env/memory_budget.h"
#include "storage/env/random.h"

namespace runnel::storage {
namespace {

using std::chrono::milliseconds;

TEST(SystemClock, MonotonicNeverGoesBackAndWallIsOfThisCentury) {
  Clock& clock = Clock::system();
  const auto before = clock.monotonic();
  EXPECT_GE(clock.monotonic(), before);
  EXPECT_GT(clock.now().value(), 1'600'000'000'000);
}

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock(Timestamp(1000));
  const auto before = clock.monotonic();
  clock.advance(milliseconds(5));
  EXPECT_EQ(clock.now(), Timestamp(1005));
  EXPECT_EQ(clock.monotonic() - before, milliseconds(5));
  clock.jump(milliseconds(-100));
  EXPECT_EQ(clock.now(), Timestamp(905));
  EXPECT_EQ(clock.monotonic() - before, milliseconds(5));
}

TEST(SystemRandom, DoesNotRepeat) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(Random::system().next());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(MemoryBudget, RefusesOverTheLimitButNotTheOnlyRequest) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.try_take(60));
  EXPECT_FALSE(budget.try_take(41));
  EXPECT_TRUE(budget.try_take(40));
  budget.give_back(100);
  EXPECT_TRUE(budget.try_take(1000));
  EXPECT_FALSE(budget.try_take(1));
  EXPECT_EQ(budget.held_bytes(), 1000u);
}

}  // namespace
}  // namespace runnel::storage
