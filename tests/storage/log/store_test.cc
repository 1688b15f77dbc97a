#include "tests/storage/log/store_fixture.h"

#include <future>

namespace runnel::storage {
namespace {

using Values = std::vector<std::string>;

TEST_F(StoreTest, AppendedRecordsAreReadBackInOrder) {
  create("t");
  ASSERT_TRUE(append("t", make_batch({"a", "b"})).result);
  const auto second = append("t", make_batch({"c"}));
  ASSERT_TRUE(second.result);
  EXPECT_EQ(second.result->appends[0].base_offset, Offset(2));
  EXPECT_EQ(values("t"), (Values{"a", "b", "c"}));
  EXPECT_EQ(values("t", Offset(1)), (Values{"b", "c"}));
}

TEST_F(StoreTest, EverythingIsThereAfterACleanRestart) {
  create("t", 3);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::to_string(i)}), i % 3).result);
  }
  reopen();
  EXPECT_EQ(values("t", Offset(0), 0).size(), 34U);
  EXPECT_EQ(values("t", Offset(0), 1).size(), 33U);
  EXPECT_EQ(append("t", make_batch({"x"}), 1).result->appends[0].base_offset, Offset(33));
  EXPECT_EQ(store->stats().recovered_frames, 1U) << "a clean stop ends with a checkpoint";
}

TEST_F(StoreTest, EverythingAcknowledgedSurvivesAPowerCut) {
  create("t", 2);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(append("t", make_batch({std::to_string(i)}), i % 2).result);
  }
  crash();
  EXPECT_EQ(values("t", Offset(0), 0).size(), 25U);
  EXPECT_EQ(values("t", Offset(0), 1).size(), 25U);
}

TEST_F(StoreTest, AcknowledgedIsLostWhenTheDiskLies) {
  // Shows that the test above can fail.
  create("t");
  fs.set_lying_sync(true);
  ASSERT_TRUE(append("t", make_batch({"gone"})).result);
  fs.power_off(CutMode::kDropAll);
  store.reset();
  fs.boot();
  fs.set_lying_sync(false);
  open();
  EXPECT_TRUE(values("t").empty());
}

TEST_F(StoreTest, ARequestIsAtomicAcrossTopicsAndOffsets) {
  create("in");
  create("out");
  CommitRequest request;
  request.appends.push_back({ref("in"), make_batch({"1"}), {}, std::nullopt});
  request.appends.push_back({ref("out"), make_batch({"2"}), {}, Offset(7)});
  request.offsets.push_back({"g", "in", PartitionIndex(0), Offset(1), LeaderEpoch(0), "m"});
  EXPECT_EQ(code(store->commit_and_wait(request)), ErrorCode::kPreconditionFailed);
  EXPECT_TRUE(values("in").empty());
  EXPECT_FALSE(store->committed_offset("g", "in", PartitionIndex(0)).value());

  request.appends[1].expected_next = Offset(0);
  EXPECT_EQ(code(store->commit_and_wait(request)), ErrorCode::kOk);
  reopen();
  EXPECT_EQ(values("in"), Values{"1"});
  EXPECT_EQ(values("out"), Values{"2"});
  const auto committed = store->committed_offset("g", "in", PartitionIndex(0)).value();
  ASSERT_TRUE(committed);
  EXPECT_EQ(committed->offset, Offset(1));
  EXPECT_EQ(committed->metadata, "m");
}

TEST_F(StoreTest, AFencedWriterIsRejected) {
  CommitRequest request;
  request.fences.push_back({"job", 2});
  EXPECT_EQ(code(store->commit_and_wait(request)), ErrorCode::kOk);
  reopen();
  request.fences[0].token = 1;
  EXPECT_EQ(code(store->commit_and_wait(request)), ErrorCode::kFenced);
  request.fences[0].token = 2;
  EXPECT_EQ(code(store->commit_and_wait(request)), ErrorCode::kOk);
}

TEST_F(StoreTest, IdempotentRepeatsGiveTheFirstOffsetAlsoAfterARestart) {
  create("t");
  const auto producer = store->new_producer();
  ASSERT_TRUE(producer);
  BatchSpec spec{{"a", "b"}, Timestamp(1), producer->id, producer->epoch, 0};
  ASSERT_TRUE(append("t", make_batch(spec)).result);
  auto again = append("t", make_batch(spec));
  ASSERT_TRUE(again.result);
  EXPECT_TRUE(again.result->appends[0].duplicate);
  EXPECT_EQ(again.result->appends[0].base_offset, Offset(0));
  crash();
  again = append("t", make_batch(spec));
  ASSERT_TRUE(again.result);
  EXPECT_TRUE(again.result->appends[0].duplicate);
  spec.sequence = 5;
  EXPECT_EQ(code(append("t", make_batch(spec))), ErrorCode::kOutOfOrderSequence);
  spec.sequence = 2;
  EXPECT_TRUE(append("t", make_batch(spec)).result);
  EXPECT_NE(store->new_producer()->id, producer->id);
}

