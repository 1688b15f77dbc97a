// Requests whose records are known already: what of them is done a second time.
#include <future>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class RepeatsTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("t", 2);
  }
  ~RepeatsTest() override { store.reset(); }

  AppendItem keyed(const std::string& key, int partition = 0, std::uint64_t hash = 1,
                   const std::string& topic = "t") {
    return {ref(topic, partition), make_batch({key}), {{{"s", "id", key}, hash, 0}}, std::nullopt};
  }
  ErrorCode commit(std::vector<AppendItem> items, std::optional<Offset> offset = std::nullopt,
                   std::optional<std::uint64_t> token = std::nullopt) {
    CommitRequest request;
    request.appends = std::move(items);
    if (offset) {
      request.offsets.push_back({"g", "t", PartitionIndex(0), *offset, LeaderEpoch(0), ""});
    }
    if (token) request.fences.push_back({"job", *token});
    return code(store->commit_and_wait(std::move(request)));
  }
  Offset committed() {
    const auto offsets = store->committed_offsets("g").value();
    for (const auto& o : offsets) return o.offset;
    return kNoOffset;
  }
};

TEST_F(RepeatsTest, OffsetsOfARequestWithKnownDedupKeysAreCommitted) {
  ASSERT_EQ(commit({keyed("K1")}), ErrorCode::kOk);
  ASSERT_EQ(commit({keyed("K1")}, Offset(5)), ErrorCode::kOk);
  EXPECT_EQ(committed(), Offset(5));
  crash();
  EXPECT_EQ(committed(), Offset(5)) << "acknowledged, so durable";
  EXPECT_EQ(values("t"), std::vector<std::string>{"K1"}) << "and nothing stored twice";
}

TEST_F(RepeatsTest, ALateRepeatByKeyDoesNotPutAnOffsetBack) {
  ASSERT_EQ(commit({keyed("K1")}, Offset(10)), ErrorCode::kOk);
  ASSERT_EQ(commit({keyed("K2")}, Offset(20)), ErrorCode::kOk);
  ASSERT_EQ(commit({keyed("K1")}, Offset(10)), ErrorCode::kOk) << "the repeat";
  EXPECT_EQ(committed(), Offset(20));
  ASSERT_EQ(commit({}, Offset(5)), ErrorCode::kOk) << "put back on purpose";
  ASSERT_EQ(commit({keyed("K1")}, Offset(10)), ErrorCode::kOk);
  EXPECT_EQ(committed(), Offset(10)) << "and on from there";
}

TEST_F(RepeatsTest, AnOffsetThatIsNotDurableYetIsNotPutBackEither) {
  EXPECT_FALSE(store->drive_commits());  // from here on the queue waits to be driven
  std::vector<std::future<CommitOutcome>> answers;
  const auto queue = [&](const std::string& key, Offset offset) {
    auto promise = std::make_shared<std::promise<CommitOutcome>>();
    answers.push_back(promise->get_future());
    CommitRequest request;
    request.appends.push_back(keyed(key));
    request.offsets.push_back({"g", "t", PartitionIndex(0), offset, LeaderEpoch(0), ""});
    store->queue_commit(std::move(request), [promise](CommitOutcome outcome) {
      promise->set_value(std::move(outcome));
    });
  };
  queue("K1", Offset(10));
  queue("K2", Offset(20));
  queue("K1", Offset(10));
  static_cast<void>(store->drive_commits());
  for (auto& answer : answers) EXPECT_EQ(code(answer.get()), ErrorCode::kOk);
  EXPECT_EQ(committed(), Offset(20));
}

