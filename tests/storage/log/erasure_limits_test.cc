// Erasures beside everything else: what is counted, what is damaged, what can't be deleted.
#include <gmock/gmock.h>

#include "tests/storage/log/erasure_fixture.h"

namespace runnel::storage {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ErasureLimitsTest : public ErasureTest {
 protected:
  static constexpr std::size_t kValue = 10'000;

  void put_one(const std::string& topic, std::string_view key, std::size_t bytes = kValue) {
    put(topic, {{std::string(key), std::string(bytes, 'v')}});
  }
  /// Of what can be fetched.
  std::uint64_t bytes_of(const std::string& topic) {
    std::uint64_t sum = 0;
    const auto info = store->partition_info(ref(topic));
    for (Offset at = info.log_start; at < info.high_watermark;) {
      auto fetched = store->fetch_and_wait({{{ref(topic), at, 1u << 20}}});
      EXPECT_FALSE(fetched[0].head.error);
      if (fetched[0].head.next <= at) break;
      sum += fetched[0].batches.size();
      at = fetched[0].head.next;
    }
    return sum;
  }
  std::uint64_t counted(const std::string& topic) {
    return store->partition_info(ref(topic)).bytes;
  }
  /// Ten records of others, and as many of the key behind each.
  void fill(const std::string& topic) {
    for (int i = 0; i < 10; ++i) {
      put_one(topic, "bob");
      put_one(topic, kKey);
    }
  }
};

TEST_F(ErasureLimitsTest, WhatIsErasedDoesNotCountForRetention) {
  create("t");
  fill("t");
  erase("e", "t");
  EXPECT_EQ(finish("e").records(), 10u);
  EXPECT_EQ(counted("t"), bytes_of("t"));
  ASSERT_TRUE(store->alter_topic("t", {{"retention.bytes", std::to_string(11 * kValue)}}));
  maintain();
  EXPECT_EQ(read("t").size(), 10u);  // all that is left is less than may be kept
  reopen();
  ASSERT_TRUE(store->alter_topic("t", {{"retention.bytes", std::to_string(5 * kValue)}}));
  maintain();
  EXPECT_EQ(read("t").size(), 4u);  // batches are somewhat larger than their values
  EXPECT_EQ(counted("t"), bytes_of("t"));
}

TEST_F(ErasureLimitsTest, TrimsCountWhatIsThere) {
  create("t");
  fill("t");
  erase("e", "t");
  finish("e");
  for (const std::int64_t before : {1, 2, 5, 13, 14}) {
    ASSERT_TRUE(store->delete_records(ref("t"), Offset(before)));
    EXPECT_EQ(counted("t"), bytes_of("t")) << before;
  }
}

TEST_F(ErasureLimitsTest, AnEmptyEntryKeepsItsPlaceInTheCount) {
  create("t", 1, {{"min.cleanable.dirty.ratio", "0"}});
  fill("t");
  erase("e", "t");
  finish("e");
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(9)));  // erased whole
  EXPECT_EQ(counted("t"), bytes_of("t"));
  ASSERT_TRUE(store->alter_topic("t", {{"cleanup.policy", "compact,delete"},
                                       {"retention.bytes", std::to_string(6 * kValue)}}));
  maintain();
  EXPECT_EQ(counted("t"), bytes_of("t"));
  EXPECT_THAT(read("t"), testing::Not(IsEmpty()));
}

