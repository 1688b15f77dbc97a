// What stands in one commit group with whom, and what strangers in it do to each other: nothing.
#include <future>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class GroupsTest : public StoreFixture {
 protected:
  ~GroupsTest() override { store.reset(); }

  void open_with(std::uint64_t group_bytes) {
    StoreOptions o = options();
    o.group_bytes = group_bytes;
    auto opened = Store::open(o);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
    EXPECT_FALSE(store->drive_commits()) << "from here on the store counts on being driven";
  }
  /// Queued, not begun: commits begin with the first that is waited for.
  std::future<CommitOutcome> queue(CommitRequest request) {
    auto promise = std::make_shared<std::promise<CommitOutcome>>();
    store->queue_commit(std::move(request), [promise](CommitOutcome outcome) {
      promise->set_value(std::move(outcome));
    });
    return promise->get_future();
  }
  CommitRequest record(const std::string& value) {
    CommitRequest request;
    request.appends.push_back({ref("t"), make_batch({value}), {}, std::nullopt});
    return request;
  }
  static CommitRequest state(const std::string& key, std::size_t bytes) {
    CommitRequest request;
    request.state.push_back({key, std::string(bytes, 'v')});
    return request;
  }
};

TEST_F(GroupsTest, RequestsWithoutRecordsFillAGroupToo) {
  open_with(1u << 20);
  create("t");
  std::vector<std::future<CommitOutcome>> answers;
  const std::uint64_t before = store->stats().commits;
  constexpr int kRequests = 40;
  for (int i = 0; i < kRequests; ++i) {
    answers.push_back(queue(state("k" + std::to_string(i), 100'000)));
  }
  EXPECT_EQ(code(store->commit_and_wait(record("v"))), ErrorCode::kOk);
  for (auto& a : answers) EXPECT_EQ(code(a.get()), ErrorCode::kOk);
  // Ten of them are a mebibyte; the first group may have begun before the others came.
  EXPECT_GE(store->stats().commits - before, 4U);
}

TEST_F(GroupsTest, ARequestThatDoesNotFitFailsAlone) {
  fs.set_capacity(16u << 20);
  open_with(64u << 20);
  create("t");
  auto before = queue(record("before"));
  auto large = queue(state("large", 20u << 20));
  auto after = queue(record("after"));
  EXPECT_EQ(code(store->commit_and_wait(record("last"))), ErrorCode::kOk);
  EXPECT_EQ(code(before.get()), ErrorCode::kOk);
  EXPECT_EQ(code(large.get()), ErrorCode::kLowSpace);
  EXPECT_EQ(code(after.get()), ErrorCode::kOk);
  EXPECT_EQ(values("t"), (std::vector<std::string>{"before", "after", "last"}));
  EXPECT_TRUE(store->read_state("large").value().empty());
}

TEST_F(GroupsTest, DedupKeysAreBoundedByRecordsAndInNumber) {
  open_with(4u << 20);
  create("t", 2);
  const auto keyed = [&](std::size_t keys, std::size_t records, int partition) {
    AppendItem item{ref("t", partition), {}, {}, std::nullopt};
    item.batches = make_batch(std::vector<std::string>(records, "v"));
    for (std::size_t i = 0; i < keys; ++i) {
      item.dedup.push_back({{"s", std::to_string(partition), std::to_string(i)}, 1, 0});
    }
    return item;
  };
  CommitRequest many_for_one;
  many_for_one.appends.push_back(keyed(2, 1, 0));
  EXPECT_EQ(code(store->commit_and_wait(many_for_one)), ErrorCode::kInvalidArgument);
  CommitRequest too_many;
  too_many.appends.push_back(keyed(kMaxDedupEntries, kMaxDedupEntries, 0));
  too_many.appends.push_back(keyed(1, 1, 1));
  EXPECT_EQ(code(store->commit_and_wait(too_many)), ErrorCode::kInvalidArgument);
  too_many.appends.pop_back();
  EXPECT_EQ(code(store->commit_and_wait(too_many)), ErrorCode::kOk);
}

TEST_F(GroupsTest, AnExclusiveChangeWithoutRoomIsAnErrorAndNotTheEnd) {
  fs.set_capacity(24u << 20);
  open_with(4u << 20);
  ASSERT_EQ(code(store->commit_and_wait(state("filler", 800'000))), ErrorCode::kOk);
  // There is room for small frames in the segment that is open, but for no second segment.
  fs.set_capacity(1);
  const auto refused = store->create_topic({"many", 100'000, {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kLowSpace);
  EXPECT_EQ(code(store->commit_and_wait(state("still works", 10))), ErrorCode::kOk);
  fs.set_capacity(64u << 20);
  EXPECT_TRUE(store->create_topic({"many", 1000, {}}));
}

TEST_F(GroupsTest, ARefusalIsToldOnceWhatItRestsOnIsDurable) {
  open_with(64u << 20);
  create("t");
  const auto keyed = [this](std::vector<std::string> ids) {
    CommitRequest request;
    std::vector<DedupEntry> dedup;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      dedup.push_back({{"source", "id", ids[i]}, 1, static_cast<std::int32_t>(i)});
    }
    request.appends.push_back({ref("t"), make_batch(ids), dedup, std::nullopt});
    return request;
  };
  auto first = queue(keyed({"a"}));
  std::promise<CommitOutcome> second;
  Offset visible;
  store->queue_commit(keyed({"a", "b"}), [&](CommitOutcome outcome) {
    visible = store->partition_info(ref("t")).high_watermark;
    second.set_value(std::move(outcome));
  });
  EXPECT_EQ(code(store->commit_and_wait(state("k", 1))), ErrorCode::kOk);
  EXPECT_EQ(code(first.get()), ErrorCode::kOk);
  const CommitOutcome refused = second.get_future().get();
  EXPECT_EQ(code(refused), ErrorCode::kPartialDuplicate);
  EXPECT_EQ(refused.duplicates.size(), 1U);
  EXPECT_EQ(visible, Offset(1)) << "the record it names was not durable yet";
}

}  // namespace
}  // namespace runnel::storage