TEST_F(RepeatsTest, AKeyKnownInAnotherTopicIsAnotherRecord) {
  create("u");
  ASSERT_EQ(commit({keyed("K1")}), ErrorCode::kOk);
  EXPECT_EQ(commit({keyed("K1", 0, /*hash=*/2, "u")}), ErrorCode::kOk);
  EXPECT_EQ(values("u"), std::vector<std::string>{"K1"});
  EXPECT_EQ(commit({keyed("K2"), keyed("K2", 0, 1, "u")}), ErrorCode::kOk)
      << "one fact, two topics";
  crash();
  EXPECT_EQ(commit({keyed("K2"), keyed("K2", 0, 1, "u")}), ErrorCode::kOk) << "the repeat";
  EXPECT_EQ(values("t"), (std::vector<std::string>{"K1", "K2"}));
  EXPECT_EQ(values("u"), (std::vector<std::string>{"K1", "K2"}));
}

TEST_F(RepeatsTest, ADuplicateIsToldWithThePlaceWhereItIs) {
  ASSERT_EQ(commit({keyed("K0", 1)}), ErrorCode::kOk);
  ASSERT_EQ(commit({keyed("K1", 1)}), ErrorCode::kOk);
  CommitRequest request;
  request.appends.push_back(keyed("K1", 0));
  const CommitOutcome outcome = store->commit_and_wait(std::move(request));
  ASSERT_TRUE(outcome.result);
  const AppendResult& result = outcome.result->appends[0];
  EXPECT_TRUE(result.duplicate);
  EXPECT_EQ(result.dedup_offsets, std::vector<Offset>{Offset(1)});
  EXPECT_EQ(result.dedup_partitions, std::vector<PartitionIndex>{PartitionIndex(1)});
  CommitRequest mixed;
  mixed.appends.push_back({ref("t", 0),
                           make_batch({"K2", "K1"}),
                           {{{"s", "id", "K2"}, 1, 0}, {{"s", "id", "K1"}, 1, 1}},
                           std::nullopt});
  const CommitOutcome partial = store->commit_and_wait(std::move(mixed));
  ASSERT_EQ(code(partial), ErrorCode::kPartialDuplicate);
  EXPECT_EQ(partial.duplicates.at(0).partition, PartitionIndex(1));
  EXPECT_TRUE(values("t", Offset(0), 0).empty());
}

TEST_F(RepeatsTest, AFenceIsTakenThoughTheRecordIsKnown) {
  ASSERT_EQ(commit({keyed("K1")}, std::nullopt, 8), ErrorCode::kOk);
  ASSERT_EQ(commit({keyed("K1")}, std::nullopt, 9), ErrorCode::kOk);
  EXPECT_EQ(commit({keyed("K2")}, std::nullopt, 8), ErrorCode::kFenced);
  crash();
  EXPECT_EQ(commit({keyed("K2")}, std::nullopt, 8), ErrorCode::kFenced);
}

TEST_F(RepeatsTest, StateAndActivityGoWithKnownDedupKeys) {
  ASSERT_EQ(commit({keyed("K1")}), ErrorCode::kOk);
  CommitRequest request;
  request.appends.push_back(keyed("K1"));
  request.state.push_back({"key", "value"});
  ASSERT_EQ(code(store->commit_and_wait(std::move(request))), ErrorCode::kOk);
  EXPECT_EQ(store->read_state("key").value().size(), 1U);
}

TEST_F(RepeatsTest, ALateRepeatBySequenceDoesNotPutAnOffsetBack) {
  const auto producer = store->new_producer();
  ASSERT_TRUE(producer);
  const auto item = [&](std::int32_t sequence) {
    return AppendItem{
        ref("t"),
        make_batch(BatchSpec{{"v"}, Timestamp(1), producer->id, producer->epoch, sequence}),
        {},
        std::nullopt};
  };
  ASSERT_EQ(commit({item(0)}, Offset(5)), ErrorCode::kOk);
  ASSERT_EQ(commit({item(1)}, Offset(6)), ErrorCode::kOk);
  ASSERT_EQ(commit({item(0)}, Offset(5), 3), ErrorCode::kOk) << "the repeat";
  EXPECT_EQ(committed(), Offset(6));
  EXPECT_EQ(commit({}, std::nullopt, 2), ErrorCode::kFenced) << "its fence counts";
}

