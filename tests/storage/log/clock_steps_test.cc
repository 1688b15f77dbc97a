// Steps of the wall clock, in a run and between two: nothing is deleted before its time.
#include "storage/log/retention_clock.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
constexpr hours kDay{24};
constexpr hours kTenYears{24 * 3652};

class ClockStepsTest : public StoreFixture {
 protected:
  using Values = std::vector<std::string>;

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(open());
    create("t", 1, {{"retention.ms", std::to_string(12LL * 3600 * 1000)}});
    ASSERT_TRUE(write("a"));
  }
  CommitOutcome put(const std::string& value) {
    return append("t", make_batch(BatchSpec{{value}, clock.now()}));
  }
  bool write(const std::string& value) { return put(value).result.has_value(); }
  void maintain() { ASSERT_TRUE(store->run_maintenance()); }
  /// The broker ends well, and the clocks do what they do meanwhile.
  void restart(const std::function<void()>& meanwhile, bool trust = false) {
    ASSERT_TRUE(store->close());
    store.reset();
    meanwhile();
    StoreOptions o = options();
    o.trust_clock = trust;
    auto opened = Store::open(std::move(o));
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
    store->start_expiry();
  }
  Offset start_of(const std::string& topic) { return store->partition_info(ref(topic)).log_start; }
};

TEST_F(ClockStepsTest, AStepAheadInARunDeletesNothingBeforeItsTime) {
  for (const hours step : {kDay, kTenYears}) {
    clock.jump(step);
    maintain();
    clock.advance(hours(2));
    maintain();
    EXPECT_EQ(values("t"), Values{"a"}) << step.count() << " hours ahead";
  }
  clock.advance(hours(7));
  maintain();
  EXPECT_EQ(values("t"), Values{"a"}) << "it is 11 hours old";
  clock.advance(hours(2));
  maintain();
  EXPECT_EQ(start_of("t"), Offset(1)) << "it is 13 hours old, by both clocks";
}

TEST_F(ClockStepsTest, AStepAheadBetweenRunsDeletesNothingBeforeItsTime) {
  for (const hours step : {kDay, kTenYears}) {
    restart([&] { clock.jump(step); });
    maintain();
    clock.advance(hours(2));
    maintain();
    EXPECT_EQ(values("t"), Values{"a"}) << step.count() << " hours ahead";
    for (int i = 0; i < 20; ++i) {
      restart([] {});
      maintain();
    }
    EXPECT_EQ(values("t"), Values{"a"}) << "starts that follow on each other prove nothing";
  }
  clock.advance(hours(9));
  maintain();
  EXPECT_EQ(start_of("t"), Offset(1)) << "it is 13 hours old, by both clocks";
}

TEST_F(ClockStepsTest, AKillKeepsWhatIsKnownToHavePassed) {
  clock.advance(minutes(1));
  maintain();
  clock.jump(kTenYears);
  crash();
  maintain();
  EXPECT_EQ(values("t"), Values{"a"});
}

TEST_F(ClockStepsTest, AStepBackAndForthDeletesNothing) {
  clock.jump(-kDay);
  maintain();
  ASSERT_TRUE(write("b"));
  restart([&] { clock.jump(-kDay); });
  maintain();
  EXPECT_EQ(values("t"), (Values{"a", "b"}));
  restart([&] { clock.jump(2 * kDay); });
  maintain();
  EXPECT_EQ(start_of("t"), Offset(0)) << "a is not older than it was";
  EXPECT_EQ(values("t"), (Values{"a", "b"}));
}

TEST_F(ClockStepsTest, WhatPassesWhileTheBrokerIsDownCounts) {
  restart([&] { clock.advance(hours(13)); });
  maintain();
  EXPECT_EQ(start_of("t"), Offset(1)) << "the machine's own clock went on";
}

TEST_F(ClockStepsTest, OfADownTimeThatNobodyMeasuredAnHourCounts) {
  restart([&] { clock.reboot(hours(13)); });
  maintain();
  EXPECT_EQ(values("t"), Values{"a"});
  clock.advance(hours(10));
  maintain();
  EXPECT_EQ(values("t"), Values{"a"});
  clock.advance(hours(2));
  maintain();
  EXPECT_EQ(start_of("t"), Offset(1)) << "13 hours, one of them before";
}

