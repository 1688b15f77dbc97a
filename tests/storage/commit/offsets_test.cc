// Offsets of groups beside topics that go, starts of the broker and fences that never end.
#include <future>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class OffsetsTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("t");
  }
  ~OffsetsTest() override { store.reset(); }

  static CommitRequest offset(const std::string& topic, std::int64_t at) {
    CommitRequest request;
    request.offsets.push_back({"g", topic, PartitionIndex(0), Offset(at), LeaderEpoch(0), ""});
    return request;
  }
  void set_active(bool active) {
    CommitRequest request;
    request.activity.push_back({"g", active});
    ASSERT_EQ(code(store->commit_and_wait(std::move(request))), ErrorCode::kOk);
  }
  bool has_offsets() { return !store->committed_offsets("g").value().empty(); }
};

TEST_F(OffsetsTest, ACommitQueuedBehindItsTopicsDeletionLeavesNothing) {
  int refused = 0;
  for (int round = 0; round < 20; ++round) {
    create("gone");
    // The offset is committed from the callback of a commit that, as a rule, stands before the
    // deletion in the queue: its topic still exists then, and no longer when its turn comes.
    std::promise<CommitOutcome> answer;
    CommitRequest first;
    first.appends.push_back({ref("t"), make_batch({"v"}), {}, std::nullopt});
    store->queue_commit(std::move(first), [&](CommitOutcome) {
      store->commit(offset("gone", 1),
                    [&](CommitOutcome outcome) { answer.set_value(std::move(outcome)); });
    });
    ASSERT_TRUE(store->delete_topic("gone"));
    const ErrorCode got = code(answer.get_future().get());
    ASSERT_TRUE(got == ErrorCode::kOk || got == ErrorCode::kUnknownTopic);
    refused += got == ErrorCode::kUnknownTopic ? 1 : 0;
    ASSERT_FALSE(has_offsets()) << "in round " << round;
  }
  RecordProperty("refused", refused);
}

TEST_F(OffsetsTest, RestartsDoNotKeepAnEmptyGroupsOffsetsAlive) {
  set_active(true);
  ASSERT_EQ(code(store->commit_and_wait(offset("t", 1))), ErrorCode::kOk);
  set_active(false);
  for (int day = 0; day < 8; ++day) {
    clock.advance(std::chrono::hours(24));
    reopen();
    set_active(false);  // as a broker reports it at each start
  }
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_FALSE(has_offsets()) << "empty for eight days";
}

TEST_F(OffsetsTest, NothingExpiresBeforeItIsKnownWhoIsActive) {
  set_active(true);
  ASSERT_EQ(code(store->commit_and_wait(offset("t", 1))), ErrorCode::kOk);
  clock.advance(std::chrono::hours(24 * 30));
  store.reset();
  auto opened = Store::open(options());
  ASSERT_TRUE(opened);
  store = std::move(*opened);
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(has_offsets());
  set_active(true);
  store->start_expiry();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_TRUE(has_offsets()) << "the group has members";
}

TEST_F(OffsetsTest, FenceNamesAreBounded) {
  CommitRequest all;
  for (std::size_t i = 0; i < kMaxFences; ++i) all.fences.push_back({"f" + std::to_string(i), 1});
  ASSERT_EQ(code(store->commit_and_wait(all)), ErrorCode::kOk);
  CommitRequest more;
  more.fences.push_back({"one more", 1});
  EXPECT_EQ(code(store->commit_and_wait(more)), ErrorCode::kInvalidArgument);
  reopen();
  EXPECT_EQ(code(store->commit_and_wait(more)), ErrorCode::kInvalidArgument);
  CommitRequest known;
  known.fences.push_back({"f7", 2});
  EXPECT_EQ(code(store->commit_and_wait(known)), ErrorCode::kOk);
}

TEST_F(OffsetsTest, AFenceOfAGroupGoesWithItsOffsets) {
  const std::string group = std::string(kGroupFencePrefix) + "replay.n";
  const auto commit = [&](std::uint64_t token) {
    CommitRequest request;
    request.offsets.push_back({group, "t", PartitionIndex(0), Offset(0), {}, ""});
    request.fences.push_back({group, token});
    return code(store->commit_and_wait(std::move(request)));
  };
  ASSERT_EQ(commit(7), ErrorCode::kOk);
  EXPECT_EQ(commit(6), ErrorCode::kFenced);
  ASSERT_TRUE(store->delete_group_offsets(group));
  EXPECT_EQ(commit(6), ErrorCode::kOk);
  clock.advance(options().offsets_retention + std::chrono::hours(2));
  store->start_expiry();
  ASSERT_TRUE(store->run_maintenance());
  reopen();
  EXPECT_TRUE(store->committed_offsets(group)->empty());
  EXPECT_EQ(commit(5), ErrorCode::kOk) << "it expired with them";
  EXPECT_EQ(commit(4), ErrorCode::kFenced);
  reopen();
  EXPECT_EQ(commit(4), ErrorCode::kFenced) << "it is known after a restart";
}

}  // namespace
}  // namespace runnel::storage
