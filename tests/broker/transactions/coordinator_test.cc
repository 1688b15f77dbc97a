// All transactional ids: order, durability, failures, restarts.
#include <gtest/gtest.h>

#include "broker/transactions/transaction_clock.h"
#include "storage/env/manual_clock.h"
#include "tests/broker/transactions/fake_transaction_store.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;

const OffsetKey kPosition{"g", {"orders", PartitionIndex(3)}};

std::string text(ProducerIdentity who) {
  return std::to_string(who.id.value()) + "/" + std::to_string(who.epoch.value());
}

TEST(Transactions, AnOlderClientCommitsAndAborts) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(text(a), "1000/0");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, false), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(*w.add("a", a, {orders(0), orders(1)}), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, false), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(1), 0, 2, false), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(2), 0, 9, false), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(w.end("a", a, true, false), ErrorCode::kOk);
  EXPECT_EQ(w.end("a", a, true, false), ErrorCode::kOk) << "a repeat";
  EXPECT_EQ(*w.write("a", a, orders(0), 1, 3, false), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(0), 1, 3, false), ErrorCode::kOk);
  EXPECT_EQ(w.end("a", a, false, false), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{1});
  EXPECT_EQ(w.partition(1).committed(), std::vector<std::int64_t>{2});
  EXPECT_FALSE(w.partition(0).has_open());
  EXPECT_EQ(w.partition(2).log.size(), 0u);
}

TEST(Transactions, PartitionsJoinByBeingWrittenTo) {
  TransactionWorld w;
  ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(1), 0, 2, true), ErrorCode::kOk);
  EXPECT_EQ(w.coordinator->describe("a")->partitions.size(), 2u);
  const ProducerIdentity before = a;
  EXPECT_EQ(w.end("a", a, true, true, &a), ErrorCode::kOk);
  EXPECT_EQ(text(a), "1000/1");
  EXPECT_EQ(*w.write("a", before, orders(0), 1, 8, true), ErrorCode::kProducerFenced);
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 3, true), ErrorCode::kOk) << "sequences start anew";
  EXPECT_EQ(w.end("a", a, false, true, &a), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{1});
  EXPECT_EQ(w.partition(1).committed(), std::vector<std::int64_t>{2});
  for (const auto& [key, value] : w.disk.state) EXPECT_EQ(key, "txn/a");
}

TEST(Transactions, ABatchAndItsPartitionAreStoredTogether) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  w.disk.at_once = false;
  const auto first = w.write("a", a, orders(0), 0, 1, true);
  const auto second = w.write("a", a, orders(0), 1, 2, true);
  const auto third = w.write("a", a, orders(1), 0, 3, true);
  ASSERT_EQ(w.disk.pending.size(), 3u);
  for (const auto& p : w.disk.pending) {
    EXPECT_EQ(p.request.state.size(), 1u) << "the one before may fail";
  }
  w.disk.complete_one();
  EXPECT_EQ(**first, ErrorCode::kOk);
  EXPECT_FALSE(second->has_value());
  w.restart();  // the others are lost
  w.disk.at_once = true;
  EXPECT_EQ(w.coordinator->describe("a")->partitions, std::vector<TopicPartition>{orders(0)});
  EXPECT_EQ(*w.write("a", a, orders(0), 1, 2, true), ErrorCode::kOk);
  EXPECT_EQ(w.disk.commits, 3);
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), (std::vector<std::int64_t>{1, 2}));
  EXPECT_FALSE(w.disk.state.contains(Transaction::participant_key(a, 0)));
}

TEST(Transactions, ARepeatedBatchDoesNotMakeThePartitionDurable) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, false), ErrorCode::kOk);
  EXPECT_EQ(w.end("a", a, true, false), ErrorCode::kOk);
  // The same batch once more, by a client that joins by writing: it is known, and stores nothing.
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(0), 1, 2, true), ErrorCode::kOk);
  w.restart();
  EXPECT_EQ(w.coordinator->describe("a")->partitions.size(), 1u);
}

