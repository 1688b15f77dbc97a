// Who replays a cold log finds what comes next read and checked.
#include "storage/log/read_ahead.h"

#include <chrono>
#include <thread>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr PartitionId kOne{1};
constexpr PartitionId kTwo{2};
constexpr ReadAhead::Time now{std::chrono::hours(1)};

TEST(ReadAheadTest, WhoDidNotWaitIsNotReadFor) {
  ReadAhead ahead;
  EXPECT_FALSE(ahead.given(kOne, Offset(10), /*waited=*/false, now));
  EXPECT_TRUE(ahead.idle());
}

TEST(ReadAheadTest, TheNextChunkIsReadWhileTheNewestIsGiven) {
  ReadAhead ahead;
  ASSERT_EQ(ahead.given(kOne, Offset(10), true, now), Offset(10));
  EXPECT_FALSE(ahead.idle());
  EXPECT_FALSE(ahead.given(kOne, Offset(12), true, now)) << "its first chunk is being read";
  EXPECT_EQ(ahead.given(kTwo, Offset(5), true, now), Offset(5)) << "each partition has its own";
  ahead.finished(kOne, Offset(10), Offset(50), true);
  EXPECT_FALSE(ahead.given(kOne, Offset(10), false, now)) << "nothing of the chunk was given yet";
  EXPECT_EQ(ahead.given(kOne, Offset(20), false, now), Offset(50));
  ahead.finished(kOne, Offset(50), Offset(90), true);
  EXPECT_FALSE(ahead.given(kOne, Offset(30), false, now)) << "the older chunk is enough for now";
  EXPECT_FALSE(ahead.given(kOne, Offset(50), false, now));
  EXPECT_EQ(ahead.given(kOne, Offset(51), false, now), Offset(90));
}

TEST(ReadAheadTest, WhoWaitedElsewhereIsReadForThere) {
  ReadAhead ahead;
  ASSERT_EQ(ahead.given(kOne, Offset(10), true, now), Offset(10));
  ahead.finished(kOne, Offset(10), Offset(50), true);
  EXPECT_FALSE(ahead.given(kOne, Offset(1000), false, now));
  EXPECT_EQ(ahead.given(kOne, Offset(1000), true, now), Offset(1000));
}

TEST(ReadAheadTest, ARunEndsWithTheLogAndWhereAllIsInMemory) {
  ReadAhead ahead;
  ASSERT_TRUE(ahead.given(kOne, Offset(10), true, now));
  ahead.finished(kOne, Offset(10), Offset(10), true);
  EXPECT_TRUE(ahead.idle());

  std::int64_t at = 10;
  ASSERT_EQ(ahead.given(kOne, Offset(at), true, now), Offset(at));
  int in_memory = 0;
  while (true) {
    ahead.finished(kOne, Offset(at), Offset(at + 10), false);
    ++in_memory;
    const auto next = ahead.given(kOne, Offset(at + 1), false, now);
    if (!next) break;
    ASSERT_EQ(*next, Offset(at + 10));
    at += 10;
    ASSERT_LT(in_memory, 100);
  }
  EXPECT_GT(in_memory, 1) << "a single chunk in memory says little";
  EXPECT_TRUE(ahead.idle());
}

TEST(ReadAheadTest, RunsAreBounded) {
  ReadAhead ahead;
  int read = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    if (ahead.given(PartitionId(i), Offset(1), true, now)) ++read;
  }
  EXPECT_LT(read, 1000);
  ahead.finished(PartitionId(0), Offset(1), Offset(2), true);
  EXPECT_TRUE(ahead.given(PartitionId(2000), Offset(1), true, now))
      << "in the place of one that waits";
  EXPECT_FALSE(ahead.given(PartitionId(2001), Offset(1), true, now));
}

TEST(ReadAheadTest, WhoseReaderLeftIsForgotten) {
  ReadAhead ahead;
  ASSERT_TRUE(ahead.given(kOne, Offset(10), true, now));
  ASSERT_TRUE(ahead.given(kTwo, Offset(10), true, now));
  ahead.finished(kOne, Offset(10), Offset(50), true);
  const auto later = now + ReadAhead::kRunEnds;
  EXPECT_FALSE(ahead.given(PartitionId(3), Offset(1), false, later));
  EXPECT_FALSE(ahead.idle()) << "one of them is being read";
  ahead.finished(kTwo, Offset(10), Offset(50), true);
  EXPECT_FALSE(ahead.given(PartitionId(3), Offset(1), false, later + ReadAhead::kRunEnds));
  EXPECT_TRUE(ahead.idle());
}

class ColdLogTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }
};

TEST_F(ColdLogTest, WhatComesBehindAnAnswerIsReadBeforeItIsAskedFor) {
  create("t");
  constexpr std::uint64_t kBatch = 100'000;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::to_string(i) + std::string(kBatch, 'x')})).result);
  }
  fs.set_resident(false);
  const std::uint64_t before = fs.counters().bytes_read;
  ASSERT_FALSE(store->fetch_and_wait({{{ref("t"), Offset(0), 1}}})[0].head.error);
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (fs.counters().bytes_read - before < 20 * kBatch) {
    ASSERT_LT(std::chrono::steady_clock::now(), patience) << "only the answer was read";
    std::this_thread::yield();
  }
}

TEST_F(ColdLogTest, DamageThatWasReadIsDamageToTheNextReaderToo) {
  create("t");
  constexpr std::uint64_t kBatch = 100'000;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::to_string(i) + std::string(kBatch, 'x')})).result);
  }
  ASSERT_TRUE(fs.flip_bit("data/segments/0000000001.wal", kBatch + kBatch / 2));
  ASSERT_TRUE(fs.flip_bit("data/segments/0000000001.wal", 2 * kBatch + kBatch / 2));
  for (const bool in_memory : {false, true, true}) {
    fs.set_resident(in_memory);
    const auto fetched = store->fetch_and_wait({{{ref("t"), Offset(1)}}});
    ASSERT_TRUE(fetched[0].head.error) << in_memory;
    EXPECT_EQ(fetched[0].head.error->code(), ErrorCode::kCorrupt);
    EXPECT_EQ(values("t", Offset(3)).size(), 17U);
    // It was on its way to memory when the damage before it was found.
    const auto behind = store->fetch_and_wait({{{ref("t"), Offset(2)}}});
    ASSERT_TRUE(behind[0].head.error) << in_memory;
    EXPECT_EQ(behind[0].head.error->code(), ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace runnel::storage
