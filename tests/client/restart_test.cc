// The broker goes away in the middle and comes back: nothing lost, nothing twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

class RestartTest : public RealFixture {
 protected:
  void SetUp() override { connect_client(); }

  /// Sends numbers one after the other from its own thread until told to stop; every record's
  /// outcome is kept.
  class Load {
   public:
    Load(Producer producer, std::function<Message(int, std::string&)> make)
        : producer_(std::move(producer)), make_(std::move(make)), thread_([this] { run(); }) {}
    ~Load() { stop(); }
    void stop() {
      stopping_ = true;
      if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] int sent() const { return sent_; }
    [[nodiscard]] int stored() const { return stored_; }
    [[nodiscard]] std::string first_failure() {
      const std::lock_guard lock(mutex_);
      return failure_;
    }

   private:
    void run() {
      while (!stopping_) {
        std::string value;
        const Message m = make_(sent_, value);
        producer_.send(m, [this](Outcome<Delivery> d) {
          if (d) {
            ++stored_;
            return;
          }
          const std::lock_guard lock(mutex_);
          if (failure_.empty()) failure_ = d.error().to_string();
        });
        ++sent_;
        if (sent_ - stored_ > 500) std::this_thread::yield();
      }
    }
    Producer producer_;
    std::function<Message(int, std::string&)> make_;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> sent_ = 0;
    std::atomic<int> stored_ = 0;
    std::mutex mutex_;
    std::string failure_;
    std::thread thread_;
  };

  static bool wait_for(const std::function<bool()>& what) {
    return eventually([&] {
      if (what()) return true;
      std::this_thread::yield();
      return false;
    });
  }
  static ProducerOptions small_batches() {
    ProducerOptions options;
    options.batch_bytes = 2048;
    options.buffer_bytes = 256u << 10;
    options.retry_backoff = 5ms;
    return options;
  }
};

TEST_F(RestartTest, AnIdempotentProducerLosesAndRepeatsNothingOverRestarts) {
  make_topic("t");
  auto producer = client->producer(small_batches());
  Load load(producer, [](int i, std::string& value) {
    value = std::to_string(i);
    return message("t", value);
  });
  for (int round = 0; round < 3; ++round) {
    const int before = load.stored();
    ASSERT_TRUE(wait_for([&] { return load.stored() > before + 500; })) << load.first_failure();
    broker->stop();
    broker->start();
  }
  load.stop();
  ASSERT_TRUE(producer.flush());
  EXPECT_EQ(load.first_failure(), "");
  EXPECT_EQ(load.stored(), load.sent());
  EXPECT_EQ(read_all("t"), numbers(load.sent()));
}

TEST_F(RestartTest, CutConnectionsLoseAndRepeatNothingEither) {
  make_topic("t");
  auto producer = client->producer(small_batches());
  Load load(producer, [](int i, std::string& value) {
    value = std::to_string(i);
    return message("t", value);
  });
  for (int round = 0; round < 10; ++round) {
    const int before = load.stored();
    ASSERT_TRUE(wait_for([&] { return load.stored() > before + 200; })) << load.first_failure();
    broker->cut_connections();
  }
  load.stop();
  ASSERT_TRUE(producer.flush());
  EXPECT_EQ(load.first_failure(), "");
  EXPECT_EQ(read_all("t"), numbers(load.sent()));
}

TEST_F(RestartTest, DedupKeysHoldOverRestarts) {
  make_topic("t");
  auto producer = client->producer(small_batches());
  Load load(producer, [](int i, std::string& value) {
    value = std::to_string(i);
    return keyed("t", value, value);
  });
  for (int round = 0; round < 3; ++round) {
    const int before = load.stored();
    ASSERT_TRUE(wait_for([&] { return load.stored() > before + 100; })) << load.first_failure();
    broker->stop();
    broker->start();
  }
  load.stop();
  ASSERT_TRUE(producer.flush());
  EXPECT_EQ(load.first_failure(), "");
  EXPECT_EQ(read_all("t"), numbers(load.sent()));
  const auto again = producer.send(keyed("t", "0", "0")).get();
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->duplicate);
}

TEST_F(RestartTest, TransactionsAreRepeatedSafely) {
  make_topic("a");
  make_topic("b");
  std::vector<Pending<Committed>> sent;
  for (int i = 0; i < 400; ++i) {
    const std::string value = std::to_string(i);
    Transaction t;
    t.add(message("a", value)).add(message("b", value)).add(message("b", value + "'"));
    sent.push_back(client->commit(t));
    if (i % 100 == 50) broker->cut_connections();
    if (i == 200) {
      broker->stop();
      broker->start();
    }
  }
  for (auto& s : sent) {
    const auto done = s.get();
    ASSERT_TRUE(done) << done.error().to_string();
  }
  auto a = read_all("a");
  auto b = read_all("b");
  EXPECT_EQ(a.size(), 400U);
  EXPECT_EQ(b.size(), 800U);
  EXPECT_EQ(std::set<std::string>(a.begin(), a.end()).size(), 400U);
  EXPECT_EQ(std::set<std::string>(b.begin(), b.end()).size(), 800U);
}