TEST(Transactions, TheEndIsOneCommit) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(1), 0, 2, true), ErrorCode::kOk);
  EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 17), ErrorCode::kOk);
  EXPECT_TRUE(w.coordinator->unstable(kPosition));
  EXPECT_FALSE(w.offset(kPosition));
  w.disk.at_once = false;
  const auto answer = w.start_end("a", a, true, true);
  ASSERT_EQ(w.disk.pending.size(), 1u);
  const auto& request = w.disk.pending.front().request;
  EXPECT_EQ(request.markers.size(), 2u);
  EXPECT_EQ(request.offsets.size(), 1u);
  EXPECT_TRUE(w.coordinator->unstable(kPosition)) << "until it is durable";
  EXPECT_FALSE(answer->has_value());
  // Everybody else waits.
  EXPECT_EQ(w.init_error("a"), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(*w.write("a", a, orders(0), 1, 3, true), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(*w.add("a", a, {orders(2)}), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kConcurrentTransactions);
  w.disk.complete_all();
  EXPECT_EQ(text(***answer), "1000/1");
  EXPECT_EQ(w.offset(kPosition), Offset(17));
  EXPECT_FALSE(w.coordinator->unstable(kPosition));
  EXPECT_EQ(w.disk.state.size(), 1u);
}

TEST(Transactions, PositionsOfAnAbortedTransactionAreForgotten) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.put_offset("a", a, false, kPosition, 17), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(*w.add_group("a", a, "g"), ErrorCode::kOk);
  EXPECT_EQ(*w.put_offset("a", a, false, kPosition, 17), ErrorCode::kOk);
  w.restart();
  EXPECT_TRUE(w.coordinator->unstable(kPosition));
  EXPECT_EQ(w.end("a", a, false, false), ErrorCode::kOk);
  EXPECT_FALSE(w.offset(kPosition));
  EXPECT_FALSE(w.coordinator->unstable(kPosition));
  EXPECT_EQ(w.disk.state.size(), 1u);
}

TEST(Transactions, AnEndWaitsForBatchesOnTheirWay) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kOk);
  w.disk.at_once = false;
  const auto batch = w.write("a", a, orders(0), 0, 1, false);
  EXPECT_EQ(w.end("a", a, false, false), ErrorCode::kConcurrentTransactions);
  w.disk.at_once = true;
  w.disk.complete_all();
  EXPECT_EQ(w.end("a", a, false, false), ErrorCode::kOk);
  EXPECT_FALSE(w.partition(0).has_open());
}

TEST(Transactions, AStartAbortsAndFences) {
  TransactionWorld w;
  const ProducerIdentity old = w.init("a");
  EXPECT_EQ(*w.write("a", old, orders(0), 0, 1, true), ErrorCode::kOk);
  w.disk.at_once = false;
  const auto late = w.write("a", old, orders(0), 1, 2, true);
  const auto started = w.start_init("a");
  w.disk.complete_all();
  w.disk.at_once = true;
  EXPECT_EQ(**late, ErrorCode::kOk) << "it was queued before";
  const ProducerIdentity young = ***started;
  EXPECT_EQ(text(young), "1000/2");
  EXPECT_FALSE(w.partition(0).has_open());
  EXPECT_EQ(*w.write("a", old, orders(0), 2, 3, true), ErrorCode::kProducerFenced);
  EXPECT_EQ(w.end("a", old, true, true), ErrorCode::kProducerFenced);
  EXPECT_EQ(w.end("a", old, true, false), ErrorCode::kProducerFenced);
  EXPECT_EQ(*w.add("a", old, {orders(0)}), ErrorCode::kProducerFenced);
  EXPECT_EQ(*w.put_offset("a", old, true, kPosition, 1), ErrorCode::kProducerFenced);
  EXPECT_EQ(*w.write("a", young, orders(0), 0, 4, true), ErrorCode::kOk);
  EXPECT_EQ(w.end("a", young, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{4});
}

TEST(Transactions, TimeIsUp) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  w.pass(59s);
  EXPECT_TRUE(w.partition(0).has_open());
  w.restart();  // the timeout goes on
  w.pass(2s);
  EXPECT_FALSE(w.partition(0).has_open());
  EXPECT_EQ(w.coordinator->describe("a")->state, TransactionState::kCompleteAbort);
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kProducerFenced);
  EXPECT_EQ(*w.write("a", a, orders(0), 1, 2, true), ErrorCode::kProducerFenced);
  EXPECT_EQ(w.partition(0).committed().size(), 0u);
}

TEST(Transactions, WhatCannotBeStoredIsTriedAgain) {
  TransactionWorld w;
  ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  w.disk.failing = ErrorCode::kLowSpace;
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(*w.add("a", a, {orders(1)}), ErrorCode::kLowSpace);
  w.pass(61s);
  EXPECT_TRUE(w.partition(0).has_open());
  EXPECT_EQ(w.coordinator->describe("a")->state, TransactionState::kOngoing);
  w.disk.failing = ErrorCode::kOk;
  w.pass(500ms);
  EXPECT_TRUE(w.partition(0).has_open()) << "not at once";
  w.pass(1s);
  EXPECT_FALSE(w.partition(0).has_open());
  // A client's own repeat may be in time.
  a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 2, true), ErrorCode::kOk);
  w.disk.failing = ErrorCode::kLowSpace;
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kConcurrentTransactions);
  w.disk.failing = ErrorCode::kOk;
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{2});
}

