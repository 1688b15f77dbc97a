// Compressing anew takes time on a thread of its own. Nothing overtakes what is there.
#include <future>
#include <thread>
#include <utility>

#include "storage/log/partition.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using Values = std::vector<std::string>;

class RecompressionOrderTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("packed", 1, {{"compression.type", "zstd"}});
    create("plain");
    create("other");
    create("apart");
  }
  ~RecompressionOrderTest() override {
    release();
    store.reset();
  }

  /// The thread that compresses anew is kept until release().
  void hold() {
    CommitRequest refused;
    refused.appends.push_back({ref("packed"), Buffer(), {}, std::nullopt});
    const auto held = std::make_shared<std::promise<void>>();
    const auto until = release_.get_future().share();
    store->commit(std::move(refused), [held, until](const CommitOutcome& outcome) {
      EXPECT_EQ(code(outcome), ErrorCode::kInvalidArgument);
      held->set_value();
      until.wait();
    });
    held->get_future().wait();
  }
  void release() {
    if (!std::exchange(released_, true)) release_.set_value();
  }
  /// One record, `value`, in each of the topics.
  std::future<CommitOutcome> send(const std::string& value, const Values& topics) {
    CommitRequest request;
    for (const auto& topic : topics) {
      request.appends.push_back({ref(topic), make_batch({value}), {}, std::nullopt});
    }
    auto answer = std::make_shared<std::promise<CommitOutcome>>();
    store->commit(std::move(request),
                  [answer](CommitOutcome o) { answer->set_value(std::move(o)); });
    return answer->get_future();
  }
  /// All have arrived that could.
  void settle() { EXPECT_TRUE(send("", {"apart"}).get().result); }
  void wait_until_free(const std::string& topic) {
    while (ref(topic)->in_recompression != 0) std::this_thread::yield();
  }

 private:
  bool released_ = false;
  std::promise<void> release_;
};

TEST_F(RecompressionOrderTest, AnAppendFollowsOneThatSharesItsPartition) {
  hold();
  auto first = send("1", {"packed", "plain"});
  auto second = send("2", {"plain", "other"});
  auto third = send("3", {"other"});
  settle();
  release();
  for (auto* answer : {&first, &second, &third}) EXPECT_TRUE(answer->get().result);
  EXPECT_EQ(values("plain"), (Values{"1", "2"}));
  EXPECT_EQ(values("other"), (Values{"2", "3"})) << "what follows is followed";
  for (const char* topic : {"packed", "plain", "other"}) wait_until_free(topic);
}

TEST_F(RecompressionOrderTest, AnAppendFollowsThoseFromBeforeTheConfigWent) {
  hold();
  auto first = send("1", {"packed"});
  ASSERT_TRUE(store->alter_topic("packed", {{"compression.type", std::nullopt}}));
  auto second = send("2", {"packed"});
  settle();
  release();
  for (auto* answer : {&first, &second}) EXPECT_TRUE(answer->get().result);
  EXPECT_EQ(values("packed"), (Values{"1", "2"}));
}

TEST_F(RecompressionOrderTest, OthersDoNotWait) {
  hold();
  auto first = send("1", {"packed", "plain"});
  EXPECT_TRUE(send("2", {"other"}).get().result) << "it shares nothing";
  release();
  EXPECT_TRUE(first.get().result);
  EXPECT_TRUE(send("3", {"plain"}).get().result);
  EXPECT_EQ(values("plain"), (Values{"1", "3"}));
}

}  // namespace
}  // namespace runnel::storage
