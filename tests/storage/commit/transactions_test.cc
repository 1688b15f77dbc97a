// The ledger's part of transactions: what is open, what never goes.
#include "protocol/record_batch/control_record.h"
#include "storage/ledger/producers.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

constexpr PartitionId kPartition{1};

class LedgerTransactionsTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBatchBytes = 100;

  std::optional<AbortedRecord> record(Buffer batch) {
    const Offset base(next++);
    protocol::stamp_batch(batch.mutable_bytes(), base, LeaderEpoch(0));
    last = batch;
    return producers.record(kPartition, batch.bytes(),
                            kBatchBytes * static_cast<std::uint64_t>(base.value()), moment(now));
  }
  void write(std::int64_t producer, std::int32_t sequence, bool transactional = true) {
    record(make_batch(BatchSpec{
        {"v"}, Timestamp(1), ProducerId(producer), ProducerEpoch(0), sequence, transactional}));
  }
  std::optional<AbortedRecord> end(std::int64_t producer, bool commit, std::int16_t epoch = 0) {
    using protocol::ControlType;
    return record(protocol::end_txn_batch({commit ? ControlType::kCommit : ControlType::kAbort, 4},
                                          ProducerId(producer), ProducerEpoch(epoch),
                                          Timestamp(1)));
  }
  std::int64_t first_open() {
    const auto open = producers.first_open(kPartition);
    if (!open) return -1;
    EXPECT_EQ(open->bytes, kBatchBytes * static_cast<std::uint64_t>(open->offset.value()));
    return open->offset.value();
  }

  static Moment moment(Timestamp t) { return {t, std::chrono::milliseconds(t.value())}; }
  Status make_room(Timestamp at) { return producers.make_room(1, moment(at).monotonic); }

  Producers producers{3};
  Buffer last;
  std::int64_t next = 0;
  Timestamp now{1'000'000};
};

TEST_F(LedgerTransactionsTest, AnAbortKnowsWhereItBeganAndWhatIsStableThen) {
  EXPECT_EQ(first_open(), -1);
  write(1, 0);  // 0
  write(2, 0);  // 1
  write(1, 1);  // 2
  EXPECT_EQ(first_open(), 0);
  const auto aborted = end(1, false);  // 3
  ASSERT_TRUE(aborted);
  EXPECT_EQ(aborted->marker, Offset(3));
  EXPECT_EQ(aborted->producer, ProducerId(1));
  EXPECT_EQ(aborted->first, Offset(0));
  EXPECT_EQ(aborted->stable, Offset(1)) << "the other one is open";
  EXPECT_EQ(first_open(), 1);
  EXPECT_FALSE(end(2, true)) << "a commit aborts nothing";  // 4
  EXPECT_EQ(first_open(), -1);
  EXPECT_FALSE(end(2, false)) << "nothing was open";  // 5
  write(2, 1);                                        // 6
  const auto alone = end(2, false);                   // 7
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->stable, Offset(8));
}

TEST_F(LedgerTransactionsTest, WhatIsOpenIsNeitherEvictedNorExpired) {
  write(1, 0);
  write(2, 0, false);
  write(3, 0, false);
  now = now + 2 * Producers::kMinIdle.count();
  ASSERT_TRUE(make_room(now));
  EXPECT_NE(producers.find(kPartition, ProducerId(1)), nullptr);
  EXPECT_EQ(producers.find(kPartition, ProducerId(2)), nullptr);
  producers.expire(now, 100);
  EXPECT_NE(producers.find(kPartition, ProducerId(1)), nullptr);
  EXPECT_EQ(producers.size(), 1U);
  write(2, 0);
  write(3, 0);
  EXPECT_EQ(make_room(now + 10 * Producers::kMinIdle.count()).error().code(),
            ErrorCode::kOverloaded);
  end(1, true);
  now = now + 2 * Producers::kMinIdle.count();
  ASSERT_TRUE(make_room(now));
  EXPECT_EQ(producers.find(kPartition, ProducerId(1)), nullptr);
}

TEST_F(LedgerTransactionsTest, AMarkerTakesNobodysRoom) {
  write(1, 0, false);
  write(2, 0, false);
  now = now + 2 * Producers::kMinIdle.count();
  for (std::int64_t unknown = 100; unknown < 110; ++unknown) end(unknown, false);
  EXPECT_EQ(producers.size(), 12U);
  ASSERT_TRUE(make_room(now));
  EXPECT_NE(producers.find(kPartition, ProducerId(1)), nullptr) << "a third one fits without it";
  const ProducerState* marked = producers.find(kPartition, ProducerId(100));
  ASSERT_NE(marked, nullptr);
  EXPECT_TRUE(Producers::needs_room(marked)) << "its first batch makes it one of those that wrote";
  write(100, 0, false);
  EXPECT_FALSE(Producers::needs_room(producers.find(kPartition, ProducerId(100))));
  ASSERT_TRUE(make_room(now));
  EXPECT_EQ(producers.find(kPartition, ProducerId(1)), nullptr);
  EXPECT_NE(producers.find(kPartition, ProducerId(101)), nullptr);
  now = now + 1;
  producers.expire(now, 1000);
  EXPECT_EQ(producers.size(), 0U) << "both kinds expire";
}

TEST_F(LedgerTransactionsTest, WhatMarkersLeaveIsBounded) {
  constexpr auto kMost = static_cast<std::int64_t>(Producers::kMaxMarked);
  write(1, 0);
  write(2, 0);
  for (std::int64_t i = 0; i < kMost + 2; ++i) end(1000 + i, i % 2 == 0);
  EXPECT_EQ(producers.size(), Producers::kMaxMarked + 2);
  EXPECT_EQ(producers.find(kPartition, ProducerId(1001)), nullptr) << "the oldest went";
  EXPECT_NE(producers.find(kPartition, ProducerId(1002)), nullptr);
  EXPECT_EQ(first_open(), 0);
}

TEST_F(LedgerTransactionsTest, WhatIsKnownChangesNothingWhenItComesAgain) {
  write(1, 0);
  const Buffer opening = last;
  const auto aborted = end(1, false, 3);
  ASSERT_TRUE(aborted);
  const Buffer marker = last;
  for (const Buffer& again : {opening, marker}) {
    EXPECT_FALSE(producers.record(kPartition, again.bytes(), 0, moment(now)));
    const ProducerState* state = producers.find(kPartition, ProducerId(1));
    EXPECT_EQ(state->epoch, ProducerEpoch(3));
    EXPECT_EQ(state->transaction_first, kNoOffset);
    EXPECT_EQ(state->coordinator_epoch, 4);
    EXPECT_EQ(first_open(), -1);
  }
}

TEST_F(LedgerTransactionsTest, RestoringAndForgettingKeepsTheOpenOnesRight) {
  write(1, 0);
  write(2, 0);
  Producers other{3};
  for (const auto& change : producers.unsaved(100)) {
    other.restore(change.partition, change.producer, *change.state, moment(now).monotonic);
  }
  ASSERT_TRUE(other.first_open(kPartition));
  EXPECT_EQ(other.first_open(kPartition)->offset, Offset(0));
  other.forget(kPartition, ProducerId(1));
  EXPECT_EQ(other.first_open(kPartition)->offset, Offset(1));
  EXPECT_EQ(other.first_open(kPartition)->bytes, kBatchBytes);
  other.forget_partitions([](PartitionId) { return true; });
  EXPECT_FALSE(other.first_open(kPartition));
}

}  // namespace
}  // namespace runnel::storage
