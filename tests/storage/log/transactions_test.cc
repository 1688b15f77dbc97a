// Transactions in the store: markers, the last stable offset, what committed-only readers get.
#include <future>
#include <thread>

#include "storage/index/index.h"
#include "storage/ledger/producers.h"
#include "storage/log/records.h"
#include "tests/storage/log/committed_reader.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using Values = std::vector<std::string>;

class TransactionsTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("t", 3);
    a = new_producer();
    b = new_producer();
  }
  ~TransactionsTest() override { store.reset(); }

  ProducerIdentity new_producer() {
    const auto made = store->new_producer();
    EXPECT_TRUE(made);
    return made.value_or(ProducerIdentity{});
  }
  static Buffer batch(const ProducerIdentity& p, std::int32_t sequence, Values values,
                      bool transactional = true) {
    return make_batch(BatchSpec{std::move(values), Timestamp(1'700'000'000'000), p.id, p.epoch,
                                sequence, transactional});
  }
  ErrorCode write(const ProducerIdentity& p, std::int32_t sequence, Values values, int index = 0) {
    return code(append("t", batch(p, sequence, std::move(values)), index));
  }
  TransactionMarker marker(const ProducerIdentity& p, bool commit, int index = 0) {
    return {ref("t", index), p, commit, 7};
  }
  ErrorCode end(const ProducerIdentity& p, bool commit, int index = 0) {
    CommitRequest request;
    request.markers.push_back(marker(p, commit, index));
    return code(store->commit_and_wait(std::move(request)));
  }
  Offset stable(int index = 0) { return store->partition_info(ref("t", index)).last_stable; }
  Values committed(int index = 0, Offset from = Offset(0), std::uint32_t max_bytes = 1u << 20) {
    bool readable = false;
    Values out;
    const auto found = read_committed(*store, ref("t", index), from, max_bytes, readable);
    for (const auto& [offset, value] : found) out.push_back(value);
    EXPECT_TRUE(readable);
    return out;
  }
  FetchedPartition fetch(Offset from, std::uint32_t max_bytes = 1u << 20) {
    FetchRequest request;
    request.items.push_back({ref("t"), from, max_bytes});
    request.committed_only = true;
    return store->fetch_and_wait(std::move(request))[0].head;
  }
  static std::vector<std::int64_t> firsts(const FetchedPartition& p) {
    std::vector<std::int64_t> out;
    for (const auto& t : p.aborted) out.push_back(t.first.value());
    return out;
  }

  /// A fetch that waits for `min_bytes`. `from` is 0 for committed records, else the end, unless
  /// given.
  std::future<FetchResult> wait_for(bool committed_only, std::uint64_t min_bytes,
                                    std::optional<Offset> from = std::nullopt) {
    const Offset end = store->partition_info(ref("t")).high_watermark;
    FetchRequest request;
    request.items.push_back({ref("t"), from.value_or(committed_only ? Offset(0) : end), 1u << 20});
    request.committed_only = committed_only;
    request.min_bytes = min_bytes;
    request.max_wait = std::chrono::hours(1);
    auto done = std::make_shared<std::promise<FetchResult>>();
    EXPECT_NE(
        store->fetch(std::move(request), [done](FetchResult r) { done->set_value(std::move(r)); }),
        0U);
    return done->get_future();
  }
  static bool is_ready(const std::future<FetchResult>& f) {
    return f.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  /// Entries of the list in the index; closes the store.
  std::size_t aborted_entries() {
    store.reset();
    IndexOptions index_options;
    index_options.directory = "data/index";
    index_options.file_system = &fs;
    auto index = Index::open(std::move(index_options));
    EXPECT_TRUE(index);
    std::size_t count = 0;
    EXPECT_TRUE((*index)->scan_prefix(Family::kIndex, keys::kAborted,
                                      [&](std::string_view, std::string_view) { return ++count; }));
    return count;
  }

  ProducerIdentity a, b;
};

