// What a client does when the broker is slow, silent, gone or wrong, and when its owner lets go.
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "client/src/producer_core.h"
#include "tests/client/fake_broker.h"
#include "tests/client/listeners.h"
#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

struct ConnectionTest : testing::Test {
  Client make(ClientOptions options = {}) {
    auto made = make_client(std::move(options), broker->factory());
    EXPECT_TRUE(made);
    return std::move(made).value();
  }
  static Message message(std::string_view value) {
    Message m;
    m.topic = "t";
    m.value = value;
    m.partition = 0;
    return m;
  }
  static Transaction one(std::string_view value) { return Transaction().add(message(value)); }
  std::shared_ptr<FakeBroker> broker = std::make_shared<FakeBroker>();
};

TEST_F(ConnectionTest, AnswersMayComeInAnyOrder) {
  auto client = make();
  std::vector<Pending<Committed>> pending;
  std::vector<FakeBroker::Asked> asked;
  for (int i = 0; i < 5; ++i) {
    pending.push_back(client.commit(one(std::to_string(i))));
    auto next = broker->next_append();
    ASSERT_TRUE(next);
    asked.push_back(std::move(*next));
  }
  for (int i : {3, 0, 4, 2, 1}) broker->answer_stored(asked[static_cast<std::size_t>(i)], 10 + i);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(pending[static_cast<std::size_t>(i)].get()->deliveries[0].offset, 10 + i);
}

TEST_F(ConnectionTest, ARequestWithoutAnswerTimesOutAndALateAnswerIsDropped) {
  ClientOptions options;
  options.request_timeout = 100ms;
  auto client = make(options);
  auto pending = client.commit(one("a"));
  const auto asked = broker->next_append();
  ASSERT_TRUE(asked);
  const auto late = pending.get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::timeout);
  EXPECT_EQ(late.error().action(), Action::maybe_persisted);
  broker->answer_stored(*asked, 0);
  auto next = client.commit(one("b"));
  const auto b = broker->next_append();
  ASSERT_TRUE(b);
  broker->answer_stored(*b, 1);
  EXPECT_EQ(next.get()->deliveries[0].offset, 1);
}

TEST_F(ConnectionTest, ASilentPeerIsLeftForANewConnection) {
  ClientOptions options;
  options.connect_timeout = 50ms;
  auto client = make(options);
  ProducerOptions patient;
  patient.request_timeout = 50ms;
  auto producer = client.producer(patient);
  auto sent = producer.send(message("a"));
  const int first = broker->connections();
  std::optional<FakeBroker::Asked> asked;
  do {
    asked = broker->next_append();  // the same batch, again and again
    ASSERT_TRUE(asked);
  } while (broker->connections() == first);
  broker->answer_stored(*asked, 0);
  EXPECT_TRUE(sent.get());
}

TEST_F(ConnectionTest, DroppingTheLastHandleCancelsAtOnce) {
  std::optional<Client> client = make();
  auto commit = client->commit(one("a"));
  ASSERT_TRUE(broker->next_append());
  auto admin = client->admin();
  auto list = admin.list_topics();  // the fake broker never answers it
  std::atomic<bool> called = false;
  client->commit(one("b")).then([&](Outcome<Committed> o) {
    EXPECT_EQ(o.error().errc(), Errc::cancelled);
    called = true;
  });
  client.reset();
  EXPECT_FALSE(commit.ready()) << "an Admin is a handle, too";
  { [[maybe_unused]] const Admin last = std::move(admin); }
  EXPECT_TRUE(commit.ready());
  const auto outcome = commit.get();
  EXPECT_EQ(outcome.error().errc(), Errc::cancelled);
  EXPECT_EQ(outcome.error().action(), Action::maybe_persisted);
  EXPECT_EQ(list.get().error().errc(), Errc::cancelled);
  EXPECT_TRUE(called);
}

/// Opens when somebody else says so.
struct SlowTransport final : Transport {
  void open() override {}
  void send(std::vector<Buffer>) override { FAIL() << "sent to a broker that is not there"; }
};

TEST(Connection, ATransportThatOpensAfterTheEndIsOfNoUse) {
  const std::shared_ptr<Loop> loop = Loop::start();
  std::promise<void> done;
  loop->post([&] {
    TransportEvents* events = nullptr;
    {
      Connection connection(*loop,
                            [&](Loop&, TransportEvents& e) {
                              events = &e;
                              return std::make_unique<SlowTransport>();
                            },
                            {});
      connection.start();
      connection.close();
      events->transport_open();  // it connected in the same turn of the loop
    }
    done.set_value();
  });
  done.get_future().get();
  loop->stop();
}

TEST_F(ConnectionTest, ASubscriptionThatIsNotAcceptedEndsInTimeOrWithTheClient) {
  ClientOptions options;
  options.request_timeout = 50ms;
  SubscribeOptions what;
  what.partitions = {{{"t", 0}, Position::at(0)}};
  auto client = make(options);
  const auto late = client.subscribe(what, [](const Outcome<Batch>&) {}).get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::timeout);
  std::optional<Client> other = make();
  auto pending = other->subscribe(what, [](const Outcome<Batch>&) {});
  other.reset();
  EXPECT_EQ(pending.get().error().errc(), Errc::cancelled);
}

TEST_F(ConnectionTest, TheLastHandleMayGoInsideACallback) {
  std::promise<void> gone;
  auto client = std::make_shared<Client>(make());
  auto producer = std::make_shared<Producer>(client->producer());
  producer->send(message("a"), [client, producer, &gone](Outcome<Delivery>) mutable {
    client.reset();
    producer.reset();
    gone.set_value();
  });
  client.reset();
  producer.reset();
  const auto asked = broker->next_append();
  ASSERT_TRUE(asked);
  broker->answer_stored(*asked, 0);
  EXPECT_EQ(gone.get_future().wait_for(10s), std::future_status::ready);
}

TEST_F(ConnectionTest, WaitingInsideACallbackIsRefused) {
  auto client = make();
  auto producer = client.producer();
  std::promise<Errc> inside;
  producer.send(message("a"), [&](Outcome<Delivery>) {
    auto pending = client.commit(one("b"));
    inside.set_value(pending.get().error().errc());
  });
  const auto asked = broker->next_append();
  ASSERT_TRUE(asked);
  broker->answer_stored(*asked, 0);
  EXPECT_EQ(inside.get_future().get(), Errc::invalid_argument);
}

TEST(Connect, EndsInTimeWhenNobodyAnswersAndSaysWhy) {
  const Listener mute;
  ClientOptions options;
  options.connect_timeout = 200ms;
  const auto silent = connect("127.0.0.1:" + mute.port(), options);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().errc(), Errc::disconnected);
  const auto nameless = connect("no-such-host.invalid:9092", options);
  ASSERT_FALSE(nameless);
  EXPECT_EQ(nameless.error().errc(), Errc::disconnected);
  for (const auto* bad : {"", ":9092", "host:port", "[::1", "host:", "a:1,", ",a:1"}) {
    const auto refused = connect(bad, options);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().errc(), Errc::invalid_argument) << bad;
  }
}

TEST(Connect, ANameIsResolved) {
  TempDir directory;
  RealBroker broker(directory.path());
  const auto client = connect("localhost:" + broker.address().substr(10));
  ASSERT_TRUE(client) << client.error().to_string();
}

}  // namespace
}  // namespace runnel::client