TEST_F(ClockStepsTest, AnOperatorMaySayThatTheClockIsRight) {
  restart([&] { clock.reboot(kDay); }, /*trust=*/true);
  maintain();
  EXPECT_EQ(start_of("t"), Offset(1));
}

TEST_F(ClockStepsTest, AQuietBrokerStillKeepsItsTime) {
  maintain();
  clock.advance(hours(11));
  maintain();  // nothing was written meanwhile
  fs.kill_process();
  store.reset();
  clock.reboot(minutes(50));
  ASSERT_NO_FATAL_FAILURE(open());
  clock.advance(minutes(15));
  maintain();
  EXPECT_EQ(start_of("t"), Offset(1)) << "11 hours, 50 minutes and 15 minutes";
}

TEST_F(ClockStepsTest, GroupsProducersAndDedupKeysOutliveIt) {
  create("keep", 1, {{"retention.ms", "-1"}});
  CommitRequest offsets;
  offsets.offsets.push_back({"g", "t", PartitionIndex(0), Offset(1), {}, ""});
  ASSERT_TRUE(store->commit_and_wait(std::move(offsets)).result);
  const auto id = store->new_producer().value();
  const auto send = [&](const BatchSpec& batch, const std::string& data_id) {
    CommitRequest request;
    request.appends.push_back({ref("keep"), make_batch(batch), {}, std::nullopt});
    if (!data_id.empty()) request.appends[0].dedup.push_back({{"bank", "1", data_id}, 42, 0});
    const CommitOutcome outcome = store->commit_and_wait(std::move(request));
    EXPECT_TRUE(outcome.result) << outcome.result.error().to_string();
    return outcome.result && outcome.result->appends[0].duplicate;
  };
  BatchSpec numbered{{"numbered"}, clock.now()};
  numbered.producer = id.id;
  numbered.epoch = id.epoch;
  numbered.sequence = 0;
  const BatchSpec guarded{{"guarded"}, clock.now()};
  EXPECT_FALSE(send(numbered, ""));
  EXPECT_FALSE(send(guarded, "7"));
  clock.jump(kTenYears);
  clock.advance(minutes(2));
  maintain();
  restart([&] { clock.jump(kTenYears); });
  clock.advance(minutes(2));
  maintain();
  EXPECT_TRUE(store->committed_offset("g", "t", PartitionIndex(0)).value()) << "the group's offset";
  EXPECT_EQ(store->producers(ref("keep")).value().size(), 1U) << "the producer";
  EXPECT_TRUE(send(numbered, "")) << "its repeat";
  EXPECT_TRUE(send(guarded, "7")) << "the dedup key";
  EXPECT_EQ(values("keep"), (Values{"numbered", "guarded"}));
}

