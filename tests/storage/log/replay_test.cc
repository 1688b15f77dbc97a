// Starts after a crash where the index had got ahead of its checkpoint: it saves itself whenever
// its memory is full, and replay then meets what it already knows.

#include "storage/index/index.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/committed_reader.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class ReplayTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  void checkpoint() {
    clock.advance(std::chrono::seconds(10));
    ASSERT_TRUE(store->run_maintenance());
  }
  void get_ahead() { ASSERT_TRUE(static_cast<LogStore&>(*store).flush_index()); }
  void kill() {
    fs.kill_process();
    store.reset();
  }
  void put(const std::string& topic, const std::string& value) {
    ASSERT_EQ(code(append(topic, make_batch({value}))), ErrorCode::kOk);
  }
  /// Changes the index while no store uses it.
  void change_index(const Mutations& mutations) {
    IndexOptions options;
    options.directory = "data/index";
    options.file_system = &fs;
    options.memory_bytes = memory_bytes;
    auto index = Index::open(std::move(options));
    ASSERT_TRUE(index) << index.error().to_string();
    ASSERT_TRUE((*index)->apply(mutations));
    ASSERT_TRUE((*index)->flush());
  }
};

TEST_F(ReplayTest, ATopicThatWasWrittenToAndDeletedSinceTheCheckpointIsGone) {
  create("gone");
  create("kept");
  put("gone", "a");
  put("kept", "a");
  checkpoint();
  put("gone", "b");
  put("kept", "b");
  ASSERT_TRUE(store->delete_topic("gone"));
  put("kept", "c");
  get_ahead();
  kill();
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(store->topic_names(), std::vector<std::string>{"kept"});
  EXPECT_EQ(values("kept"), (std::vector<std::string>{"a", "b", "c"}));
  create("gone");
  put("gone", "anew");
  reopen();
  EXPECT_EQ(values("gone"), std::vector<std::string>{"anew"});
}

TEST_F(ReplayTest, DedupKeysFromBeforeTheyHadATopicAreStillKnown) {
  create("t");
  create("u");
  const DedupKey key{"shop", "s1", "7"};
  const auto send = [&](const std::string& topic) {
    CommitRequest request;
    request.appends.push_back({ref(topic), make_batch({"v"}), {{key, 1, 0}}, std::nullopt});
    return code(store->commit_and_wait(std::move(request)));
  };
  ASSERT_EQ(send("t"), ErrorCode::kOk);
  const Uuid id = store->describe_topic("t").value().id;
  const PartitionId number = ref("t")->id();
  store.reset();
  Mutations old;
  old.erase(Family::kDedup, keys::dedup(id, key));
  old.put(Family::kDedup, keys::dedup_without_topic(key),
          encode(DedupRecord{number, Offset(0), 1}));
  change_index(old);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(send("t"), ErrorCode::kOk) << "the repeat";
  EXPECT_EQ(values("t").size(), 1U);
  EXPECT_EQ(send("u"), ErrorCode::kOk) << "another topic's record";
  EXPECT_EQ(values("u").size(), 1U);
}

TEST_F(ReplayTest, AnOpenTransactionInATopicDeletedSinceIsForgotten) {
  create("gone");
  const ProducerIdentity producer = store->new_producer().value();
  const auto write = [&](std::int32_t sequence) {
    return code(append(
        "gone",
        make_batch(BatchSpec{
            {"t"}, clock.now(), producer.id, producer.epoch, sequence, /*transactional=*/true})));
  };
  ASSERT_EQ(write(0), ErrorCode::kOk);
  checkpoint();
  ASSERT_EQ(write(1), ErrorCode::kOk);
  ASSERT_TRUE(store->delete_topic("gone"));
  get_ahead();
  kill();
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(store->topic_names(), std::vector<std::string>());
}

TEST_F(ReplayTest, ALivePartitionWhoseStateIsMissingIsRefused) {
  create("t");
  put("t", "a");
  const PartitionId id = store->partition_id(ref("t"));
  checkpoint();
  put("t", "b");
  kill();
  Mutations lost;
  lost.erase(Family::kMeta, keys::partition_state(id));
  change_index(lost);
  const auto opened = Store::open(options());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(opened.error().message().find("holds offset 1 of partition number"), std::string::npos)
      << opened.error().to_string();
}