TEST_F(TransactionsTest, CommittedReadersSeeATransactionWhenItIsCommitted) {
  ASSERT_EQ(write(a, 0, {"a0", "a1"}), ErrorCode::kOk);
  ASSERT_EQ(code(append("t", make_batch({"plain"}))), ErrorCode::kOk);
  EXPECT_EQ(stable(), Offset(0));
  EXPECT_EQ(committed(), Values{});
  EXPECT_EQ(values("t"), (Values{"a0", "a1", "plain"})) << "others read everything";
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  EXPECT_EQ(stable(), Offset(4)) << "the marker has an offset, too";
  EXPECT_EQ(committed(), (Values{"a0", "a1", "plain"}));
  EXPECT_EQ(fetch(Offset(0)).aborted.size(), 0U);
}

TEST_F(TransactionsTest, AnAbortedTransactionIsNamedToThoseItTouches) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);                       // 0
  ASSERT_EQ(code(append("t", make_batch({"plain"}))), ErrorCode::kOk);  // 1
  ASSERT_EQ(write(b, 0, {"b0"}), ErrorCode::kOk);                       // 2
  ASSERT_EQ(write(a, 1, {"a1"}), ErrorCode::kOk);                       // 3
  ASSERT_EQ(end(b, true), ErrorCode::kOk);                              // 4
  ASSERT_EQ(end(a, false), ErrorCode::kOk);                             // 5
  ASSERT_EQ(write(a, 2, {"a2"}), ErrorCode::kOk);                       // 6
  ASSERT_EQ(end(a, true), ErrorCode::kOk);                              // 7
  EXPECT_EQ(committed(), (Values{"plain", "b0", "a2"}));
  EXPECT_EQ(firsts(fetch(Offset(0))), std::vector<std::int64_t>{0});
  EXPECT_EQ(firsts(fetch(Offset(3))), std::vector<std::int64_t>{0}) << "it began before";
  EXPECT_EQ(firsts(fetch(Offset(6))), std::vector<std::int64_t>{}) << "it ended before";
  FetchRequest all;
  all.items.push_back({ref("t"), Offset(0), 1u << 20});
  EXPECT_TRUE(store->fetch_and_wait(std::move(all))[0].head.aborted.empty());
}

TEST_F(TransactionsTest, TheStableOffsetIsTheFirstOpenTransactions) {
  ASSERT_EQ(code(append("t", make_batch({"plain"}))), ErrorCode::kOk);  // 0
  EXPECT_EQ(stable(), Offset(1));
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);  // 1
  ASSERT_EQ(write(b, 0, {"b0"}), ErrorCode::kOk);  // 2
  EXPECT_EQ(stable(), Offset(1));
  EXPECT_EQ(stable(1), Offset(0));
  ASSERT_EQ(end(a, false), ErrorCode::kOk);  // 3
  EXPECT_EQ(stable(), Offset(2));
  ASSERT_EQ(write(a, 1, {"a1"}), ErrorCode::kOk);  // 4
  ASSERT_EQ(end(b, false), ErrorCode::kOk);        // 5
  EXPECT_EQ(stable(), Offset(4));
  EXPECT_EQ(firsts(fetch(Offset(0))), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(fetch(Offset(5)).error, std::nullopt) << "between stable offset and high watermark";
  EXPECT_EQ(fetch(Offset(5)).bytes, 0U);
  const auto refused = fetch(Offset(7));
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code(), ErrorCode::kOffsetOutOfRange);
  const auto latest = store->find_offset(ref("t"), {OffsetQuery::Kind::kLatest, {}, true});
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->offset, Offset(4));
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  EXPECT_EQ(stable(), Offset(7));
}

