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

/// Who waited for [next - 1, next) and now for what follows is given what is read ahead from there.
std::optional<Offset> waits_twice(ReadAhead& ahead, PartitionId partition, Offset next) {
  const Offset before(next.value() - 1);
  EXPECT_FALSE(ahead.given(partition, Offset(before.value() - 1), before, true, now));
  return ahead.given(partition, before, next, true, now);
}

TEST(ReadAheadTest, WhoDidNotWaitIsNotReadFor) {
  ReadAhead ahead;
  EXPECT_FALSE(ahead.given(kOne, Offset(5), Offset(10), /*waited=*/false, now));
  EXPECT_TRUE(ahead.idle());
}

TEST(ReadAheadTest, WhoLooksHereAndThereIsNotReadFor) {
  ReadAhead ahead;
  for (const std::int64_t at : {100, 50, 300, 302, 10}) {
    EXPECT_FALSE(ahead.given(kOne, Offset(at), Offset(at + 1), true, now)) << at;
  }
  EXPECT_EQ(ahead.given(kOne, Offset(11), Offset(12), true, now), Offset(12)) << "on its way now";
}

TEST(ReadAheadTest, TheNextChunkIsReadWhileTheNewestIsGiven) {
  ReadAhead ahead;
  ASSERT_EQ(waits_twice(ahead, kOne, Offset(10)), Offset(10));
  EXPECT_FALSE(ahead.idle());
  EXPECT_FALSE(ahead.given(kOne, Offset(10), Offset(12), true, now)) << "its first is being read";
  EXPECT_EQ(waits_twice(ahead, kTwo, Offset(5)), Offset(5)) << "each partition has its own";
  ahead.finished(kOne, Offset(10), Offset(50), true);
  const auto given = [&](std::int64_t next) {
    return ahead.given(kOne, Offset(next - 1), Offset(next), false, now);
  };
  EXPECT_FALSE(given(10)) << "nothing of the chunk was given yet";
  EXPECT_EQ(given(20), Offset(50));
  ahead.finished(kOne, Offset(50), Offset(90), true);
  EXPECT_FALSE(given(30)) << "the older chunk is enough for now";
  EXPECT_FALSE(given(50));
  EXPECT_EQ(given(51), Offset(90));
}

TEST(ReadAheadTest, WhoWaitedElsewhereIsReadForThere) {
  ReadAhead ahead;
  ASSERT_EQ(waits_twice(ahead, kOne, Offset(10)), Offset(10));
  ahead.finished(kOne, Offset(10), Offset(50), true);
  EXPECT_FALSE(ahead.given(kOne, Offset(999), Offset(1000), false, now));
  EXPECT_EQ(waits_twice(ahead, kOne, Offset(1000)), Offset(1000));
}

TEST(ReadAheadTest, ARunEndsWithTheLogAndWhereAllIsInMemory) {
  ReadAhead ahead;
  ASSERT_TRUE(waits_twice(ahead, kOne, Offset(10)));
  ahead.finished(kOne, Offset(10), Offset(10), true);
  EXPECT_TRUE(ahead.idle());

  std::int64_t at = 10;
  ASSERT_EQ(waits_twice(ahead, kOne, Offset(at)), Offset(at));
  int in_memory = 0;
  while (true) {
    ahead.finished(kOne, Offset(at), Offset(at + 10), false);
    ++in_memory;
    const auto next = ahead.given(kOne, Offset(at), Offset(at + 1), false, now);
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
    if (waits_twice(ahead, PartitionId(i), Offset(2))) ++read;
  }
  EXPECT_LT(read, 1000);
  ahead.finished(PartitionId(0), Offset(2), Offset(3), true);
  EXPECT_TRUE(waits_twice(ahead, PartitionId(2000), Offset(2))) << "in the place of one that waits";
  EXPECT_FALSE(waits_twice(ahead, PartitionId(2001), Offset(2)));
}

TEST(ReadAheadTest, WhoseReaderLeftIsForgotten) {
  ReadAhead ahead;
  ASSERT_TRUE(waits_twice(ahead, kOne, Offset(10)));
  ASSERT_TRUE(waits_twice(ahead, kTwo, Offset(10)));
  ahead.finished(kOne, Offset(10), Offset(50), true);
  EXPECT_TRUE(ahead.is_awaited(kOne, now));
  EXPECT_FALSE(ahead.is_awaited(kOne, now + ReadAhead::kReaderLeft));
  EXPECT_FALSE(ahead.is_awaited(PartitionId(3), now));
  const auto later = now + ReadAhead::kRunEnds;
  EXPECT_FALSE(ahead.given(PartitionId(3), Offset(0), Offset(1), false, later));
  EXPECT_FALSE(ahead.idle()) << "one of them is being read";
  ahead.finished(kTwo, Offset(10), Offset(50), true);
  EXPECT_FALSE(
      ahead.given(PartitionId(3), Offset(0), Offset(1), false, later + ReadAhead::kRunEnds));
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
  for (const std::int64_t at : {0, 1}) {
    ASSERT_FALSE(store->fetch_and_wait({{{ref("t"), Offset(at), 1}}})[0].head.error);
  }
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