TEST_F(RepeatsTest, ADedupKeyIsKnownBeforeItsCommitIsDurable) {
  EXPECT_FALSE(store->drive_commits());  // from here on the queue waits to be driven
  constexpr int kKeys = 20;
  for (int i = 0; i < kKeys; ++i) {
    std::vector<std::future<CommitOutcome>> answers;
    for (int twice = 0; twice < 2; ++twice) {
      auto promise = std::make_shared<std::promise<CommitOutcome>>();
      answers.push_back(promise->get_future());
      CommitRequest request;
      request.appends.push_back(keyed(std::to_string(i)));
      store->queue_commit(std::move(request), [promise](CommitOutcome outcome) {
        promise->set_value(std::move(outcome));
      });
    }
    static_cast<void>(store->drive_commits());
    const CommitOutcome first = answers[0].get();
    const CommitOutcome second = answers[1].get();
    ASSERT_TRUE(first.result && second.result);
    EXPECT_FALSE(first.result->appends[0].duplicate);
    EXPECT_TRUE(second.result->appends[0].duplicate);
    EXPECT_EQ(second.result->appends[0].dedup_offsets, first.result->appends[0].dedup_offsets);
  }
  EXPECT_EQ(values("t").size(), std::size_t{kKeys});
}

TEST_F(RepeatsTest, APartKnownByItsSequenceMakesTheWholeRequestARepeat) {
  const ProducerIdentity producer = store->new_producer().value();
  const auto numbered = [&] {
    return AppendItem{ref("t", 1),
                      make_batch(BatchSpec{{"v"}, Timestamp(1), producer.id, producer.epoch, 0}),
                      {},
                      std::nullopt};
  };
  ASSERT_EQ(commit({keyed("K1"), numbered()}, Offset(5)), ErrorCode::kOk);
  ASSERT_EQ(commit({}, Offset(6)), ErrorCode::kOk);
  ASSERT_EQ(commit({keyed("K1"), numbered()}, Offset(5)), ErrorCode::kOk) << "the repeat";
  EXPECT_EQ(committed(), Offset(6)) << "the offset was not put back";
}

TEST_F(RepeatsTest, NoMoreNumberedBatchesAtOnceThanARepeatIsKnownBy) {
  const ProducerIdentity producer = store->new_producer().value();
  const auto batches = [&](std::int32_t from, std::int32_t count) {
    std::vector<std::byte> all;
    for (std::int32_t i = 0; i < count; ++i) {
      const Buffer one =
          make_batch(BatchSpec{{"v"}, Timestamp(1), producer.id, producer.epoch, from + i});
      all.insert(all.end(), one.bytes().begin(), one.bytes().end());
    }
    return AppendItem{ref("t"), Buffer::copy_of(all), {}, std::nullopt};
  };
  ASSERT_EQ(commit({batches(0, 5)}), ErrorCode::kOk);
  EXPECT_EQ(commit({batches(0, 5)}), ErrorCode::kOk) << "the repeat";
  EXPECT_EQ(commit({batches(5, 6)}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(values("t").size(), 5U);
}

TEST_F(RepeatsTest, BatchesHaveAKeyOrASequence) {
  const ProducerIdentity producer = store->new_producer().value();
  AppendItem both = keyed("K1");
  both.batches = make_batch(BatchSpec{{"v"}, Timestamp(1), producer.id, producer.epoch, 0});
  std::vector<AppendItem> items;
  items.push_back(std::move(both));
  EXPECT_EQ(commit(std::move(items)), ErrorCode::kInvalidArgument);
}

TEST_F(RepeatsTest, ADedupKeyStandsOnceInARequestWhateverThePartition) {
  EXPECT_EQ(commit({keyed("K9", 0), keyed("K9", 1)}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(commit({keyed("K9", 0, 1), keyed("K9", 1, 2)}), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(values("t", Offset(0), 0).empty());
  EXPECT_TRUE(values("t", Offset(0), 1).empty());
  EXPECT_EQ(commit({keyed("K9", 1)}), ErrorCode::kOk);
}

}  // namespace
}  // namespace runnel::storage
