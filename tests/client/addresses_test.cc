// Several addresses for one broker, some of them dead: no dead one uses up the others' time.
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "client/src/core.h"
#include "tests/client/listeners.h"

namespace runnel::client {
namespace {

using namespace std::chrono_literals;

PlayedBroker::Act hang_up_on_changes(const native::Request& request) {
  if (std::holds_alternative<native::Statistics>(request))
    return PlayedBroker::say(native::StatisticsReply{});
  return PlayedBroker::hang_up();
}

/// A port on which nobody listens.
std::string refusing() {
  return Listener().name();
}

ClientOptions within(Milliseconds time) {
  ClientOptions options;
  options.connect_timeout = time;
  options.reconnect_backoff = 1ms;
  options.reconnect_backoff_max = 10ms;
  return options;
}

TEST(Addresses, ADeadFirstAddressLeavesTimeForTheSecond) {
  PlayedBroker broker(hang_up_on_changes);
  const BlackHole hole;
  const Listener mute;
  for (const std::string& dead : {hole.name(), mute.name(), refusing()}) {
    auto client = connect(dead + "," + broker.name(), within(2s));
    ASSERT_TRUE(client) << dead << ": " << client.error().to_string();
  }
}

TEST(Addresses, ANamesAddressesShareTheTimeAndTheLivingOneIsRemembered) {
  PlayedBroker broker(hang_up_on_changes);
  const BlackHole hole;
  const Listener mute;
  const Resolver three = [&](const Endpoint&) {
    return std::vector<SocketAddress>{hole.address(), mute.address(), broker.address()};
  };
  auto client = make_client(within(2s), socket_transport({{"name.invalid", "9092"}}, 2s, three));
  ASSERT_TRUE(client) << client.error().to_string();
  EXPECT_EQ(mute.visits(), 1);
  EXPECT_FALSE(client->admin().delete_topic("t").get());
  EXPECT_TRUE(client->admin().statistics().get());
  EXPECT_EQ(broker.greeted(), 2);
  EXPECT_EQ(mute.visits(), 0);
}

TEST(Addresses, AResolverThatHangsIsLeftForTheNextEndpoint) {
  PlayedBroker broker(hang_up_on_changes);
  std::promise<void> release;
  std::promise<void> released;
  const Resolver hangs = [&, waits = release.get_future().share()](const Endpoint& endpoint) {
    waits.wait();
    auto found = resolve_numeric({"127.0.0.1", endpoint.port});
    released.set_value();
    return found;
  };
  {
    auto client = make_client(
        within(1s),
        socket_transport({{"slow.invalid", "9092"}, {"127.0.0.1", broker.port()}}, 1s, hangs));
    EXPECT_TRUE(client) << client.error().to_string();
  }
  release.set_value();
  released.get_future().wait();
}

TEST(Addresses, WhenAllAreDeadEachIsNamed) {
  const std::string one = refusing();
  const std::string two = refusing();
  const auto nobody = connect(one + "," + two, within(200ms));
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().errc(), Errc::disconnected);
  EXPECT_NE(nobody.error().message().find(one), std::string::npos) << nobody.error().message();
  EXPECT_NE(nobody.error().message().find(two), std::string::npos) << nobody.error().message();
}

TEST(Addresses, OnlyDeadOnesEndWithTheTime) {
  const BlackHole hole;
  const Listener mute;
  const auto nobody = connect(hole.name() + "," + mute.name(), within(200ms));
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().errc(), Errc::disconnected);
}

}  // namespace
}  // namespace runnel::client
