// Which producer ids are taken, and how many states are remembered.
#include "storage/ledger/producers.h"

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr PartitionId kPartition{1};

Buffer batch_of(std::int64_t producer, std::int32_t sequence, std::int64_t base = 0) {
  Buffer batch =
      make_batch(BatchSpec{{"v"}, Timestamp(1), ProducerId(producer), ProducerEpoch(0), sequence});
  protocol::stamp_batch(batch.mutable_bytes(), Offset(base), LeaderEpoch(0));
  return batch;
}

class LedgerTest : public ::testing::Test {
 protected:
  /// Both clocks say `now`.
  bool add(std::int64_t producer, Timestamp now, std::int32_t sequence = 0) {
    return add(producer, Moment{now, std::chrono::milliseconds(now.value())}, sequence);
  }
  bool add(std::int64_t producer, const Moment& now, std::int32_t sequence = 0) {
    if (producers.find(kPartition, ProducerId(producer)) == nullptr &&
        !producers.make_room(1, now.monotonic)) {
      return false;
    }
    const Buffer batch = batch_of(producer, sequence, next++);
    producers.record(kPartition, batch.bytes(), 0, now);
    return true;
  }
  bool knows(std::int64_t producer) {
    return producers.find(kPartition, ProducerId(producer)) != nullptr;
  }
  Producers producers{3};
  std::int64_t next = 0;
};

TEST_F(LedgerTest, TheOneIdleLongestMakesRoomIfItIsIdleLongEnough) {
  const Timestamp t(1'000'000);
  const auto later = t + Producers::kMinIdle.count();
  ASSERT_TRUE(add(1, t) && add(2, t) && add(3, t));
  EXPECT_FALSE(add(4, later - 1)) << "all of them are in use";
  ASSERT_TRUE(add(1, later - 1, 1));
  EXPECT_TRUE(add(4, later));
  EXPECT_TRUE(knows(1) && knows(3) && knows(4));
  EXPECT_FALSE(knows(2));
  EXPECT_EQ(producers.size(), 3U);
}

TEST_F(LedgerTest, AStepOfTheWallClockNeitherTakesAStateNorKeepsOne) {
  constexpr std::int64_t kDay = 24 * 3600 * 1000;
  const Timestamp wall(10 * kDay);
  const auto used = std::chrono::seconds(1);
  ASSERT_TRUE(add(1, {wall, used}) && add(2, {wall, used}) && add(3, {wall, used}));
  EXPECT_FALSE(add(4, {wall - kDay, used}));
  EXPECT_FALSE(add(4, {wall + kDay, used + Producers::kMinIdle - std::chrono::nanoseconds(1)}));
  EXPECT_EQ(producers.evicted(), 0U);
  EXPECT_EQ(producers.refused(), 2U);
  EXPECT_TRUE(add(4, {wall - kDay, used + Producers::kMinIdle}));
  EXPECT_FALSE(knows(1));
  EXPECT_EQ(producers.evicted(), 1U);
}

TEST_F(LedgerTest, WhoIsNotKnownBeginsWhereItIsAskedTo) {
  const Buffer fourth = batch_of(1, 3);
  const protocol::BatchView batch(fourth.bytes());
  EXPECT_TRUE(producers.check(kPartition, batch)) << "retention may have taken what was before";
  const auto refused = producers.check(kPartition, batch, nullptr, /*from_zero=*/true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kOutOfOrderSequence);
  const Buffer first = batch_of(1, 0);
  EXPECT_TRUE(producers.check(kPartition, protocol::BatchView(first.bytes()), nullptr, true));
  ASSERT_TRUE(add(1, Timestamp(1), 2));
  EXPECT_TRUE(producers.check(kPartition, batch, nullptr, true)) << "it is known, and goes on";
}

TEST_F(LedgerTest, ExpiryTakesTheOldestAndNoMoreThanAsked) {
  ASSERT_TRUE(add(1, Timestamp(1)) && add(2, Timestamp(2)) && add(3, Timestamp(3)));
  producers.expire(Timestamp(3), 1);
  EXPECT_FALSE(knows(1));
  EXPECT_TRUE(knows(2));
  producers.expire(Timestamp(3), 100);
  EXPECT_FALSE(knows(2));
  EXPECT_TRUE(knows(3));
}

TEST_F(LedgerTest, OnlyWhatChangedIsSavedAndInParts) {
  ASSERT_TRUE(add(1, Timestamp(1)) && add(2, Timestamp(2)) && add(3, Timestamp(3)));
  auto changes = producers.unsaved(2);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].producer, ProducerId(1));
  producers.saved(2);
  changes = producers.unsaved(2);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].producer, ProducerId(3));
  producers.saved(2);
  EXPECT_EQ(producers.unsaved_count(), 0U);
  producers.expire(Timestamp(2), 100);
  changes = producers.unsaved(2);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].state, nullptr) << "forgotten, and in the index";
}

TEST_F(LedgerTest, AForgottenOneThatIsBackIsNotErased) {
  ASSERT_TRUE(add(1, Timestamp(1)));
  producers.saved(100);
  producers.forget(kPartition, ProducerId(1));
  ASSERT_TRUE(add(1, Timestamp(2)));
  for (const auto& change : producers.unsaved(100)) EXPECT_NE(change.state, nullptr);
  producers.saved(1);  // the erase that is none any more
  producers.forget(kPartition, ProducerId(1));
  const auto changes = producers.unsaved(100);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].state, nullptr) << "its first state is still in the index";
}

class ProducersTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("t", 2);
  }
  ~ProducersTest() override { store.reset(); }
};

