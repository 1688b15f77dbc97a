// Fetches of every size: whatever the limit cuts off comes first in the next fetch.

#include <future>
#include <thread>
#include <utility>

#include "storage/log/log_store.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using Values = std::vector<std::string>;

class FetchTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  /// All values, fetched `max_bytes` at a time.
  Values fetch_all(std::uint32_t max_bytes) {
    Values out;
    Offset at(0);
    const Offset end = store->partition_info(ref("t")).high_watermark;
    while (at < end) {
      const auto fetched = store->fetch_and_wait({{{ref("t"), at, max_bytes}}});
      EXPECT_FALSE(fetched[0].head.error);
      if (fetched[0].head.error || fetched[0].batches.empty()) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
        EXPECT_TRUE(size.has_value());
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          if ((*r)->offset < at) continue;
          EXPECT_EQ((*r)->offset, at);
          out.emplace_back((*r)->value.value_or(""));
          at = at + 1;
        }
        rest = rest.subspan(*size);
      }
      EXPECT_EQ(fetched[0].head.next, at);
    }
    return out;
  }
};

TEST_F(FetchTest, NothingIsSkippedBehindAnEntryThatWasCut) {
  create("t");
  // One entry of two batches, the second too large for what is left, then one that would fit.
  Values expected;
  const auto add = [&](std::vector<std::size_t> sizes) {
    CommitRequest request;
    std::vector<std::byte> bytes;
    for (const std::size_t size : sizes) {
      expected.push_back(std::to_string(expected.size()) + std::string(size, 'x'));
      const Buffer batch = make_batch({expected.back()});
      bytes.insert(bytes.end(), batch.bytes().begin(), batch.bytes().end());
    }
    request.appends.push_back({ref("t"), Buffer::copy_of(bytes), {}, std::nullopt});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  };
  for (int i = 0; i < 5; ++i) {
    add({100, 3000});
    add({10});
    add({700, 20, 900});
  }
  for (std::uint32_t max = 1; max < 12'000; max += 97) {
    SCOPED_TRACE(max);
    ASSERT_EQ(fetch_all(max), expected);
  }
  reopen();
  for (std::uint32_t max = 1; max < 12'000; max += 97) {
    SCOPED_TRACE(max);
    ASSERT_EQ(fetch_all(max), expected);
  }
}

TEST_F(FetchTest, OnlyWhatIsNotInMemoryIsReadToCheckIt) {
  create("t");
  constexpr std::uint64_t kBatch = 100'000;
  Values expected;
  for (int i = 0; i < 10; ++i) {
    expected.push_back(std::to_string(i) + std::string(kBatch, 'x'));
    ASSERT_TRUE(append("t", make_batch({expected.back()})).result);
  }
  const auto read_by_a_fetch = [&](std::uint64_t resident_before) {
    fs.set_resident_before(resident_before);
    const std::uint64_t before = fs.counters().bytes_read;
    EXPECT_EQ(values("t"), expected);
    return fs.counters().bytes_read - before;
  };
  // The simulated files have no descriptors: what is fetched is read in any case, to be copied.
  const std::uint64_t copied = read_by_a_fetch(UINT64_MAX);
  EXPECT_EQ(read_by_a_fetch(0), 2 * copied) << "all of it is checked, and copied";
  const std::uint64_t last_two = 8 * kBatch + kBatch / 2;  // the 9th batch is in memory half
  EXPECT_GE(read_by_a_fetch(last_two), copied + 2 * kBatch);
  EXPECT_LT(read_by_a_fetch(last_two), copied + 3 * kBatch);
}

TEST_F(FetchTest, AnAnswerHasABoundOfPiecesAndIsGivenAtOnce) {
  create("t");
  create("u");
  // One entry each.
  constexpr int kEntries = 9000;
  for (int i = 0; i < kEntries; ++i)
    ASSERT_TRUE(append("t", make_batch({std::to_string(i)})).result);
  ASSERT_TRUE(append("u", make_batch({"u"})).result);
  Offset at(0);
  int answers = 0;
  while (at < Offset(kEntries)) {
    FetchRequest request;
    request.items = {{ref("t"), at, 55u << 20}, {ref("u"), Offset(0)}};
    request.max_bytes = 55u << 20;
    request.min_bytes = 50u << 20;
    request.max_wait = std::chrono::hours(at.value() + 4096 < kEntries ? 1 : 0);
    const auto fetched = store->fetch_and_wait(std::move(request));
    ASSERT_FALSE(fetched[0].head.error);
    ASSERT_LE(fetched[0].head.slices.size(), 4096U);
    ASSERT_GT(fetched[0].head.next, at);
    EXPECT_EQ(fetched[1].head.high_watermark, Offset(1));
    at = fetched[0].head.next;
    ++answers;
  }
  EXPECT_EQ(answers, 3);
  EXPECT_EQ(values("t").size(), static_cast<std::size_t>(kEntries));
}

TEST_F(FetchTest, AMissingSegmentIsCorruptAndTheOthersAreServed) {
  create("t");
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::to_string(i) + std::string(100'000, 'x')})).result);
  }
  ASSERT_TRUE(store->close());
  store.reset();
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000001.wal"));
  open();
  const auto gone = store->fetch_and_wait({{{ref("t"), Offset(0)}}});
  ASSERT_TRUE(gone[0].head.error);
  EXPECT_EQ(gone[0].head.error->code(), ErrorCode::kCorrupt);
  EXPECT_EQ(values("t", Offset(29)).size(), 1U);
}

TEST_F(FetchTest, WhatTheIndexHasOnDiskIsNotLookedUpByTheCaller) {
  create("t");
  constexpr int kBatches = 200;  // more than are kept beside the index
  for (int i = 0; i < kBatches; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::to_string(i)})).result);
  }
  ASSERT_TRUE(static_cast<LogStore&>(*store).flush_index());
  // Whether the caller's own thread answers.
  const auto at_once = [&](std::int64_t from) {
    std::promise<std::pair<FetchedPartition, std::thread::id>> answer;
    FetchRequest request;
    request.items.push_back({ref("t"), Offset(from), 1u << 20});
    store->fetch(std::move(request), [&](FetchResult r) {
      answer.set_value({std::move(r[0]), std::this_thread::get_id()});
    });
    const auto [got, thread] = answer.get_future().get();
    EXPECT_FALSE(got.error);
    EXPECT_EQ(got.next, Offset(kBatches)) << "from " << from;
    return thread == std::this_thread::get_id();
  };
  EXPECT_TRUE(at_once(kBatches - 1)) << "the last ones need no index";
  EXPECT_FALSE(at_once(0));
  EXPECT_TRUE(at_once(0)) << "it is in memory now";
}

}  // namespace
}  // namespace runnel::storage