TEST_F(TransactionsTest, BatchesOfOneFrameAreCutAtTheStableOffset) {
  // One request is one frame and one index entry: the stable offset lies in the midst of it.
  ByteWriter batches;
  for (int i = 0; i < 3; ++i) batches.raw(make_batch({"plain" + std::to_string(i)}).bytes());
  batches.raw(batch(a, 0, {"a0"}).bytes()).raw(make_batch({"late"}).bytes());
  ASSERT_EQ(code(append("t", Buffer::copy_of(batches.bytes()))), ErrorCode::kOk);
  EXPECT_EQ(stable(), Offset(3));
  EXPECT_EQ(committed(), (Values{"plain0", "plain1", "plain2"}));
  EXPECT_EQ(committed(0, Offset(2)), Values{"plain2"});
  crash();
  EXPECT_EQ(stable(), Offset(3));
  EXPECT_EQ(committed(), (Values{"plain0", "plain1", "plain2"}));
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  EXPECT_EQ(committed(0, Offset(0), 1), (Values{"plain0", "plain1", "plain2", "a0", "late"}));
}

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
TEST_F(TransactionsTest, ALongListOfAbortsKeepsNoCallerWaiting) {
  constexpr int kAborts = 600;
  ASSERT_EQ(write(b, 0, {"long"}), ErrorCode::kOk);
  for (int i = 0; i < kAborts; ++i) {
    CommitRequest whole;
    whole.appends.push_back({ref("t"), batch(a, i, {"x"}), {}, std::nullopt});
    whole.markers = {marker(a, false)};
    ASSERT_EQ(code(store->commit_and_wait(std::move(whole))), ErrorCode::kOk);
  }
  ASSERT_EQ(end(b, false), ErrorCode::kOk);
  ASSERT_EQ(code(append("t", make_batch({"plain"}))), ErrorCode::kOk);
  for (const bool restarted : {false, true}) {
    if (restarted) crash();
    for (const std::int64_t from : {0, 1, 500, 1100}) {
      EXPECT_FALSE(fetch(Offset(from), 1).error) << "what it reads is verified from now on";
      std::promise<std::pair<FetchedPartition, std::thread::id>> promise;
      FetchRequest request;
      request.items.push_back({ref("t"), Offset(from), 1});
      request.committed_only = true;
      store->fetch(std::move(request), [&](FetchResult r) {
        promise.set_value({std::move(r[0]), std::this_thread::get_id()});
      });
      const auto [got, thread] = promise.get_future().get();
      const bool few = from == 1100;
      EXPECT_EQ(thread == std::this_thread::get_id(), few) << "from " << from;
      std::vector<std::int64_t> expected{0};  // the long one; and the one that is read
      if (from > 0) expected.push_back(from % 2 == 1 ? from : from - 1);
      EXPECT_EQ(firsts(got), expected) << "from " << from;
    }
    EXPECT_EQ(committed(), Values{"plain"});
    ASSERT_TRUE(store->delete_records(ref("t"), Offset(restarted ? 400 : 0)));
  }
  EXPECT_EQ(committed(0, Offset(400)), Values{"plain"});
}

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

TEST_F(TransactionsTest, TheAbortedListGoesWithTheRecords) {
  for (int i = 0; i < 100; ++i) {  // more than are erased one by one
    ASSERT_EQ(write(a, i, {"x"}), ErrorCode::kOk);
    ASSERT_EQ(end(a, false), ErrorCode::kOk);
  }
  EXPECT_EQ(fetch(Offset(0)).aborted.size(), 100U);
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(191)));
  EXPECT_EQ(firsts(fetch(Offset(191))), (std::vector<std::int64_t>{190, 192, 194, 196, 198}));
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(195)));
  crash();
  EXPECT_EQ(firsts(fetch(Offset(195))), (std::vector<std::int64_t>{194, 196, 198}));
  EXPECT_EQ(committed(0, Offset(195)), Values{});
  EXPECT_EQ(aborted_entries(), 3U);
  open();
  ASSERT_TRUE(store->delete_topic("t"));
  EXPECT_EQ(aborted_entries(), 0U);
}

TEST_F(TransactionsTest, RecordsOfAnOpenTransactionCanBeDeleted) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  ASSERT_EQ(write(a, 1, {"a1", "a2", "a3"}), ErrorCode::kOk);
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(2)));  // in the midst of a batch
  EXPECT_EQ(stable(), Offset(2)) << "not before the log start";
  EXPECT_EQ(fetch(Offset(2)).bytes, 0U);
  crash();
  EXPECT_EQ(stable(), Offset(2));
  ASSERT_EQ(end(a, false), ErrorCode::kOk);
  EXPECT_EQ(stable(), Offset(5));
  EXPECT_EQ(firsts(fetch(Offset(2))), std::vector<std::int64_t>{0});
  EXPECT_EQ(committed(0, Offset(2)), Values{});
}

TEST_F(TransactionsTest, AWaitingReaderIsWokenWhenTheStableOffsetMoves) {
  ASSERT_EQ(write(a, 0, {std::string(1000, 'x')}), ErrorCode::kOk);
  auto news = wait_for(false, 1);
  auto committed = wait_for(true, 900);
  ASSERT_EQ(write(a, 1, {std::string(1000, 'y')}), ErrorCode::kOk);
  news.get();  // woken after those that began to wait later
  EXPECT_FALSE(is_ready(committed)) << "nothing of it is stable";
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  EXPECT_EQ(committed.get()[0].next, Offset(3));
}

