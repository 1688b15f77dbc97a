// The scrubber on a clock that is moved by hand.
#include "storage/log/log_store.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using std::chrono::hours;
constexpr hours kWeek{24 * 7};

class ScrubberTest : public StoreFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(open());
    create("t", 3, {{"retention.ms", "-1"}});
    for (int i = 0; i < 30; ++i) {
      ASSERT_TRUE(append("t", make_batch({std::string(100'000, 'v')}), i % 3).result);
    }
    ASSERT_TRUE(store->run_maintenance());
  }
  void pass(hours by) {
    clock.advance(by);
    ASSERT_TRUE(store->run_maintenance());
  }
  /// What lies in segments that are written no more, about.
  std::uint64_t cold() { return store->stats().appended_bytes - (1u << 20); }
};

TEST_F(ScrubberTest, ReadsAllThatIsColdOnceInItsTime) {
  pass(hours(1));
  const std::uint64_t hour = store->stats().scrubbed_bytes;
  EXPECT_GT(hour, 0U) << "it has begun";
  EXPECT_LT(hour, 400'000U) << "and does not hurry";
  for (int day = 0; day < 4; ++day) pass(hours(24));
  const std::uint64_t half = store->stats().scrubbed_bytes;
  EXPECT_GT(half, cold() / 3);
  EXPECT_LT(half, store->stats().appended_bytes * 3 / 4);
  EXPECT_EQ(store->stats().scrub_passes, 0U);
  for (int day = 0; day < 4; ++day) pass(hours(24));
  EXPECT_EQ(store->stats().scrub_passes, 1U);
  EXPECT_GE(store->stats().scrubbed_bytes, cold());
  EXPECT_EQ(store->stats().scrub_damages, 0U);
  EXPECT_GT(store->stats().scrub_pass_ended, Timestamp(1'700'000'000'000));
  EXPECT_TRUE(errors.empty()) << errors[0];
}

TEST_F(ScrubberTest, AFlippedByteIsFoundAndToldOnce) {
  ASSERT_TRUE(fs.flip_bit("data/segments/0000000002.wal", 300'000));
  pass(kWeek + hours(1));
  EXPECT_EQ(store->stats().scrub_damages, 1U);
  // The cleaner may meet it as well.
  const auto told = [&] {
    std::vector<std::string> out;
    for (const std::string& error : errors) {
      if (error.starts_with("scrubbing: ")) out.push_back(error);
    }
    return out;
  };
  ASSERT_EQ(told().size(), 1U);
  EXPECT_NE(told()[0].find("scrubbing: corrupt: t-"), std::string::npos) << told()[0];
  EXPECT_NE(told()[0].find("segment 2"), std::string::npos) << told()[0];
  EXPECT_NE(told()[0].find("runnel repair"), std::string::npos) << told()[0];
  pass(kWeek + hours(1));
  pass(kWeek + hours(1));
  EXPECT_EQ(told().size(), 1U) << "and not again";
  EXPECT_EQ(store->stats().scrub_damages, 1U);
  EXPECT_EQ(store->stats().scrub_passes, 3U);
}

TEST_F(ScrubberTest, AMissingSegmentIsFound) {
  ASSERT_TRUE(store->close());
  store.reset();
  ASSERT_TRUE(fs.damage_remove("data/segments/0000000002.wal"));
  ASSERT_NO_FATAL_FAILURE(open());
  errors.clear();
  pass(kWeek + hours(1));
  EXPECT_GT(store->stats().scrub_damages, 0U);
  EXPECT_FALSE(errors.empty());
}

TEST_F(ScrubberTest, GoesOnWhereItWasAfterARestart) {
  pass(hours(24 * 4));
  const std::uint64_t before = store->stats().scrubbed_bytes;
  ASSERT_TRUE(store->close());
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_EQ(store->stats().scrubbed_bytes, 0U);
  pass(hours(24 * 4));
  EXPECT_EQ(store->stats().scrub_passes, 1U);
  EXPECT_LT(store->stats().scrubbed_bytes, before) << "the rest of the pass";
  const Timestamp ended = store->stats().scrub_pass_ended;
  EXPECT_EQ(ended, clock.now());
  ASSERT_TRUE(store->close());
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_EQ(store->stats().scrub_pass_ended, ended);
}

TEST_F(ScrubberTest, WhatIsDeletedOrWrittenMeanwhileIsNoDamage) {
  pass(hours(24 * 3));
  ASSERT_TRUE(store->delete_records(ref("t", 1), Offset(9)));
  create("more");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(append("more", make_batch({std::string(100'000, 'm')})).result);
  }
  ASSERT_TRUE(store->delete_topic("t"));
  for (int day = 0; day < 10; ++day) pass(hours(24));
  EXPECT_EQ(store->stats().scrub_passes, 1U) << "the next one took its time";
  EXPECT_EQ(store->stats().scrub_damages, 0U);
  EXPECT_TRUE(errors.empty()) << errors[0];
}

TEST_F(ScrubberTest, MayBeTurnedOff) {
  ASSERT_TRUE(store->close());
  store.reset();
  StoreOptions o = options();
  o.scrub_interval = std::chrono::milliseconds(0);
  store = std::move(Store::open(std::move(o)).value());
  pass(10 * kWeek);
  EXPECT_EQ(store->stats().scrubbed_bytes, 0U);
}

TEST_F(ScrubberTest, RunsInTheBackgroundAndEndsWithTheStore) {
  ASSERT_TRUE(store->close());
  store.reset();
  StoreOptions o = options();
  o.background = true;
  store = std::move(Store::open(std::move(o)).value());
  ASSERT_TRUE(append("t", make_batch({"x"})).result);
  EXPECT_TRUE(store->close());
}

}  // namespace
}  // namespace runnel::storage