TEST_F(ProducersTest, OnlyIdsThatWereGivenOutAreTaken) {
  EXPECT_EQ(code(append("t", batch_of(0, 0))), ErrorCode::kUnknownProducer);
  const auto made = store->new_producer();
  ASSERT_TRUE(made);
  EXPECT_EQ(code(append("t", batch_of(made->id.value(), 0))), ErrorCode::kOk);
  EXPECT_EQ(code(append("t", batch_of(1'000'000, 0))), ErrorCode::kUnknownProducer);
  EXPECT_EQ(code(append("t", batch_of(-2, 0))), ErrorCode::kUnknownProducer);
  crash();
  EXPECT_EQ(code(append("t", batch_of(made->id.value(), 1))), ErrorCode::kOk);
  EXPECT_EQ(code(append("t", batch_of(1'000'000, 0))), ErrorCode::kUnknownProducer);
}

TEST_F(ProducersTest, AnIdWhoseStateExpiredMayStartAnywhere) {
  const auto made = store->new_producer();
  ASSERT_TRUE(made);
  ASSERT_EQ(code(append("t", batch_of(made->id.value(), 0))), ErrorCode::kOk);
  clock.advance(std::chrono::hours(25));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(code(append("t", batch_of(made->id.value(), 77))), ErrorCode::kOk);
  crash();
  EXPECT_EQ(code(append("t", batch_of(made->id.value(), 79))), ErrorCode::kOutOfOrderSequence);
  EXPECT_EQ(code(append("t", batch_of(made->id.value(), 78))), ErrorCode::kOk);
}

TEST_F(ProducersTest, StatesOfManyPartsOfACheckpointSurviveAPowerCut) {
  constexpr std::int32_t kPartitions = 5000;  // more than one part of a checkpoint
  create("many", kPartitions);
  const auto made = store->new_producer();
  ASSERT_TRUE(made);
  const auto write = [&](std::int32_t sequence) {
    CommitRequest request;
    for (int i = 0; i < kPartitions; ++i) {
      request.appends.push_back(
          {ref("many", i), batch_of(made->id.value(), sequence), {}, std::nullopt});
    }
    return store->commit_and_wait(std::move(request));
  };
  ASSERT_EQ(code(write(0)), ErrorCode::kOk);
  const std::uint64_t before = store->stats().commits;
  clock.advance(std::chrono::seconds(10));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_GE(store->stats().commits - before, 2U);
  ASSERT_EQ(code(write(1)), ErrorCode::kOk);
  crash();
  const auto again = write(1);
  ASSERT_TRUE(again.result) << again.result.error().to_string();
  EXPECT_TRUE(again.result->appends.back().duplicate);
  EXPECT_EQ(code(write(2)), ErrorCode::kOk);
}

/// A table with one place too few.
class FullTableTest : public StoreFixture {
 protected:
  static constexpr int kCapacity = 1000;  // what the least memory has
  void SetUp() override {
    memory_bytes = 1u << 20;
    open();
    create("wide", kCapacity + 1);
    old = store->new_producer().value();
    young = store->new_producer().value();
  }
  ~FullTableTest() override { store.reset(); }

  void fill() {
    CommitRequest request;
    for (int i = 0; i < kCapacity; ++i) {
      request.appends.push_back({ref("wide", i), batch_of(old.id.value(), 0), {}, std::nullopt});
    }
    ASSERT_EQ(code(store->commit_and_wait(std::move(request))), ErrorCode::kOk);
  }
  ErrorCode one_more() { return code(append("wide", batch_of(young.id.value(), 0), kCapacity)); }
  bool repeat_is_known() {
    const auto again = append("wide", batch_of(old.id.value(), 0));
    return again.result && again.result->appends[0].duplicate;
  }
  ProducerIdentity old, young;
};

TEST_F(FullTableTest, WhoWroteLatelyIsKnownWhateverTheClockDoes) {
  fill();
  for (const auto step : {std::chrono::hours(-1), std::chrono::hours(24)}) {
    clock.jump(step);
    EXPECT_EQ(one_more(), ErrorCode::kOverloaded);
    EXPECT_TRUE(repeat_is_known());
  }
  clock.advance(Producers::kMinIdle - std::chrono::milliseconds(1));
  EXPECT_EQ(one_more(), ErrorCode::kOverloaded);
  EXPECT_TRUE(repeat_is_known());
  EXPECT_EQ(store->stats().producers_refused, 3U);
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(one_more(), ErrorCode::kOk);
  EXPECT_EQ(store->stats().producers_evicted, 1U);
}

TEST_F(FullTableTest, WhoWasIdleBeforeAStartGoesAfterIt) {
  fill();
  clock.advance(Producers::kMinIdle);
  for (int i = 0; i < kCapacity / 2; ++i) {
    ASSERT_EQ(code(append("wide", batch_of(old.id.value(), 1), i)), ErrorCode::kOk);
  }
  reopen();
  EXPECT_EQ(one_more(), ErrorCode::kOk);
  EXPECT_TRUE(append("wide", batch_of(old.id.value(), 1)).result->appends[0].duplicate)
      << "who wrote lately is known";
}

TEST_F(FullTableTest, AStartCountsAsAUseByWhoWroteLast) {
  clock.jump(std::chrono::hours(-24));
  fill();
  clock.jump(std::chrono::hours(24));
  const auto nobody_went = [&] {
    EXPECT_EQ(one_more(), ErrorCode::kOverloaded);
    EXPECT_TRUE(repeat_is_known());
  };
  nobody_went();
  reopen();
  nobody_went();
  clock.advance(Producers::kMinIdle - std::chrono::milliseconds(1));
  nobody_went();
  crash();
  nobody_went();
  clock.advance(Producers::kMinIdle);
  EXPECT_EQ(one_more(), ErrorCode::kOk);
}

}  // namespace
}  // namespace runnel::storage