TEST_F(TransactionsTest, AWaitingReaderCountsStableBytesOnly) {
  for (const int round : {0, 1, 2}) {
    ASSERT_EQ(code(append("t", make_batch({std::string(2000, 'o')}))), ErrorCode::kOk);
    const Offset from = store->partition_info(ref("t")).high_watermark;
    ASSERT_EQ(write(a, round, {"a"}), ErrorCode::kOk);
    // The bytes before an open transaction are known again.
    if (round == 1) reopen();
    if (round == 2) crash();
    ASSERT_EQ(values("t", from), Values{"a"}) << "read once, nothing of it needs a disk any more";
    auto news = wait_for(false, 1);
    auto committed = wait_for(true, 1000, from);
    ASSERT_EQ(end(a, true), ErrorCode::kOk);
    news.get();  // woken after those that began to wait later
    EXPECT_FALSE(is_ready(committed)) << "some bytes are stable, but too few";
    ASSERT_EQ(code(append("t", make_batch({std::string(900, 'x')}))), ErrorCode::kOk);
    EXPECT_EQ(committed.get()[0].next, from + 3);
  }
}

TEST_F(TransactionsTest, AWatchTellsOfTheStableOffset) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  std::promise<void> told;
  const auto watch = store->watch({ref("t", 1), ref("t")}, [&] { told.set_value(); });
  ASSERT_EQ(end(a, true), ErrorCode::kOk);
  told.get_future().get();
  std::vector<std::uint32_t> changed;
  watch->take(changed);
  EXPECT_EQ(changed, std::vector<std::uint32_t>{1});
}

TEST_F(TransactionsTest, OffsetsByTimeStopAtTheStableOffset) {
  const auto at = [](std::int64_t time, const ProducerIdentity* p = nullptr) {
    if (p == nullptr) return make_batch(BatchSpec{{"v"}, Timestamp(time)});
    return make_batch(BatchSpec{{"v"}, Timestamp(time), p->id, p->epoch, 0, true});
  };
  ByteWriter all;
  all.raw(at(10).bytes()).raw(at(30).bytes()).raw(at(20).bytes()).raw(at(40, &a).bytes());
  ASSERT_EQ(code(append("t", Buffer::copy_of(all.bytes()))), ErrorCode::kOk);
  const auto find = [&](OffsetQuery::Kind kind, std::int64_t time, bool committed_only) {
    const auto found = store->find_offset(ref("t"), {kind, Timestamp(time), committed_only});
    EXPECT_TRUE(found);
    return found.value_or(OffsetAnswer{}).offset.value();
  };
  using Kind = OffsetQuery::Kind;
  EXPECT_EQ(find(Kind::kTime, 15, true), 1);
  EXPECT_EQ(find(Kind::kTime, 35, false), 3);
  EXPECT_EQ(find(Kind::kTime, 35, true), -1);
  EXPECT_EQ(find(Kind::kMaxTimestamp, 0, false), 3);
  EXPECT_EQ(find(Kind::kMaxTimestamp, 0, true), 1);
  EXPECT_EQ(find(Kind::kEarliest, 0, true), 0);
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
TEST_F(TransactionsTest, AReplayDoesNotSpoilTheAbortedList) {
  ASSERT_EQ(write(a, 0, {"a0"}), ErrorCode::kOk);
  clock.advance(std::chrono::seconds(10));
  ASSERT_TRUE(store->run_maintenance());  // a checkpoint with the open transaction
  ASSERT_EQ(write(a, 1, {"a1"}), ErrorCode::kOk);
  ASSERT_EQ(write(b, 0, {"b0"}), ErrorCode::kOk);
  ASSERT_EQ(end(a, false), ErrorCode::kOk);
  ASSERT_EQ(end(b, true), ErrorCode::kOk);
  for (int i = 0; i < 3; ++i) {
    crash();
    EXPECT_EQ(firsts(fetch(Offset(1))), std::vector<std::int64_t>{0});
    EXPECT_EQ(committed(), Values{"b0"});
  }
}

}  // namespace
}  // namespace runnel::storage
