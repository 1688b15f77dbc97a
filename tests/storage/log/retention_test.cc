// What deletes records and segments: requests, age, size; and what does not.
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using Values = std::vector<std::string>;

TEST_F(StoreTest, DeletedRecordsStayDeletedAndOffsetsGoOn) {
  create("t");
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(append("t", make_batch({std::to_string(i)})).result);
  EXPECT_EQ(store->delete_records(ref("t"), Offset(4)).value(), Offset(4));
  EXPECT_EQ(store->delete_records(ref("t"), Offset(2)).value(), Offset(4));
  EXPECT_EQ(store->delete_records(ref("t"), Offset(11)).error().code(),
            ErrorCode::kOffsetOutOfRange);
  reopen();
  const auto info = store->partition_info(ref("t"));
  EXPECT_EQ(info.log_start, Offset(4));
  EXPECT_EQ(values("t").size(), 6U);
  const auto gone = store->fetch_and_wait({{{ref("t"), Offset(3), 100}}});
  ASSERT_TRUE(gone[0].head.error);
  EXPECT_EQ(gone[0].head.error->code(), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(store->delete_records(ref("t"), kNoOffset).value(), Offset(10));
  reopen();
  EXPECT_EQ(append("t", make_batch({"x"})).result->appends[0].base_offset, Offset(10));
}

TEST_F(StoreTest, RetentionByTimeIsExactToTheBatch) {
  create("t", 1, {{"retention.ms", "1000"}});
  const Timestamp start = clock.now();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(append("t", make_batch(BatchSpec{{std::to_string(i)}, start + i * 100})).result);
  }
  clock.advance(std::chrono::milliseconds(1450));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(store->partition_info(ref("t")).log_start, Offset(5));
  clock.advance(std::chrono::hours(1));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(store->partition_info(ref("t")).log_start, Offset(10)) << "active data included";
}

TEST_F(StoreTest, WhatWasOldWhenItWasWrittenIsThereUntilAgesAreLookedAt) {
  StoreOptions rarely = options();
  rarely.age_check_interval = std::chrono::minutes(5);
  store.reset();
  auto opened = Store::open(rarely);
  ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
  store = std::move(*opened);
  create("t", 1, {{"retention.ms", "1000"}});
  const auto start_after_maintenance = [&] {
    EXPECT_TRUE(store->run_maintenance());
    return store->partition_info(ref("t")).log_start;
  };
  EXPECT_EQ(start_after_maintenance(), Offset(0));
  clock.advance(std::chrono::seconds(30));
  EXPECT_EQ(start_after_maintenance(), Offset(0)) << "ages are looked at for the first time";
  ASSERT_TRUE(append("t", make_batch(BatchSpec{{"old"}, clock.now() - 3'600'000})).result);
  clock.advance(std::chrono::seconds(299));
  EXPECT_EQ(start_after_maintenance(), Offset(0)) << "it can be read";
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(start_after_maintenance(), Offset(1));
}

TEST_F(StoreTest, RetentionBySizeIsExactToTheBatch) {
  const std::size_t one = make_batch({"0"}).size();
  create("t", 1, {{"retention.ms", "-1"}, {"retention.bytes", std::to_string(one * 3)}});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(append("t", make_batch({std::to_string(i)})).result);
  ASSERT_TRUE(store->run_maintenance());
  const auto info = store->partition_info(ref("t"));
  EXPECT_EQ(info.log_start, Offset(7));
  EXPECT_EQ(info.bytes, one * 3);
}