TEST(Transactions, AFailedAddIsNotTakenForDone) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  w.disk.failing = ErrorCode::kLowSpace;
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kLowSpace);
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kLowSpace) << "it is still not durable";
  w.disk.failing = ErrorCode::kOk;
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, false), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kOk);
  w.restart();
  EXPECT_EQ(w.coordinator->describe("a")->partitions.size(), 1u);
}

TEST(Transactions, ANewIdThatWasNotStoredIsNobodys) {
  TransactionWorld w;
  w.disk.failing = ErrorCode::kLowSpace;
  EXPECT_EQ(w.init_error("a"), ErrorCode::kConcurrentTransactions);
  w.disk.failing = ErrorCode::kOk;
  EXPECT_FALSE(w.coordinator->describe("a"));
  EXPECT_TRUE(w.coordinator->list().empty());
  EXPECT_EQ(text(w.init("a")), "1001/0");
}

TEST(Transactions, APartitionThatTakesNoMarkerDoesNotHoldUpTheOthers) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.add("a", a, {orders(0), orders(1)}), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, false), ErrorCode::kOk);
  // Somebody wrote under the producer's id without asking the coordinator.
  w.partition(1).producers[a.id].epoch = ProducerEpoch(30);
  EXPECT_EQ(w.end("a", a, true, false), ErrorCode::kConcurrentTransactions);
  w.pass(2s);
  EXPECT_EQ(w.end("a", a, true, false), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{1});
}

TEST(Transactions, OtherCommitsOfAPositionStay) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 17), ErrorCode::kOk);
  const auto commit = [&](std::int64_t offset) {
    storage::CommitRequest request;
    request.offsets.push_back(
        {"g", "orders", PartitionIndex(3), Offset(offset), LeaderEpoch(0), ""});
    w.coordinator->commit_offsets(std::move(request), TransactionCoordinator::Wake::kStore,
                                  [](const storage::CommitOutcome&) {});
  };
  w.disk.failing = ErrorCode::kLowSpace;
  commit(18);
  w.disk.failing = ErrorCode::kOk;
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.offset(kPosition), Offset(17)) << "the other one failed";

  const ProducerIdentity b = w.init("a");
  EXPECT_EQ(*w.put_offset("a", b, true, kPosition, 20), ErrorCode::kOk);
  commit(21);
  EXPECT_TRUE(w.coordinator->unstable(kPosition));
  w.restart();
  EXPECT_EQ(w.end("a", b, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.offset(kPosition), Offset(21));

  const ProducerIdentity c = w.init("a");
  EXPECT_EQ(*w.put_offset("a", c, true, kPosition, 30), ErrorCode::kOk);
  w.disk.offsets.clear();
  std::optional<Status> forgotten;
  w.coordinator->forget_group("g", [&](const Status& s) { forgotten = s; });
  EXPECT_TRUE(forgotten && *forgotten);
  EXPECT_EQ(w.end("a", c, true, true), ErrorCode::kOk);
  EXPECT_FALSE(w.offset(kPosition)) << "the group was removed";
}

TEST(Transactions, AnEndWaitsForPositionsThatAreBeingSetOtherwise) {
  TransactionWorld w;
  ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 500), ErrorCode::kOk);
  w.disk.at_once = false;
  const auto fails = w.commit_beside({kPosition}, 300);
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kConcurrentTransactions);
  // Nothing that is stored meanwhile is without the position.
  const auto added = w.add("a", a, {orders(1)});
  EXPECT_EQ(w.disk.pending.size(), 1u);
  w.disk.failing = ErrorCode::kLowSpace;
  w.disk.complete_one();
  w.disk.failing = ErrorCode::kOk;
  w.disk.complete_all();
  EXPECT_EQ(*fails, ErrorCode::kLowSpace);
  EXPECT_EQ(*added, ErrorCode::kOk);
  w.disk.at_once = true;
  w.restart();
  EXPECT_EQ(w.end("a", a, true, true, &a), ErrorCode::kOk);
  EXPECT_EQ(w.offset(kPosition), Offset(500));
  // Two beside each other, of which one fails.
  for (const bool first_fails : {false, true}) {
    EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 600), ErrorCode::kOk);
    w.disk.at_once = false;
    const auto one = w.commit_beside({kPosition}, 601);
    const auto two = w.commit_beside({kPosition}, 602);
    w.disk.failing = first_fails ? ErrorCode::kLowSpace : ErrorCode::kOk;
    w.disk.complete_one();
    w.disk.failing = first_fails ? ErrorCode::kOk : ErrorCode::kLowSpace;
    w.disk.complete_one();
    w.disk.failing = ErrorCode::kOk;
    w.disk.at_once = true;
    w.disk.complete_all();
    EXPECT_EQ(w.end("a", a, true, true, &a), ErrorCode::kOk);
    EXPECT_EQ(w.offset(kPosition), Offset(first_fails ? 602 : 601));
  }
}