TEST_F(RestartTest, AConsumerAndASubscriptionGoOnWithoutGapOrRepeat) {
  make_topic("t");
  ConsumerOptions options;
  options.group = "g";
  options.topics = {"t"};
  auto consumer = client->consumer(options);
  std::mutex mutex;
  std::vector<std::int64_t> pushed;
  SubscribeOptions subscribe;
  subscribe.partitions = {{{"t", 0}, Position::earliest()}};
  auto subscription = client
                          ->subscribe(subscribe,
                                      [&](Outcome<Batch> batch) {
                                        const std::lock_guard lock(mutex);
                                        if (!batch) return pushed.push_back(-1);
                                        for (const auto& r : *batch) pushed.push_back(r.offset);
                                      })
                          .get();
  ASSERT_TRUE(subscription);
  std::vector<std::int64_t> polled;
  for (int round = 0; round < 4; ++round) {
    produce("t", 50, round * 50);
    const auto all = static_cast<std::size_t>(round + 1) * 50;
    ASSERT_TRUE(eventually([&] {
      auto batch = consumer.poll(20ms).get();
      if (!batch) ADD_FAILURE() << batch.error().to_string();
      if (!batch) return false;
      for (const auto& r : *batch) polled.push_back(r.offset);
      const std::lock_guard lock(mutex);
      return polled.size() >= all && pushed.size() >= all;
    }));
    if (round == 1) {
      broker->cut_connections();
    } else {
      broker->stop();
      broker->start();
    }
  }
  ASSERT_TRUE(consumer.commit().get());
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(polled[i], static_cast<std::int64_t>(i));
    EXPECT_EQ(pushed[i], static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(polled.size(), 200U);
  EXPECT_EQ(pushed.size(), 200U);
}

TEST_F(RestartTest, AGracefulRestartDoesNotEndASubscription) {
  make_topic("t");
  std::mutex mutex;
  std::vector<std::int64_t> pushed;
  std::string failure;
  SubscribeOptions subscribe;
  subscribe.partitions = {{{"t", 0}, Position::earliest()}};
  auto subscription = client
                          ->subscribe(subscribe,
                                      [&](Outcome<Batch> batch) {
                                        const std::lock_guard lock(mutex);
                                        if (!batch) {
                                          failure = batch.error().to_string();
                                          return;
                                        }
                                        for (const auto& r : *batch) pushed.push_back(r.offset);
                                      })
                          .get();
  ASSERT_TRUE(subscription);
  for (int round = 0; round < 3; ++round) {
    produce("t", 10, round * 10);
    ASSERT_TRUE(wait_for([&] {
      const std::lock_guard lock(mutex);
      return !failure.empty() || pushed.size() >= static_cast<std::size_t>(round + 1) * 10;
    }));
    broker->stop_gracefully();
    broker->start();
  }
  const std::lock_guard lock(mutex);
  EXPECT_EQ(failure, "");
  ASSERT_EQ(pushed.size(), 30U);
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(pushed[i], static_cast<std::int64_t>(i));
}

TEST_F(RestartTest, JoinsThatAreCutLeaveOneMemberAndNoGhosts) {
  make_topic("t", 2);
  ConsumerOptions options;
  options.group = "g";
  options.topics = {"t"};
  auto consumer = client->consumer(options);
  for (int i = 0; i < 20; ++i) broker->cut_connections();
  ASSERT_TRUE(eventually([&] {
    auto batch = consumer.poll(10ms).get();
    return batch && consumer.assignment().size() == 2;
  })) << "a ghost would hold one of the two";
  const auto state = client->admin().describe_group("g").get();
  ASSERT_TRUE(state) << state.error().to_string();
  ASSERT_EQ(state->members.size(), 1U);
  EXPECT_EQ(state->members[0].member_id, consumer.membership().member_id);
}

TEST_F(RestartTest, LettingGoOfEverythingLeavesTheGroup) {
  make_topic("t");
  {
    auto other = connect(broker->address());
    ASSERT_TRUE(other);
    ConsumerOptions options;
    options.group = "g";
    options.topics = {"t"};
    auto consumer = other->consumer(options);
    ASSERT_TRUE(
        eventually([&] { return consumer.poll(10ms).get() && consumer.assignment().size() == 1; }));
  }
  ASSERT_TRUE(eventually([&] {
    const auto state = client->admin().describe_group("g").get();
    return !state || state->members.empty();
  })) << "the farewell went out before the connection was closed";
}

TEST_F(RestartTest, ABrokerThatIsGoneIsToldOfInTime) {
  make_topic("t");
  broker->stop();
  ProducerOptions options;
  options.delivery_timeout = 300ms;
  auto producer = client->producer(options);
  const auto late = producer.send(message("t", "x")).get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::timeout);
  EXPECT_EQ(late.error().action(), Action::retry) << "it never left this process";
  EXPECT_FALSE(client->connected());
  ClientOptions quick;
  quick.connect_timeout = 200ms;
  const auto refused = connect(broker->address(), quick);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::disconnected);
  EXPECT_NE(refused.error().message().find("127.0.0.1"), std::string::npos);
}

}  // namespace
}  // namespace runnel::client