TEST_F(ReplayTest, ADeadSegmentBehindTheCheckpointIsKeptForReplay) {
  create("kept");
  create("gone");
  put("kept", "a");
  for (int i = 0; i < 20; ++i) put("gone", std::string(200'000, 'v'));
  put("kept", "b");
  ASSERT_TRUE(store->delete_topic("gone"));
  ASSERT_TRUE(store->run_maintenance());
  ASSERT_TRUE(fs.exists("data/segments/0000000002.wal"));
  kill();
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(values("kept"), (std::vector<std::string>{"a", "b"}));
  checkpoint();
  EXPECT_FALSE(fs.exists("data/segments/0000000002.wal"));
}

TEST_F(ReplayTest, ASegmentWhoseRecordsWereTrimmedSinceTheCheckpointDies) {
  create("t");
  create("other");
  put("t", "a");
  checkpoint();
  for (int i = 0; i < 10; ++i) put("other", std::string(200'000, 'v'));
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(1)));
  ASSERT_TRUE(store->delete_topic("other"));
  kill();
  ASSERT_NO_FATAL_FAILURE(open());
  checkpoint();
  EXPECT_FALSE(fs.exists("data/segments/0000000001.wal"));
  put("t", "b");
  EXPECT_EQ(values("t"), std::vector<std::string>{"b"});
}

TEST_F(ReplayTest, AProducerThatWasForgottenStaysForgotten) {
  store.reset();
  StoreOptions short_memory = options();
  short_memory.producer_expiry = std::chrono::minutes(1);
  auto opened = Store::open(short_memory);
  ASSERT_TRUE(opened);
  store = std::move(*opened);
  create("t");
  const ProducerIdentity producer = store->new_producer().value();
  ASSERT_TRUE(append("t", make_batch(BatchSpec{{"a"}, clock.now(), producer.id, producer.epoch, 0}))
                  .result);
  checkpoint();
  ASSERT_EQ(store->producers(ref("t")).value().size(), 1U);
  put("t", "b");
  clock.advance(std::chrono::minutes(2));
  Fault fault;
  fault.kind = FaultKind::kPowerOff;
  fault.path_contains = "data/index";
  fs.set_fault(fault);
  ASSERT_FALSE(store->run_maintenance()) << "its checkpoint is in the journal, not in the index";
  fs.clear_fault();
  store.reset();
  fs.boot();
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_TRUE(store->producers(ref("t")).value().empty());
  EXPECT_EQ(values("t"), (std::vector<std::string>{"a", "b"}));
}

// Producers are saved a few thousand at a time, so a kill may leave some of them ahead.
TEST_F(ReplayTest, AnAbortIsNotJudgedAnewByProducersThatAreAhead) {
  create("t");
  const ProducerIdentity a = store->new_producer().value();
  const ProducerIdentity b = store->new_producer().value();
  const auto write = [&](const ProducerIdentity& who, const std::string& value) {
    ASSERT_TRUE(append("t", make_batch(BatchSpec{{value},
                                                 clock.now(),
                                                 who.id,
                                                 who.epoch,
                                                 0,
                                                 /*transactional=*/true}))
                    .result);
  };
  const auto abort = [&](const ProducerIdentity& who) {
    CommitRequest request;
    request.markers.push_back({ref("t"), who, /*commit=*/false, 0});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  };
  write(a, "of a");
  write(b, "of b");
  abort(a);
  put("t", "plain");
  abort(b);
  const PartitionId id = store->partition_id(ref("t"));
  get_ahead();
  kill();
  ProducerState ahead;
  ahead.epoch = b.epoch;
  ahead.last_seen = clock.now();
  ahead.last = Offset(4);
  ahead.batches[0] = {0, 0, Offset(1), Offset(1)};
  ahead.count = 1;
  Mutations saved;
  saved.put(Family::kMeta, keys::producer(id, b.id), encode(ahead));
  change_index(saved);
  ASSERT_NO_FATAL_FAILURE(open());
  bool readable = false;
  const auto seen = read_committed(*store, ref("t"), Offset(0), /*max_bytes=*/1, readable);
  EXPECT_TRUE(readable);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].second, "plain");
}

}  // namespace
}  // namespace runnel::storage