TEST_F(StoreTest, ARecordWithoutATimeIsAsOldAsItsSegmentsLastWrite) {
  create("t", 1, {{"retention.ms", "3600000"}});
  create("other", 1, {{"retention.ms", "-1"}});
  ASSERT_TRUE(append("t", make_batch(BatchSpec{{"a"}, kNoTimestamp})).result);
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t"), Values{"a"}) << "acknowledged a moment ago";
  clock.advance(std::chrono::minutes(50));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(append("other", make_batch({std::string(100'000, 'x')})).result);
  }
  clock.advance(std::chrono::minutes(50));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t"), Values{"a"}) << "its segment was written to until 50 minutes ago";
  reopen();
  clock.advance(std::chrono::minutes(20));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(store->partition_info(ref("t")).log_start, Offset(1));
}

TEST_F(StoreTest, AClockThatJumpsAheadDeletesNothing) {
  create("t", 1, {{"retention.ms", "86400000"}});
  ASSERT_TRUE(append("t", make_batch(BatchSpec{{"a"}, clock.now()})).result);
  ASSERT_TRUE(store->run_maintenance());
  clock.jump(std::chrono::hours(24 * 365 * 10));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t"), Values{"a"});
}

TEST_F(StoreTest, DeadSegmentsAreRemovedAndLiveOnesAreNot) {
  create("t");
  create("keep");
  ASSERT_TRUE(append("keep", make_batch({"kept"})).result);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::string(100'000, 'x')})).result);
  }
  const auto before = store->stats().segments;
  ASSERT_GE(before, 4U);
  ASSERT_TRUE(store->delete_records(ref("t"), kNoOffset));
  clock.advance(std::chrono::seconds(10));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_LE(store->stats().segments, 2U) << "the one written, and the one with 'kept'";
  EXPECT_EQ(values("keep"), Values{"kept"});
  reopen();
  EXPECT_EQ(values("keep"), Values{"kept"});
  EXPECT_EQ(store->partition_info(ref("t")).log_start, Offset(40));
}

TEST_F(StoreTest, AWrongClockAtTheStartDeletesNothing) {
  const auto year = std::chrono::hours(24 * 365);
  create("t", 1, {{"retention.ms", "86400000"}});
  ASSERT_TRUE(append("t", make_batch(BatchSpec{{"a"}, clock.now()})).result);
  ASSERT_TRUE(store->close());
  store.reset();
  clock.jump(10 * year);
  open();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t"), Values{"a"});
  clock.advance(std::chrono::minutes(30));
  ASSERT_TRUE(append("t", make_batch(BatchSpec{{"b"}, clock.now()})).result);
  reopen();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t"), (Values{"a", "b"})) << "what was written meanwhile proves nothing";
  clock.jump(-10 * year);
  clock.advance(std::chrono::hours(2));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t"), (Values{"a", "b"})) << "it was set right";
  store.reset();
  clock.jump(3 * std::chrono::hours(24));
  open();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(values("t").size(), 2U);
  clock.advance(std::chrono::minutes(61));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(store->partition_info(ref("t")).log_start, Offset(0)) << "nor does its insisting";
}

TEST_F(StoreTest, AMissingSegmentIsReportedAtTheStart) {
  create("t");
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::string(100'000, 'x')})).result);
  }
  ASSERT_TRUE(store->close());
  store.reset();
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000002.wal"));
  open();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].find("corrupt: "), 0U) << errors[0];
  EXPECT_NE(errors[0].find("0000000002.wal"), std::string::npos) << errors[0];
}

TEST_F(StoreTest, APartitionThatIsQuietAfterATrimHoldsNoSegment) {
  create("quiet");
  create("busy");
  const auto write_and_trim = [&](const std::string& topic, int batches) {
    for (int i = 0; i < batches; ++i) {
      ASSERT_TRUE(append(topic, make_batch({std::string(100'000, 'x')})).result);
    }
    ASSERT_TRUE(store->delete_records(ref(topic), kNoOffset));
    clock.advance(std::chrono::seconds(10));
    ASSERT_TRUE(store->run_maintenance());
  };
  write_and_trim("quiet", 1);
  // The span began anew in the same segment must count, be trimmed and survive replay as well.
  write_and_trim("quiet", 1);
  ASSERT_TRUE(append("quiet", make_batch({"last"})).result);
  crash();
  EXPECT_EQ(values("quiet"), Values{"last"});
  write_and_trim("busy", 40);
  EXPECT_EQ(values("quiet"), Values{"last"});
  ASSERT_TRUE(store->delete_records(ref("quiet"), kNoOffset));
  write_and_trim("busy", 40);
  EXPECT_EQ(store->stats().segments, 1U) << "nothing is retained but what is being written";
  write_and_trim("quiet", 1);
  reopen();
  write_and_trim("busy", 40);
  EXPECT_EQ(store->stats().segments, 1U) << "after a restart";
}

}  // namespace
}  // namespace runnel::storage