TEST_F(ClockStepsTest, DeletionMarksStayForTheirTime) {
  create("keyed", 1,
         {{"cleanup.policy", "compact"},
          {"min.cleanable.dirty.ratio", "0"},
          {"delete.retention.ms", std::to_string(12LL * 3600 * 1000)}});
  create("filler");
  const auto mark = [&](const std::string& key) {
    protocol::BatchBuilder builder;
    builder.add({clock.now(), key, std::nullopt, {}});
    ASSERT_TRUE(append("keyed", builder.finish().value()).result);
  };
  const auto roll = [&] {
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(append("filler", make_batch({std::string(700'000, 'f')})).result);
    }
  };
  const auto compact = [&] {
    mark("last");
    roll();
    maintain();
  };
  mark("gone");
  compact();
  const auto first = [&] {
    auto fetched = store->fetch_and_wait({{{ref("keyed"), Offset(0), 1u << 20}}});
    auto reader = protocol::RecordReader::open(fetched[0].batches.bytes());
    return reader->next().value()->offset;
  };
  EXPECT_EQ(first(), Offset(0)) << "the mark got its time";
  clock.jump(kTenYears);
  compact();
  EXPECT_EQ(first(), Offset(0)) << "and a step of the clock does not end it";
  clock.advance(hours(13));
  compact();
  EXPECT_GT(first(), Offset(0));
}

TEST_F(ClockStepsTest, PlacesInTimeAreFoundWhateverTheClockDid) {
  create("stamped", 1, {{"message.timestamp.type", "LogAppendTime"}, {"retention.ms", "-1"}});
  std::vector<Timestamp> times;
  for (const hours step : {hours(0), kTenYears, -kTenYears - kDay, 2 * kDay}) {
    clock.jump(step);
    clock.advance(minutes(1));
    times.push_back(clock.now());
    ASSERT_TRUE(append("stamped", make_batch({"x"})).result);
  }
  const auto find = [&](Timestamp time) {
    OffsetQuery query;
    query.kind = OffsetQuery::Kind::kTime;
    query.time = time;
    return store->find_offset(ref("stamped"), query).value().offset;
  };
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(find(times[0]), Offset(0));
    EXPECT_EQ(find(times[0] + 1), Offset(1)) << "the first in the log that is not older";
    EXPECT_EQ(find(times[1]), Offset(1));
    EXPECT_EQ(find(times[2]), Offset(0));
    EXPECT_EQ(find(times[1] + 1), kNoOffset);
    restart([] {});
  }
}

// ---------------------------------------------------------------- by itself

TEST(RetentionClock, AClockThatWasWrongAtFirstIsForgottenOnceItIsSetBack) {
  ManualClock clock;
  clock.jump(kTenYears);
  RetentionClock retention;
  retention.start(std::nullopt, false, clock);
  clock.jump(-kTenYears);
  bool doubted = false;
  EXPECT_EQ(retention.now(clock, doubted), clock.now());
  EXPECT_FALSE(doubted);
  clock.advance(kDay);
  EXPECT_EQ(retention.now(clock, doubted), clock.now());
  clock.jump(kTenYears);
  EXPECT_EQ(retention.now(clock, doubted),
            clock.now() - hours(kTenYears) / std::chrono::milliseconds(1));
  EXPECT_TRUE(doubted) << "what it began with counts no more";
}

TEST(RetentionClock, AnotherMachineThatIsUpForLongMakesNothingOld) {
  ManualClock here;
  RetentionClock retention;
  retention.start(std::nullopt, false, here);
  const auto kept = retention.keep(here);
  ManualClock there;
  there.advance(300 * kDay);
  there.jump(-300 * kDay + minutes(10));
  RetentionClock moved;
  moved.start(kept, false, there);
  EXPECT_EQ(moved.keep(there).time, kept.time + 600'000);
}

TEST(RetentionClock, NeverRunsFasterThanTheMonotonicClockButForTheSlack) {
  for_each_seed(1, 200, [](std::uint64_t seed) {
    SeededRandom random(seed);
    ManualClock clock;
    RetentionClock retention;
    retention.start(std::nullopt, false, clock);
    const Timestamp begun = clock.now();
    std::chrono::milliseconds passed{0};
    std::int64_t restarts = 0;
    for (int i = 0; i < 200; ++i) {
      const auto by = std::chrono::milliseconds(random.next() % (3 * 3600 * 1000));
      switch (random.next() % 5) {
        case 0:
          clock.jump(by * 1000);
          break;
        case 1:
          clock.jump(-by * 1000);
          break;
        case 2: {
          const auto kept = retention.keep(clock);
          if (random.next() % 2 == 0) clock.jump(by * 1000);
          retention = RetentionClock();
          retention.start(kept, false, clock);
          ++restarts;
          break;
        }
        default:
          clock.advance(by);
          passed += by;
      }
      bool doubted = false;
      const Timestamp now = retention.now(clock, doubted);
      ASSERT_LE(now, clock.now());
      ASSERT_LE(now.value(),
                begun.value() + passed.count() + (1 + restarts) * RetentionClock::kSlack.count());
      ASSERT_EQ(doubted, now < clock.now());
    }
  });
}

}  // namespace
}  // namespace runnel::storage