TEST(Transactions, APositionSetOtherwiseDuringAnEndThatFailsStays) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 500), ErrorCode::kOk);
  w.disk.at_once = false;
  const auto answer = w.start_end("a", a, true, true);
  const auto beside = w.commit_beside({kPosition}, 501);
  w.disk.failing = ErrorCode::kLowSpace;
  w.disk.complete_one();
  w.disk.failing = ErrorCode::kOk;
  EXPECT_FALSE(answer->has_value()) << "not before it is stored";
  w.disk.complete_all();
  EXPECT_EQ(*beside, ErrorCode::kOk);
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((**answer).error().code(), ErrorCode::kConcurrentTransactions);
  w.disk.at_once = true;
  w.restart();
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.offset(kPosition), Offset(501));
}

TEST(Transactions, AClockThatWasSetBackDoesNotKeepATransactionOpen) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  w.now = Timestamp(1'000);
  w.restart();
  w.pass(61s);
  EXPECT_FALSE(w.partition(0).has_open());
}

TEST(TransactionTime, HeedsNoClockThatIsSet) {
  storage::ManualClock clock;
  const TransactionClock time(clock);
  const Timestamp start = time.now();
  EXPECT_EQ(start, clock.now());
  clock.jump(8 * 24h);
  EXPECT_EQ(time.now(), start);
  clock.jump(-9 * 24h);
  clock.advance(1500ms);
  EXPECT_EQ(time.now(), start + 1500);
}

TEST(Transactions, ManyPositionsWithOrdinaryNames) {
  Transaction t({ProducerId(7), ProducerEpoch(0)}, 60'000, Timestamp(5));
  std::vector<std::pair<OffsetKey, PendingOffset>> many;
  for (std::size_t i = 0; i < kMaxPendingOffsets; ++i) {
    many.push_back({{std::string(60, 'g'),
                     {std::string(80, 't'), PartitionIndex(static_cast<std::int32_t>(i))}},
                    {Offset(1), LeaderEpoch(0), std::string(40, 'm'), {}}});
  }
  EXPECT_TRUE(t.put_offsets(many, Timestamp(6)));
}

TEST(Transactions, IdsAreForgotten) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  const ProducerIdentity b = w.init("b");
  EXPECT_EQ(*w.add("b", b, {orders(0)}), ErrorCode::kOk);
  w.pass(24h * 6);
  const ProducerIdentity c = w.init("c");
  w.pass(24h + 1s);
  EXPECT_FALSE(w.coordinator->describe("a"));
  EXPECT_EQ(*w.add("a", a, {orders(0)}), ErrorCode::kInvalidProducerIdMapping);
  EXPECT_TRUE(w.coordinator->describe("b")) << "its transaction was aborted lately";
  EXPECT_TRUE(w.coordinator->describe("c"));
  EXPECT_EQ(w.disk.state.size(), 2u);
  EXPECT_EQ(*w.add("c", c, {orders(0)}), ErrorCode::kOk);
}

TEST(Transactions, AtTheLimitTheIdThatIsIdleForTheLongestIsForgotten) {
  TransactionWorld w;
  w.config.max_ids = 3;
  w.restart();
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  w.now = w.now + 1'000;
  const ProducerIdentity b = w.init("b");
  w.now = w.now + 1'000;
  w.init("c");
  EXPECT_EQ(w.init_error("d"), ErrorCode::kOverloaded) << "all were used lately";
  w.now = w.now + kIdRest.count();
  w.disk.at_once = false;
  const auto d = w.start_init("d");
  EXPECT_EQ(*w.add("b", b, {orders(0)}), ErrorCode::kConcurrentTransactions);
  w.disk.complete_all();
  w.disk.at_once = true;
  ASSERT_TRUE(d->has_value() && **d);
  EXPECT_EQ(*w.add("b", b, {orders(0)}), ErrorCode::kInvalidProducerIdMapping);
  EXPECT_FALSE(w.disk.state.contains("txn/b"));
  EXPECT_TRUE(w.coordinator->describe("c"));
  EXPECT_NE(w.init("b").id, b.id) << "who was it before stays fenced";
  EXPECT_FALSE(w.coordinator->describe("c"));
  EXPECT_EQ(w.init_error("c"), ErrorCode::kOverloaded) << "a is idle for longer, but open";
  EXPECT_EQ(w.coordinator->limit_counts(), (IdLimitCounts{2, 2}));
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{1});
}

