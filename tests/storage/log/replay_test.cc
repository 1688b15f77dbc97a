// Starts after a crash where the index had got ahead of its checkpoint: it saves itself whenever
// its memory is full, and replay then meets what it already knows.

#include "storage/index/index.h"
#include "storage/log/log_store.h"
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

}  // namespace
}  // namespace runnel::storage