TEST_F(ErasureLimitsTest, ALongOneIsDoneInSlices) {
  create("t");
  for (int i = 0; i < 30; ++i) {
    put_one("t", "bob", 200'000);
    put_one("t", kKey, 1000);
  }
  create("u");
  put_one("u", kKey);
  erase("long", "t");
  erase("short", "u");
  int rounds = 0;
  for (; rounds < 100 && receipt("long").removed == kNoTimestamp; ++rounds) {
    maintain();
    if (rounds == 3) reopen();
  }
  EXPECT_GT(rounds, 5);  // six segments, a segment at a time
  EXPECT_LT(rounds, 20);
  EXPECT_EQ(finish("long").records(), 30u);
  EXPECT_EQ(finish("short").records(), 1u);
  EXPECT_EQ(read("t").size(), 30u);
  EXPECT_THAT(files_with(kKey), IsEmpty());
}

TEST_F(ErasureLimitsTest, WhatIsDamagedDoesNotKeepTheRest) {
  create("t", 2);
  put("t", {{std::string(kKey), "1"}, {"bob", "1"}});
  put("t", {{std::string(kKey), "damaged-record-19f2"}, {"bob", "2"}});
  put("t", {{std::string(kKey), "3"}, {"bob", "3"}});
  put_mixed("t", 1);
  const auto files = files_with("damaged-record-19f2");
  ASSERT_EQ(files.size(), 1u);
  const std::size_t at = fs.read_file(files[0])->find("damaged-record-19f2");
  ASSERT_TRUE(fs.flip_bit(files[0], at));
  erase("e", "t");
  for (int i = 0; i < 3; ++i) {
    clock.advance(std::chrono::seconds(6));
    static_cast<void>(store->run_maintenance());
  }
  EXPECT_EQ(receipt("e").records(), 3u);
  EXPECT_EQ(receipt("e").removed, kNoTimestamp);
  EXPECT_THAT(receipt("e").problem, HasSubstr("t-0"));
  EXPECT_EQ(read("t", 1), (Reads{{0, "bob"}, {2, "eve"}}));
  // It goes with the log's beginning.
  ASSERT_TRUE(store->delete_records(ref("t", 0), Offset(4)));
  EXPECT_EQ(read("t", 0), (Reads{{5, "bob"}}));
  EXPECT_EQ(finish("e").records(), 3u);
  EXPECT_THAT(receipt("e").problem, IsEmpty());
  EXPECT_THAT(files_with(kKey), IsEmpty());
}

TEST_F(ErasureLimitsTest, WhatCannotBeReadIsFoundWhenItCan) {
  create("t");
  put("t", {{"bob", "1"}, {std::string(kKey), "damaged-record-19f2"}});
  put("t", {{std::string(kKey), "2"}, {"bob", "2"}});
  const auto files = files_with("damaged-record-19f2");
  ASSERT_EQ(files.size(), 1u);
  const std::size_t at = fs.read_file(files[0])->find("damaged-record-19f2");
  ASSERT_TRUE(fs.flip_bit(files[0], at));
  erase("e", "t");
  clock.advance(std::chrono::seconds(6));
  static_cast<void>(store->run_maintenance());
  EXPECT_EQ(receipt("e").records(), 1u);
  // Also by another process: how far the first one was must not reach over it.
  store.reset();
  ASSERT_TRUE(fs.flip_bit(files[0], at));
  open();
  EXPECT_EQ(finish("e").records(), 2u);
  EXPECT_THAT(receipt("e").ranges,
              testing::ElementsAre(ErasedRange{PartitionIndex(0), Offset(1), Offset(1)},
                                   ErasedRange{PartitionIndex(0), Offset(2), Offset(2)}));
  EXPECT_EQ(read("t"), (Reads{{0, "bob"}, {3, "bob"}}));
  EXPECT_THAT(files_with(kKey), IsEmpty());
}

TEST_F(ErasureLimitsTest, AFileThatCannotBeDeletedIsNotGone) {
  create("t");
  put_mixed("t");
  erase("e", "t");
  Fault fault;
  fault.operations = static_cast<std::uint32_t>(SimOperation::kRemove);
  fault.path_contains = ".wal";
  fault.sticky = true;
  fs.set_fault(fault);
  for (int i = 0; i < 5; ++i) {
    clock.advance(std::chrono::seconds(70));
    static_cast<void>(store->run_maintenance());
    EXPECT_EQ(receipt("e").gone, kNoTimestamp);
  }
  EXPECT_TRUE(fs.fault_struck());
  EXPECT_NE(receipt("e").removed, kNoTimestamp);
  EXPECT_GT(receipt("e").segments_left, 0u);
  fs.clear_fault();
  finish("e");
  EXPECT_THAT(files_with(kSecret), IsEmpty());
}

TEST_F(ErasureLimitsTest, APowerCutBringsNoFileBack) {
  create("t");
  put_mixed("t");
  erase("e", "t");
  finish("e");
  fs.power_off(CutMode::kDropAll);
  store.reset();
  fs.boot();
  EXPECT_THAT(files_with(kSecret), IsEmpty());
  open();
  EXPECT_NE(receipt("e").gone, kNoTimestamp);
}

}  // namespace
}  // namespace runnel::storage