TEST(Transactions, AnExhaustedProducerGetsANewId) {
  TransactionWorld w;
  ProducerIdentity a = w.init("a");
  for (int i = 0; i < Transaction::kLastEpoch.value(); ++i) {
    ASSERT_EQ(w.end("a", a, false, true, &a), ErrorCode::kOk);
  }
  EXPECT_EQ(text(a), "1000/32766");
  EXPECT_TRUE(w.coordinator->end_may_block("a"));
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  const ProducerIdentity before = a;
  EXPECT_EQ(w.end("a", a, true, true, &a), ErrorCode::kOk);
  EXPECT_EQ(text(a), "1001/0");
  EXPECT_EQ(w.end("a", before, true, true, &a), ErrorCode::kOk) << "a repeat";
  EXPECT_EQ(text(a), "1001/0");
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{1});
}

TEST(Transactions, NobodyHasTheEpochThatFencesOff) {
  TransactionWorld w;
  ProducerIdentity a = w.init("a");
  for (const bool at_the_last : {false, true}) {
    while (at_the_last && a.epoch < Transaction::kLastEpoch) a = w.init("a");
    EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
    w.pass(61s);
    const ProducerIdentity guessed{a.id, a.epoch + 1};
    for (int restarts = 0; restarts < 2; ++restarts) {
      EXPECT_EQ(*w.write("a", guessed, orders(0), 0, 1, true), ErrorCode::kProducerFenced);
      EXPECT_EQ(*w.add("a", guessed, {orders(0)}), ErrorCode::kProducerFenced);
      EXPECT_EQ(*w.put_offset("a", guessed, true, kPosition, 1), ErrorCode::kProducerFenced);
      EXPECT_EQ(w.end("a", guessed, false, true), ErrorCode::kProducerFenced);
      EXPECT_EQ(w.init_error("a", guessed), ErrorCode::kProducerFenced);
      w.pass(61s);
      w.restart();
    }
    a = w.init("a");
    EXPECT_EQ(a.epoch, ProducerEpoch(at_the_last ? 0 : 2));
    EXPECT_EQ(a.id != ProducerId(1000), at_the_last);
  }
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
}

TEST(Transactions, RequestsThatMakeNoSense) {
  TransactionWorld w;
  const auto code = [](const std::shared_ptr<TransactionWorld::Identity>& answer) {
    return **answer ? ErrorCode::kOk : (**answer).error().code();
  };
  EXPECT_EQ(code(w.start_init("")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(w.start_init(std::string(kMaxTransactionalIdBytes + 1, 'x'))),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(w.start_init("a", {}, 0)), ErrorCode::kInvalidTxnTimeout);
  EXPECT_EQ(code(w.start_init("a", {}, 15 * 60 * 1000 + 1)), ErrorCode::kInvalidTxnTimeout);
  EXPECT_EQ(code(w.start_init("a", {}, 15 * 60 * 1000)), ErrorCode::kOk);
  const ProducerIdentity nobody{ProducerId(5), ProducerEpoch(0)};
  EXPECT_EQ(w.end("b", nobody, true, true), ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(w.end("", nobody, true, true), ErrorCode::kInvalidArgument);
  EXPECT_EQ(*w.add("", nobody, {orders(0)}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(*w.add("a", nobody, {orders(0)}), ErrorCode::kInvalidProducerIdMapping);
}

TEST(Transactions, LeftoversOfAnEndedTransactionAreRemoved) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  const std::string key = Transaction::participant_key(a, 0);
  const std::string value = w.disk.state.at(key);
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  w.disk.state[key] = value;
  w.restart();
  EXPECT_FALSE(w.disk.state.contains(key));
  EXPECT_EQ(w.coordinator->describe("a")->state, TransactionState::kCompleteCommit);
}

}  // namespace
}  // namespace runnel::broker