class DedupTest : public StoreTest {
 protected:
  CommitOutcome send(std::vector<std::pair<std::string, std::uint64_t>> keys_and_hashes) {
    CommitRequest request;
    AppendItem item{ref("t"), {}, {}, std::nullopt};
    BatchSpec spec;
    for (const auto& [key, hash] : keys_and_hashes) {
      item.dedup.push_back(
          {{"tenant", "crm", key}, hash, static_cast<std::int32_t>(spec.values.size())});
      spec.values.push_back(key);
    }
    item.batches = make_batch(spec);
    request.appends.push_back(std::move(item));
    return store->commit_and_wait(std::move(request));
  }
};

TEST_F(DedupTest, ARepeatIsADuplicateWithTheFirstOffset) {
  create("t");
  ASSERT_TRUE(send({{"a", 1}, {"b", 2}}).result);
  for (int restarts = 0; restarts < 2; ++restarts) {
    const auto again = send({{"b", 2}});
    ASSERT_TRUE(again.result) << again.result.error().to_string();
    EXPECT_TRUE(again.result->appends[0].duplicate);
    EXPECT_EQ(again.result->appends[0].dedup_offsets, std::vector<Offset>{Offset(1)});
    reopen();
  }
  EXPECT_EQ(values("t"), (Values{"a", "b"}));
}

TEST_F(DedupTest, AnotherPayloadUnderTheSameKeyIsAnError) {
  create("t");
  ASSERT_TRUE(send({{"a", 1}}).result);
  EXPECT_EQ(code(send({{"a", 99}})), ErrorCode::kDedupConflict);
}

TEST_F(DedupTest, PartlyRepeatedRequestsSayWhichAndStoreNothing) {
  create("t");
  ASSERT_TRUE(send({{"a", 1}}).result);
  const auto mixed = send({{"x", 5}, {"a", 1}});
  EXPECT_EQ(code(mixed), ErrorCode::kPartialDuplicate);
  ASSERT_EQ(mixed.duplicates.size(), 1U);
  EXPECT_EQ(mixed.duplicates[0].entry, 1U);
  EXPECT_EQ(mixed.duplicates[0].offset, Offset(0));
  EXPECT_EQ(values("t"), Values{"a"});
}

TEST_F(DedupTest, AKeyLivesAsLongAsItsRecord) {
  create("t");
  ASSERT_TRUE(send({{"a", 1}}).result);
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(1)));
  const auto again = send({{"a", 1}});
  ASSERT_TRUE(again.result);
  EXPECT_FALSE(again.result->appends[0].duplicate);
}

TEST_F(StoreTest, TopicsAreCreatedDescribedAlteredGrownAndDeleted) {
  create("b", 2, {{"retention.ms", "5"}});
  create("a");
  EXPECT_EQ(store->create_topic({"a", 1, {}}).error().code(), ErrorCode::kTopicExists);
  EXPECT_EQ(store->create_topic({"bad/name", 1, {}}).error().code(), ErrorCode::kInvalidTopicName);
  EXPECT_EQ(store->create_topic({"x", 1, {{"retention.msx", "1"}}}).error().code(),
            ErrorCode::kInvalidConfig);
  ASSERT_TRUE(
      store->alter_topic("b", {{"retention.ms", std::nullopt}, {"max.message.bytes", "1000"}}));
  ASSERT_TRUE(store->add_partitions("b", 5));
  EXPECT_FALSE(store->add_partitions("b", 3));
  const auto id = store->describe_topic("b")->id;
  reopen();
  EXPECT_EQ(store->topic_names(), (Values{"a", "b"}));
  const auto b = store->describe_topic("b");
  EXPECT_EQ(b->partitions.size(), 5U);
  EXPECT_EQ(b->id, id);
  EXPECT_EQ(b->configs, (ConfigMap{{"max.message.bytes", "1000"}}));
  EXPECT_EQ(code(append("b", make_batch({std::string(2000, 'x')}))), ErrorCode::kRecordTooLarge);
  const PartitionRef old = ref("b");
  ASSERT_TRUE(store->delete_topic("b"));
  CommitRequest late;
  late.appends.push_back({old, make_batch({"x"}), {}, std::nullopt});
  EXPECT_EQ(code(store->commit_and_wait(std::move(late))), ErrorCode::kUnknownTopic);
  create("b");
  EXPECT_TRUE(values("b").empty()) << "a new topic of the same name is empty";
  reopen();
  EXPECT_TRUE(values("b").empty());
}

