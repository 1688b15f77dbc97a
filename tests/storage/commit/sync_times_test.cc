#include "storage/commit/sync_times.h"

#include <gtest/gtest.h>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using std::chrono::microseconds;

TEST(SyncTimes, NothingIsKnownBeforeTheFirst) {
  const SyncTimes times;
  EXPECT_EQ(times.summary().micros, 0U);
  EXPECT_EQ(times.summary().max_micros, 0U);
}

TEST(SyncTimes, TellsOfTheLastOnesAndTheSumOfAll) {
  SyncTimes times;
  times.add(microseconds(1'000'000));
  for (std::size_t i = 1; i <= SyncTimes::kLately; ++i) times.add(microseconds(i));
  const SyncTimes::Summary summary = times.summary();
  EXPECT_EQ(summary.micros, 1'000'000U + 1024 * 1025 / 2);
  EXPECT_EQ(summary.max_micros, 1024U) << "the first one is long ago";
  EXPECT_EQ(summary.p50_micros, 512U);
  EXPECT_EQ(summary.p99_micros, 1013U);
}

TEST_F(StoreTest, StatisticsSayWhatCameFromMemory) {
  create("t");
  ASSERT_TRUE(append("t", make_batch({"a", "b"})).result);
  EXPECT_GT(store->stats().syncs, 0U);
  fs.set_resident(true);
  values("t");
  const std::uint64_t cached = store->stats().fetched_cached_bytes;
  EXPECT_GT(cached, 0U);
  EXPECT_EQ(cached, store->stats().fetched_bytes);
  fs.set_resident(false);
  values("t");
  EXPECT_EQ(store->stats().fetched_cached_bytes, cached);
  EXPECT_EQ(store->stats().fetched_bytes, 2 * cached);
}

}  // namespace
}  // namespace runnel::storage
