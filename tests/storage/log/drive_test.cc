// Commits that are worked on by the thread that queued them.
#include <future>
#include <thread>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

class Drive : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("t");
    EXPECT_FALSE(store->drive_commits()) << "from here on the store counts on being driven";
    // The store has to learn that syncs are short before a driving thread may wait for one.
    for (int i = 0; i < 16; ++i) ASSERT_TRUE(append("t", make_batch({"warm"})).result);
  }
  struct Answer {
    ErrorCode code = ErrorCode::kOk;
    std::thread::id thread;
  };
  std::future<Answer> queue(const std::string& value) {
    auto promise = std::make_shared<std::promise<Answer>>();
    CommitRequest request;
    request.appends.push_back({ref("t"), make_batch({value}), {}, std::nullopt});
    store->queue_commit(std::move(request), [promise](CommitOutcome outcome) {
      promise->set_value({code(outcome), std::this_thread::get_id()});
    });
    return promise->get_future();
  }
  static bool answered(const std::future<Answer>& answer) {
    return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
};

TEST_F(Drive, ALoneCommitIsDoneInsideTheCall) {
  auto answer = queue("alone");
  // The committer may not have come to rest since its last answer; then it takes this one too.
  for (int i = 0; i < 1000 && !store->drive_commits(); ++i) {
    answer.get();
    std::this_thread::yield();
    answer = queue("alone");
  }
  ASSERT_TRUE(answered(answer));
  const Answer got = answer.get();
  EXPECT_EQ(got.code, ErrorCode::kOk);
  EXPECT_EQ(got.thread, std::this_thread::get_id());
  EXPECT_FALSE(store->drive_commits()) << "there is nothing left to do";
  crash();
  EXPECT_EQ(values("t").back(), "alone") << "it was answered, so it is durable";
}

TEST_F(Drive, SeveralAreLeftToTheCommitter) {
  auto first = queue("first");
  auto second = queue("second");
  EXPECT_FALSE(store->drive_commits());
  EXPECT_NE(first.get().thread, std::this_thread::get_id());
  EXPECT_EQ(second.get().code, ErrorCode::kOk);
  const auto all = values("t");
  EXPECT_EQ(all[all.size() - 2], "first");
  EXPECT_EQ(all.back(), "second");
}

TEST_F(Drive, ALargeOneIsLeftToTheCommitter) {
  auto answer = queue(std::string(100'000, 'x'));
  EXPECT_FALSE(store->drive_commits());
  EXPECT_NE(answer.get().thread, std::this_thread::get_id());
}

TEST_F(Drive, WhatNobodyDroveIsFinishedByTheClose) {
  auto answer = queue("forgotten");
  ASSERT_TRUE(store->close());
  EXPECT_EQ(answer.get().code, ErrorCode::kOk);
  reopen();
  EXPECT_EQ(values("t").back(), "forgotten");
}

TEST_F(Drive, DriversAndOthersKeepOneOrder) {
  constexpr int kEach = 500;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string value = std::to_string(t) + "-" + std::to_string(i);
        if (t == 0) {
          EXPECT_TRUE(append("t", make_batch({value})).result);
        } else {
          auto answer = queue(value);
          store->drive_commits();
          EXPECT_EQ(answer.get().code, ErrorCode::kOk);
        }
      }
    });
  }
  threads.clear();
  std::map<char, int> next;
  for (const std::string& value : values("t")) {
    if (value == "warm") continue;
    EXPECT_EQ(value.substr(2), std::to_string(next[value[0]]++)) << value;
  }
  for (const char t : {'0', '1', '2'}) EXPECT_EQ(next[t], kEach);
}

TEST_F(StoreFixture, WhoeverDoesNotDriveIsNotKeptWaiting) {
  open();
  create("t");
  std::promise<CommitOutcome> promise;
  CommitRequest request;
  request.appends.push_back({ref("t"), make_batch({"a"}), {}, std::nullopt});
  store->queue_commit(std::move(request),
                      [&](CommitOutcome o) { promise.set_value(std::move(o)); });
  EXPECT_TRUE(promise.get_future().get().result);
}

}  // namespace
}  // namespace runnel::storage
