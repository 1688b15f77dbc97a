// Transactions in the store: markers, fencing, atomic ends, what survives.
#include "storage/check.h"
#include "storage/ledger/producers.h"
#include "tests/storage/log/transactions_fixture.h"

namespace runnel::storage {
namespace {

TEST_F(TransactionsTest, AMarkerFencesOlderEpochs) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  const ProducerIdentity newer{a.id, a.epoch + 1};
  ASSERT_EQ(end(newer, false), ErrorCode::kOk);
  EXPECT_EQ(write(a, 1, {"zombie"}), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(write(a, 0, {"a0"}), ErrorCode::kInvalidProducerEpoch) << "not even a repeat";
  EXPECT_EQ(end(a, true), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(write(newer, 1, {"gap"}), ErrorCode::kOutOfOrderSequence);
  crash();
  EXPECT_EQ(write(a, 1, {"zombie"}), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(write(newer, 1, {"gap"}), ErrorCode::kOutOfOrderSequence);
  EXPECT_EQ(write(newer, 0, {"n0"}), ErrorCode::kOk);
  EXPECT_EQ(end(newer, true), ErrorCode::kOk);
  EXPECT_EQ(committed(), Values{"n0"});
}

TEST_F(TransactionsTest, AMarkerOfAnUnknownProducerFencesAsWell) {
  const ProducerIdentity newer{a.id, a.epoch + 3};
  ASSERT_EQ(end(newer, false), ErrorCode::kOk);
  EXPECT_EQ(write(a, 0, {"zombie"}), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(fetch(Offset(0)).aborted.size(), 0U) << "nothing was aborted";
}

TEST_F(TransactionsTest, AnEndNeedsNoRoom) {
  constexpr int kCapacity = 1000;  // what the least memory has
  memory_bytes = 1u << 20;
  reopen();
  create("wide", kCapacity + 1);
  CommitRequest opening;
  for (int i = 0; i < kCapacity; ++i) {
    opening.appends.push_back({ref("wide", i), batch(a, 0, {"a"}), {}, std::nullopt});
  }
  ASSERT_EQ(code(store->commit_and_wait(std::move(opening))), ErrorCode::kOk);
  ASSERT_EQ(code(append("wide", batch(b, 0, {"b"}), kCapacity)), ErrorCode::kOverloaded);
  CommitRequest abort;
  abort.markers.push_back({ref("wide", kCapacity), {b.id, b.epoch + 1}, false, 0});
  ASSERT_EQ(code(store->commit_and_wait(std::move(abort))), ErrorCode::kOk);
  CommitRequest end_all;
  for (int i = 0; i <= kCapacity; ++i) {
    end_all.markers.push_back({ref("wide", i), a, true, 0});
  }
  ASSERT_EQ(code(store->commit_and_wait(std::move(end_all))), ErrorCode::kOk);
  clock.advance(Producers::kMinIdle);
  EXPECT_EQ(code(append("wide", batch(b, 0, {"late"}), kCapacity)),
            ErrorCode::kInvalidProducerEpoch)
      << "the marker keeps what comes late out";
}

TEST_F(TransactionsTest, OneProducerIsLookedUp) {
  ASSERT_EQ(write(a, 0, {"a0", "a1"}), ErrorCode::kOk);
  ASSERT_EQ(write(b, 0, {"b0"}, 1), ErrorCode::kOk);
  const auto found = store->producer(ref("t"), a.id);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->id, a.id);
  EXPECT_EQ((*found)->epoch, a.epoch);
  EXPECT_EQ((*found)->last_sequence, 1);
  EXPECT_EQ((*found)->transaction_first, Offset(0));
  const auto elsewhere = store->producer(ref("t"), b.id);
  ASSERT_TRUE(elsewhere);
  EXPECT_FALSE(*elsewhere);
}

// One long transaction, and beside it so many aborted ones that each fetch would have to pass.

TEST_F(TransactionsTest, TheSameEpochGoesOnCounting) {
  ASSERT_EQ(write(a, 0, {"a0", "a1"}), ErrorCode::kOk);
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  EXPECT_EQ(write(a, 3, {"gap"}), ErrorCode::kOutOfOrderSequence);
  const auto again = append("t", batch(a, 0, {"a0", "a1"}));
  ASSERT_TRUE(again.result);
  EXPECT_TRUE(again.result->appends[0].duplicate);
  EXPECT_EQ(stable(), Offset(3)) << "a repeat opens nothing";
  EXPECT_EQ(write(a, 2, {"a2"}), ErrorCode::kOk);
}

TEST_F(TransactionsTest, ABatchOutsideOfAnOpenTransactionIsRefused) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  EXPECT_EQ(code(append("t", batch(a, 1, {"x"}, false))), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(code(append("t", batch(a, 0, {"x"}, false), 1)), ErrorCode::kOk) << "not open there";
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  EXPECT_EQ(code(append("t", batch(a, 1, {"x"}, false))), ErrorCode::kOk);
}

TEST_F(TransactionsTest, WhatNoProducerCanSend) {
  EXPECT_EQ(code(append("t", make_batch(BatchSpec{
                                 {"x"}, Timestamp(1), kNoProducer, kNoEpoch, kNoSequence, true}))),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(append("t", protocol::end_txn_batch({}, a.id, a.epoch, Timestamp(1)))),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(end({ProducerId(1'000'000), ProducerEpoch(0)}, true), ErrorCode::kUnknownProducer);
  EXPECT_EQ(end({a.id, kNoEpoch}, true), ErrorCode::kInvalidArgument);
  CommitRequest twice;
  twice.markers = {marker(a, true), marker(b, true)};
  EXPECT_EQ(code(store->commit_and_wait(std::move(twice))), ErrorCode::kInvalidArgument);
}

TEST_F(TransactionsTest, AnEndIsAllOrNothing) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  ASSERT_EQ(write(a, 0, {"a1"}, 1), ErrorCode::kOk);
  ASSERT_EQ(end({b.id, b.epoch + 1}, false, 2), ErrorCode::kOk);
  const auto request = [&](const ProducerIdentity& last) {
    CommitRequest r;
    r.appends.push_back({ref("t", 2), make_batch({"more"}), {}, std::nullopt});
    r.markers = {marker(a, true), marker(a, true, 1), marker(last, true, 2)};
    r.offsets.push_back({"g", "t", PartitionIndex(0), Offset(3), LeaderEpoch(0), ""});
    r.state.push_back({"txn/x", "done"});
    return r;
  };
  const Offset before = store->partition_info(ref("t", 2)).high_watermark;
  EXPECT_EQ(code(store->commit_and_wait(request(b))), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(stable(), Offset(0));
  EXPECT_EQ(stable(1), Offset(0));
  EXPECT_EQ(store->partition_info(ref("t", 2)).high_watermark, before);
  EXPECT_FALSE(store->committed_offset("g", "t", PartitionIndex(0)).value());
  EXPECT_TRUE(store->read_state("txn/").value().empty());
  EXPECT_EQ(code(store->commit_and_wait(request({b.id, b.epoch + 1}))), ErrorCode::kOk);
  crash();
  EXPECT_EQ(committed(), Values{"a0"});
  EXPECT_EQ(committed(1), Values{"a1"});
  EXPECT_EQ(committed(2), Values{"more"});
  EXPECT_TRUE(store->committed_offset("g", "t", PartitionIndex(0)).value());
  EXPECT_EQ(store->read_state("txn/").value().size(), 1U);
}

TEST_F(TransactionsTest, AMarkerCountsTheAppendsOfItsOwnRequest) {
  CommitRequest request;
  request.appends.push_back({ref("t"), batch({a.id, a.epoch + 2}, 0, {"a0"}), {}, std::nullopt});
  request.markers = {marker(a, true)};
  EXPECT_EQ(code(store->commit_and_wait(std::move(request))), ErrorCode::kInvalidProducerEpoch);
  CommitRequest whole;
  whole.appends.push_back({ref("t"), batch(a, 0, {"a0"}), {}, std::nullopt});
  whole.markers = {marker(a, true)};
  EXPECT_EQ(code(store->commit_and_wait(std::move(whole))), ErrorCode::kOk);
  EXPECT_EQ(committed(), Values{"a0"});
}

TEST_F(TransactionsTest, ARepeatOfARequestRepeatsNoMarker) {
  const auto request = [&] {
    CommitRequest r;
    r.appends.push_back({ref("t"), batch(a, 0, {"a0"}), {}, std::nullopt});
    r.markers = {marker(a, true)};
    return r;
  };
  ASSERT_EQ(code(store->commit_and_wait(request())), ErrorCode::kOk);
  const auto again = store->commit_and_wait(request());
  ASSERT_TRUE(again.result);
  EXPECT_TRUE(again.result->appends[0].duplicate);
  EXPECT_EQ(store->partition_info(ref("t")).high_watermark, Offset(2));
}

TEST_F(TransactionsTest, ADeletedTopicFailsTheRequest) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  CommitRequest request;
  request.markers = {marker(a, true)};
  ASSERT_TRUE(store->delete_topic("t"));
  EXPECT_EQ(code(store->commit_and_wait(std::move(request))), ErrorCode::kUnknownTopic);
}

TEST_F(TransactionsTest, OpenTransactionsSurviveRestartsCheckpointsAndExpiry) {
  ASSERT_EQ(code(append("t", make_batch({"plain"}))), ErrorCode::kOk);
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  clock.advance(std::chrono::hours(48));
  ASSERT_TRUE(store->run_maintenance());
  for (int i = 0; i < 2; ++i) {
    crash();
    EXPECT_EQ(stable(), Offset(1));
    reopen();
    EXPECT_EQ(stable(), Offset(1));
    const auto known = store->producers(ref("t"));
    ASSERT_TRUE(known && known->size() == 1);
    EXPECT_EQ((*known)[0].transaction_first, Offset(1));
    EXPECT_EQ((*known)[0].coordinator_epoch, -1);
    ASSERT_EQ(write(a, 1 + i, {"more"}), ErrorCode::kOk);
  }
  ASSERT_EQ(end(a, false), ErrorCode::kOk);
  EXPECT_EQ(committed(), Values{"plain"});
  crash();
  EXPECT_EQ(committed(), Values{"plain"});
  const auto known = store->producers(ref("t"));
  ASSERT_TRUE(known && known->size() == 1);
  EXPECT_EQ((*known)[0].transaction_first, kNoOffset);
  EXPECT_EQ((*known)[0].coordinator_epoch, 7);
  clock.advance(std::chrono::hours(25));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(store->producers(ref("t"))->empty()) << "once it is closed it may expire";
}

TEST_F(TransactionsTest, TheOfflineCheckKnowsMarkers) {
  ASSERT_EQ(write(a, 0, {"a0", "a1"}), ErrorCode::kOk);
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  store.reset();
  const auto report = check_directory("data", fs);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->damages.empty());
  EXPECT_EQ(report->batches, 2U);
  EXPECT_EQ(report->records, 2U) << "a marker is none";
}

// A producer state that was forgotten in the index, in front of a replay that begins earlier: the
// list of aborted transactions must come out as it was written.

}  // namespace
}  // namespace runnel::storage
