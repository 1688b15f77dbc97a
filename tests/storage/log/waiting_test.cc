// Who waits for records: woken once, out in constant time, and never at the cost of who appends.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

using namespace std::chrono_literals;

class WaitingTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  std::vector<PartitionRef> all_of(const std::string& topic, int partitions) {
    std::vector<PartitionRef> out;
    for (int i = 0; i < partitions; ++i) out.push_back(ref(topic, i));
    return out;
  }
  FetchRequest waiting_for(const std::vector<PartitionRef>& partitions,
                           std::chrono::milliseconds wait = 60s) {
    FetchRequest request;
    for (const PartitionRef& p : partitions) request.items.push_back({p, Offset(0)});
    request.max_wait = wait;
    return request;
  }
};

/// Counts calls and lets a test wait for them.
class Told {
 public:
  std::function<void()> callback() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++times_;
      changed_.notify_all();
    };
  }
  int wait_for(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] { return times_ >= times; });
    return times_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int times_ = 0;
};

TEST_F(WaitingTest, AFetchIsNotAnsweredOnTheThreadThatPublishes) {
  create("t");
  std::promise<void> go;
  std::promise<FetchResult> answered;
  store->fetch(waiting_for({ref("t")}), [&, wait = go.get_future().share()](FetchResult result) {
    wait.wait();  // whoever answers is stuck here
    answered.set_value(std::move(result));
  });
  EXPECT_TRUE(append("t", make_batch({"a"})).result) << "the first append wakes the fetch";
  EXPECT_TRUE(append("t", make_batch({"b"})).result) << "the next one is not held up by it";
  go.set_value();
  auto result = answered.get_future();
  ASSERT_EQ(result.wait_for(10s), std::future_status::ready);
  EXPECT_GT(result.get()[0].bytes, 0U);
}

TEST_F(WaitingTest, ManyWaitersOfOnePartitionLeaveInAnyOrder) {
  create("t", 4);
  std::vector<FetchTicket> tickets;
  int answers = 0;
  for (int i = 0; i < 3000; ++i) {
    tickets.push_back(store->fetch(waiting_for(all_of("t", 4)), [&](FetchResult) { ++answers; }));
  }
  std::shuffle(tickets.begin(), tickets.end(), std::mt19937(1));
  for (const FetchTicket ticket : tickets) EXPECT_TRUE(store->cancel_fetch(ticket));
  EXPECT_EQ(store->stats().waiting_fetches, 0U);
  EXPECT_TRUE(append("t", make_batch({"a"}), 3).result);
  ASSERT_TRUE(store->close());
  EXPECT_EQ(answers, 0);
}

TEST_F(WaitingTest, AHundredWaitersOnThousandsOfPartitionsDoNotSlowAnAppend) {
  constexpr int kPartitions = 10'000;
  create("t", kPartitions);
  const auto partitions = all_of("t", kPartitions);
  std::vector<std::promise<FetchResult>> answers(100);
  for (auto& answer : answers) {
    store->fetch(waiting_for(partitions),
                 [&answer](FetchResult r) { answer.set_value(std::move(r)); });
  }
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(append("t", make_batch({"a"}), 77).result);
  ASSERT_TRUE(append("t", make_batch({"b"}), 78).result);
  const auto took = std::chrono::steady_clock::now() - begun;
  for (auto& answer : answers) {
    auto result = answer.get_future();
    ASSERT_EQ(result.wait_for(30s), std::future_status::ready);
    EXPECT_GT(result.get()[77].bytes, 0U);
  }
  EXPECT_LT(took, 100ms) << "planning for all of them took half a second";
}

TEST_F(WaitingTest, AWatchTellsOnceAndThenWhatChanged) {
  create("t", 5);
  Told told;
  auto watch = store->watch(all_of("t", 5), told.callback());
  ASSERT_TRUE(append("t", make_batch({"a"}), 3).result);
  ASSERT_TRUE(append("t", make_batch({"a"}), 1).result);
  ASSERT_TRUE(append("t", make_batch({"b"}), 3).result);
  EXPECT_EQ(told.wait_for(1), 1) << "not again before it was taken";
  std::vector<std::uint32_t> changed;
  watch->take(changed);
  EXPECT_EQ(changed, (std::vector<std::uint32_t>{3, 1}));
  watch->take(changed);
  EXPECT_TRUE(changed.empty());
  ASSERT_TRUE(append("t", make_batch({"c"}), 3).result);
  EXPECT_EQ(told.wait_for(2), 2);
  watch->take(changed);
  EXPECT_EQ(changed, (std::vector<std::uint32_t>{3}));
  watch.reset();
  ASSERT_TRUE(append("t", make_batch({"d"}), 3).result);
  EXPECT_EQ(told.wait_for(2), 2);
}

TEST_F(WaitingTest, AWatchTellsOfADeletedTopic) {
  create("t");
  Told told;
  auto watch = store->watch({ref("t")}, told.callback());
  ASSERT_TRUE(store->delete_topic("t"));
  EXPECT_EQ(told.wait_for(1), 1);
}

TEST_F(WaitingTest, AWatchMissesNothingThatIsAppendedMeanwhile) {
  create("t", 3);
  Told told;
  auto watch = store->watch(all_of("t", 3), told.callback());
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(append("t", make_batch({std::to_string(i)}), i % 3).result);
    }
  });
  std::vector<Offset> next(3, Offset(0));
  std::vector<std::uint32_t> changed;
  for (int times = 1; next != std::vector<Offset>(3, Offset(100)); ++times) {
    ASSERT_GE(told.wait_for(times), times) << "stopped telling";
    watch->take(changed);
    for (const std::uint32_t place : changed) {
      next[place] = store->partition_info(ref("t", static_cast<int>(place))).high_watermark;
    }
  }
  writer.join();
}

}  // namespace
}  // namespace runnel::storage