TEST_F(StoreTest, AWaitingFetchIsAnsweredByTheNextAppend) {
  create("t", 2);
  std::promise<FetchResult> promise;
  FetchRequest request;
  request.items = {{ref("t", 0), Offset(0)}, {ref("t", 1), Offset(0)}};
  request.max_wait = std::chrono::hours(1);
  ASSERT_NE(store->fetch(request, [&](FetchResult r) { promise.set_value(std::move(r)); }), 0U);
  EXPECT_EQ(store->stats().waiting_fetches, 1U);
  ASSERT_TRUE(append("t", make_batch({"now"}), 1).result);
  const FetchResult result = promise.get_future().get();
  EXPECT_EQ(result[0].bytes, 0U);
  EXPECT_GT(result[1].bytes, 0U);
  EXPECT_EQ(store->stats().waiting_fetches, 0U);
}

TEST_F(StoreTest, AWaitingFetchEndsAtItsDeadlineByCancelAndByClose) {
  create("t");
  FetchRequest request;
  request.items = {{ref("t"), Offset(0)}};
  request.max_wait = std::chrono::milliseconds(1);
  EXPECT_EQ(store->fetch_and_wait(request)[0].head.bytes, 0U);
  request.max_wait = std::chrono::hours(1);
  const auto ticket = store->fetch(request, [](FetchResult) { FAIL() << "was cancelled"; });
  EXPECT_TRUE(store->cancel_fetch(ticket));
  EXPECT_FALSE(store->cancel_fetch(ticket));
  std::promise<void> answered;
  store->fetch(request, [&](FetchResult) { answered.set_value(); });
  ASSERT_TRUE(store->close());
  answered.get_future().get();
}

TEST_F(StoreTest, MinimumBytesAreWaitedFor) {
  create("t");
  const std::size_t one = make_batch({"0"}).size();
  std::promise<FetchResult> promise;
  FetchRequest request;
  request.items = {{ref("t"), Offset(0)}};
  request.min_bytes = one * 3;
  request.max_wait = std::chrono::hours(1);
  store->fetch(request, [&](FetchResult r) { promise.set_value(std::move(r)); });
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(append("t", make_batch({"0"})).result);
  EXPECT_EQ(store->stats().waiting_fetches, 1U);
  ASSERT_TRUE(append("t", make_batch({"0"})).result);
  EXPECT_EQ(promise.get_future().get()[0].bytes, one * 3);
}

TEST_F(StoreTest, OffsetsAreFoundByTime) {
  create("t");
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(append("t", make_batch(BatchSpec{{"v"}, Timestamp(1000 + i * 10)})).result);
  }
  const auto at = [&](std::int64_t time) {
    return store->find_offset(ref("t"), {OffsetQuery::Kind::kTime, Timestamp(time)})->offset;
  };
  EXPECT_EQ(at(0), Offset(0));
  EXPECT_EQ(at(1050), Offset(5));
  EXPECT_EQ(at(1051), Offset(6));
  EXPECT_EQ(at(5000), kNoOffset);
  const auto newest = store->find_offset(ref("t"), {OffsetQuery::Kind::kMaxTimestamp, {}});
  EXPECT_EQ(newest->offset, Offset(19));
  EXPECT_EQ(newest->timestamp, Timestamp(1190));
}

TEST_F(StoreTest, TheGreatestTimestampIsOfWhatIsLeft) {
  create("t");
  for (const int time : {100, 900, 300, 500, 200}) {
    ASSERT_TRUE(append("t", make_batch(BatchSpec{{"v"}, Timestamp(time)})).result);
  }
  const auto newest = [&] {
    return *store->find_offset(ref("t"), {OffsetQuery::Kind::kMaxTimestamp, {}});
  };
  EXPECT_EQ(newest().offset, Offset(1));
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(2)));
  EXPECT_EQ(newest().offset, Offset(3));
  EXPECT_EQ(newest().timestamp, Timestamp(500));
  EXPECT_EQ(store->partition_info(ref("t")).max_timestamp, Timestamp(500));
  ASSERT_TRUE(store->delete_records(ref("t"), kNoOffset));
  EXPECT_EQ(newest().offset, kNoOffset);
}

TEST_F(StoreTest, OffsetsOfAGroupExpireOnceItIsEmptyForLong) {
  create("t");
  CommitRequest request;
  request.offsets.push_back({"g", "t", PartitionIndex(0), Offset(0), LeaderEpoch(0), ""});
  request.activity.push_back({"g", true});
  ASSERT_TRUE(store->commit_and_wait(request).result);
  clock.advance(std::chrono::hours(24 * 30));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(store->committed_offset("g", "t", PartitionIndex(0)).value()) << "it has members";
  CommitRequest left;
  left.activity.push_back({"g", false});
  ASSERT_TRUE(store->commit_and_wait(left).result);
  clock.advance(std::chrono::hours(24 * 6));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(store->committed_offset("g", "t", PartitionIndex(0)).value());
  clock.advance(std::chrono::hours(25));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_FALSE(store->committed_offset("g", "t", PartitionIndex(0)).value());
}

