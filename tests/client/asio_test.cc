// <runnel/asio.h> against the embedded store.
#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include "runnel/asio.h"
#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

namespace asio = boost::asio;

class AsioTest : public RealFixture {
 protected:
  void SetUp() override { open_client(); }
};

TEST_F(AsioTest, AFutureGetsTheOutcome) {
  make_topic("t");
  auto producer = client->producer();
  auto sent = async_wait(producer.send(message("t", "a")), asio::use_future).get();
  ASSERT_TRUE(sent) << sent.error().to_string();
  EXPECT_EQ(sent->offset, 0);
  auto failed = async_wait(client->admin().delete_topic("none"), asio::use_future).get();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().errc(), Errc::unknown_topic);
}

TEST_F(AsioTest, ACoroutineGoesOnOnItsOwnExecutor) {
  make_topic("t");
  asio::io_context context;
  const std::vector<std::pair<TopicPartition, Position>> whole_topic{
      {{"t", 0}, Position::earliest()}};
  std::string read;
  bool same_thread = false;
  const auto work = [&]() -> asio::awaitable<void> {
    const auto thread = std::this_thread::get_id();
    auto producer = client->producer();
    const auto sent =
        co_await async_wait(producer.send(message("t", "from a coroutine")), asio::use_awaitable);
    if (!sent) co_return;
    auto consumer = client->consumer();
    const auto assigned = co_await async_wait(consumer.assign(whole_topic), asio::use_awaitable);
    if (!assigned) co_return;
    const auto batch = co_await async_wait(consumer.poll(10s), asio::use_awaitable);
    if (batch && !batch->empty()) read = (*batch)[0].value.value_or("");
    same_thread = thread == std::this_thread::get_id();
  };
  asio::co_spawn(context, work, asio::detached);
  context.run();
  EXPECT_EQ(read, "from a coroutine");
  EXPECT_TRUE(same_thread);
}

TEST_F(AsioTest, ACallbackRunsOnItsExecutor) {
  asio::io_context context;
  std::thread::id ran;
  async_wait(client->admin().list_topics(),
             asio::bind_executor(context, [&](Outcome<std::vector<TopicState>> topics) {
               EXPECT_TRUE(topics);
               ran = std::this_thread::get_id();
             }));
  context.run();
  EXPECT_EQ(ran, std::this_thread::get_id());
}

using EmbeddedTest = AsioTest;

TEST_F(EmbeddedTest, TheDirectoryIsFreeWhenTheLastHandleIsGone) {
  make_topic("t");
  produce("t", 10);
  {
    const auto second = open(directory.path());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().errc(), Errc::locked);
  }
  for (int i = 0; i < 3; ++i) {
    client.reset();
    open_client();
    EXPECT_EQ(read_all("t"), numbers(10));
  }
}

TEST_F(EmbeddedTest, MuchMoreThanTheOutputMarkIsPushedWhole) {
  make_topic("t");
  auto producer = client->producer();
  constexpr int kRecords = 200;
  const std::string value(64u << 10, 'x');
  for (int i = 0; i < kRecords; ++i) producer.send(message("t", value), [](Outcome<Delivery>) {});
  ASSERT_TRUE(producer.flush());
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t bytes = 0;
  SubscribeOptions options;
  options.partitions = {{{"t", 0}, Position::earliest()}};
  options.credit_bytes = 64u << 20;
  auto subscription = client
                          ->subscribe(options,
                                      [&](Outcome<Batch> batch) {
                                        ASSERT_TRUE(batch);
                                        const std::lock_guard lock(mutex);
                                        for (const auto& r : *batch) bytes += r.value->size();
                                        changed.notify_all();
                                      })
                          .get();
  ASSERT_TRUE(subscription);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, 30s, [&] { return bytes == kRecords * value.size(); }));
}

}  // namespace
}  // namespace runnel::client
