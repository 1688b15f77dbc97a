// What committed-only readers get: the last stable offset, the aborted transactions, waiting.
#include <future>
#include <thread>

#include "storage/log/log_store.h"
#include "tests/storage/log/transactions_fixture.h"

namespace runnel::storage {
namespace {

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

TEST_F(TransactionsTest, AnAbortedListOnDiskKeepsNoCallerWaiting) {
  ASSERT_EQ(write(a, 0, {"x"}), ErrorCode::kOk);
  ASSERT_EQ(end(a, false), ErrorCode::kOk);
  ASSERT_TRUE(static_cast<LogStore&>(*store).flush_index());
  for (const bool in_memory : {false, true}) {
    std::promise<std::pair<FetchedPartition, std::thread::id>> promise;
    FetchRequest request;
    request.items.push_back({ref("t"), Offset(0), 1u << 20});
    request.committed_only = true;
    store->fetch(std::move(request), [&](FetchResult r) {
      promise.set_value({std::move(r[0]), std::this_thread::get_id()});
    });
    const auto [got, thread] = promise.get_future().get();
    EXPECT_EQ(firsts(got), std::vector<std::int64_t>{0});
    EXPECT_EQ(thread == std::this_thread::get_id(), in_memory);
  }
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