TEST_F(StoreTest, ASecondOpenIsRefused) {
  const auto second = Store::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kLocked);
}

TEST_F(StoreTest, LogAppendTimeStampsTheBrokersTime) {
  create("t", 1, {{"message.timestamp.type", "LogAppendTime"}});
  const auto done = append("t", make_batch(BatchSpec{{"a"}, Timestamp(5)}));
  EXPECT_EQ(done.result->appends[0].append_time, clock.now());
  EXPECT_EQ(store->find_offset(ref("t"), {OffsetQuery::Kind::kMaxTimestamp, {}})->timestamp,
            clock.now());
}

TEST_F(StoreTest, CompressionTypeCompressesAnew) {
  create("t", 1, {{"compression.type", "zstd"}});
  ASSERT_TRUE(append("t", make_batch({std::string(10'000, 'x')})).result);
  EXPECT_LT(store->partition_info(ref("t")).bytes, 1000U);
  EXPECT_EQ(values("t"), Values{std::string(10'000, 'x')});
}

TEST_F(StoreTest, WhatIsTooLargeWhenCompressedAnewIsRefused) {
  create("plain", 1, {{"compression.type", "uncompressed"}});
  const auto bomb = [] {
    protocol::BatchOptions how;
    how.codec = protocol::Codec::kZstd;
    protocol::BatchBuilder builder(how);
    builder.add({Timestamp(1), std::nullopt, std::string(60u << 20, 'x'), {}});
    return *builder.finish();
  };
  EXPECT_LT(bomb().size(), 100'000U);
  EXPECT_EQ(code(append("plain", bomb())), ErrorCode::kRecordTooLarge);
  EXPECT_EQ(store->partition_info(ref("plain")).high_watermark, Offset(0));
  ASSERT_TRUE(append("plain", make_batch({"a"})).result);
  EXPECT_EQ(values("plain"), Values{"a"});
  EXPECT_FALSE(store->alter_topic("plain", {{"max.message.bytes", "33554433"}}))
      << "it would not fit into an answer";
}

TEST_F(StoreTest, WhatGrowsByCompressingAnewIsPaidFor) {
  create("plain", 1, {{"compression.type", "uncompressed"}, {"max.message.bytes", "33554432"}});
  const auto growing = [](int batches) {
    protocol::BatchOptions how;
    how.codec = protocol::Codec::kZstd;
    ByteWriter all;
    for (int i = 0; i < batches; ++i) {
      protocol::BatchBuilder builder(how);
      builder.add({Timestamp(1), std::nullopt, std::string(7u << 20, 'x'), {}});
      all.raw(builder.finish()->bytes());
    }
    return Buffer::copy_of(all.bytes());
  };
  // The budget is half of 64 MiB, and something else holds most of it.
  ASSERT_TRUE(store->memory().try_take(20u << 20));
  EXPECT_EQ(code(append("plain", growing(2))), ErrorCode::kOverloaded);
  EXPECT_EQ(store->memory().held_bytes(), 20u << 20) << "all of it is given back";
  ASSERT_TRUE(append("plain", growing(1)).result);
  store->memory().give_back(20u << 20);
}

TEST_F(StoreTest, BrokerStateIsKept) {
  CommitRequest request;
  request.state = {{"group/a", "1"}, {"group/b", "2"}, {"other", "3"}};
  ASSERT_TRUE(store->commit_and_wait(request).result);
  reopen();
  request.state = {{"group/a", std::nullopt}};
  ASSERT_TRUE(store->commit_and_wait(request).result);
  EXPECT_EQ(store->read_state("group/").value(),
            (std::vector<std::pair<std::string, std::string>>{{"group/b", "2"}}));
}

TEST_F(StoreTest, AFailedSyncStopsEverything) {
  create("t");
  fs.set_fault({.nth = 1,
                .kind = FaultKind::kIo,
                .sticky = false,
                .operations = static_cast<std::uint32_t>(SimOperation::kSync)});
  EXPECT_EQ(code(append("t", make_batch({"a"}))), ErrorCode::kIo);
  EXPECT_TRUE(fs.fault_struck());
  EXPECT_EQ(code(append("t", make_batch({"b"}))), ErrorCode::kIo) << "never go on after a failure";
}

}  // namespace
}  // namespace runnel::storage
