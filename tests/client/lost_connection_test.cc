// What becomes of calls whose connection is lost: reads go out again, changes say that they may
// have been done.
#include <gtest/gtest.h>

#include "runnel/client.h"
#include "tests/client/listeners.h"
#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

ClientOptions quick() {
  ClientOptions options;
  options.reconnect_backoff = 1ms;
  options.reconnect_backoff_max = 10ms;
  return options;
}

native::TopicsReply one_topic() {
  native::TopicDescription topic;
  topic.name = "t";
  return {{topic}};
}
native::GroupsReply one_group() {
  native::GroupDescription group;
  group.group = "g";
  return {{group}};
}

/// A call and what answers it.
struct Call {
  std::string name;
  std::function<std::optional<Failure>(Client&)> run;
  native::Response answer;
};

/// Waits for a Pending and keeps only what failed.
template <class T>
std::optional<Failure> failure_of(Pending<T> pending) {
  auto outcome = pending.get();
  if (outcome) return std::nullopt;
  return outcome.error();
}

TopicSpec wanted(bool if_not_exists) {
  return {"t", 1, {}, if_not_exists};
}

std::vector<Call> harmless() {
  return {
      {"fetch", [](Client& c) { return failure_of(c.fetch({})); }, native::FetchReply{}},
      {"list_topics", [](Client& c) { return failure_of(c.admin().list_topics()); }, one_topic()},
      {"describe_topics", [](Client& c) { return failure_of(c.admin().describe_topics({"t"})); },
       one_topic()},
      {"list_offsets", [](Client& c) { return failure_of(c.admin().list_offsets({})); },
       native::ListOffsetsReply{}},
      {"list_groups", [](Client& c) { return failure_of(c.admin().list_groups()); }, one_group()},
      {"describe_group", [](Client& c) { return failure_of(c.admin().describe_group("g")); },
       one_group()},
      {"group_offsets", [](Client& c) { return failure_of(c.admin().group_offsets("g")); },
       native::GroupOffsetsReply{}},
      {"statistics", [](Client& c) { return failure_of(c.admin().statistics()); },
       native::StatisticsReply{}},
      {"create_topic if_not_exists",
       [](Client& c) { return failure_of(c.admin().create_topic(wanted(true))); }, one_topic()},
  };
}

std::vector<Call> harmful() {
  return {
      {"create_topic", [](Client& c) { return failure_of(c.admin().create_topic(wanted(false))); },
       one_topic()},
      {"delete_topic", [](Client& c) { return failure_of(c.admin().delete_topic("t")); },
       native::Done{}},
      {"alter_topic",
       [](Client& c) {
         return failure_of(c.admin().alter_topic({"t", {}, {}, 2}));
       },
       one_topic()},
      {"delete_records",
       [](Client& c) {
         return failure_of(c.admin().delete_records({"t", 0}, 5));
       },
       native::DeleteRecordsReply{}},
      {"delete_group", [](Client& c) { return failure_of(c.admin().delete_group("g")); },
       native::Done{}},
      {"seek_group",
       [](Client& c) {
         return failure_of(c.admin().seek_group("g", {{{"t", 0}, 5, "", std::nullopt}}));
       },
       native::AppendReply{}},
  };
}

TEST(LostConnection, WhatIsHarmlessTwiceIsSentAgain) {
  for (const Call& call : harmless()) {
    std::atomic<int> asked = 0;
    PlayedBroker broker([&](const native::Request&) {
      return ++asked < 3 ? PlayedBroker::hang_up() : PlayedBroker::say(call.answer);
    });
    auto client = connect(broker.name(), quick());
    ASSERT_TRUE(client) << client.error().to_string();
    const auto failure = call.run(*client);
    EXPECT_FALSE(failure) << call.name << ": " << failure->to_string();
    EXPECT_EQ(asked, 3) << call.name;
  }
}

TEST(LostConnection, AChangeIsSentOnceAndMayHaveBeenDone) {
  for (const Call& call : harmful()) {
    std::atomic<int> asked = 0;
    PlayedBroker broker([&](const native::Request& request) {
      if (std::holds_alternative<native::Statistics>(request))
        return PlayedBroker::say(native::StatisticsReply{});
      ++asked;
      return PlayedBroker::hang_up();
    });
    auto client = connect(broker.name(), quick());
    ASSERT_TRUE(client) << client.error().to_string();
    const auto failure = call.run(*client);
    ASSERT_TRUE(failure) << call.name;
    EXPECT_EQ(failure->errc(), Errc::disconnected) << call.name;
    EXPECT_EQ(failure->action(), Action::maybe_persisted) << call.name;
    EXPECT_TRUE(client->admin().statistics().get());  // over the next connection, behind a repeat
    EXPECT_EQ(asked, 1) << call.name;
  }
}

TEST(LostConnection, ADrainingBrokersRefusalOfAReadIsNotTheLastWord) {
  std::atomic<int> asked = 0;
  PlayedBroker broker([&](const native::Request&) {
    if (++asked > 1) return PlayedBroker::say(one_topic());
    native::Failure closing;
    closing.code = ErrorCode::kShuttingDown;
    closing.action = ErrorAction::kRetry;
    closing.message = "the connection is being closed";
    return PlayedBroker::Act{closing, /*hang_up=*/true};
  });
  auto client = connect(broker.name(), quick());
  ASSERT_TRUE(client) << client.error().to_string();
  const auto topics = client->admin().list_topics().get();
  ASSERT_TRUE(topics) << topics.error().to_string();
  EXPECT_EQ(asked, 2);
}

TEST(LostConnection, RepeatsEndWithTheRequestsTime) {
  PlayedBroker broker([](const native::Request&) { return PlayedBroker::hang_up(); });
  ClientOptions options = quick();
  options.request_timeout = 200ms;
  auto client = connect(broker.name(), options);
  ASSERT_TRUE(client) << client.error().to_string();
  const auto read = failure_of(client->admin().list_topics());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->action(), Action::retry) << read->to_string();
  EXPECT_NE(read->message().find("connections lost"), std::string::npos) << read->message();
  const auto created = failure_of(client->admin().create_topic(wanted(true)));
  ASSERT_TRUE(created);
  EXPECT_EQ(created->action(), Action::maybe_persisted) << created->to_string();
}

TEST(LostConnection, AnAnswerThatMakesNoSenseIsNotAskedForAgain) {
  std::atomic<int> asked = 0;
  PlayedBroker broker([&](const native::Request&) {
    ++asked;
    return PlayedBroker::say(native::Done{});
  });
  auto client = connect(broker.name(), quick());
  ASSERT_TRUE(client) << client.error().to_string();
  const auto failure = failure_of(client->admin().list_topics());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->errc(), Errc::malformed);
  EXPECT_EQ(asked, 1);
}

class LostConnectionReal : public RealFixture {
 protected:
  void SetUp() override { connect_client(); }
};

TEST_F(LostConnectionReal, AWaitingFetchGoesOnOverANewConnection) {
  make_topic("t");
  auto fetched = client->fetch({{{{"t", 0}, 0}}, 1u << 20, 1, 20s, {}});
  // Requests of one connection are read in order: the broker has the fetch, too.
  ASSERT_TRUE(client->admin().list_topics().get());
  broker->cut_connections();
  produce("t", 1);
  const auto got = fetched.get();
  ASSERT_TRUE(got) << got.error().to_string();
  ASSERT_EQ(got->size(), 1U);
  EXPECT_FALSE(got->front().batches.empty());
}

TEST_F(LostConnectionReal, AReadOutlivesARestartOfTheBroker) {
  make_topic("t");
  auto fetched = client->fetch({{{{"t", 0}, 0}}, 1u << 20, 1, 20s, {}});
  ASSERT_TRUE(client->admin().list_topics().get());
  broker->stop_gracefully();
  broker->start();
  produce("t", 1);
  const auto got = fetched.get();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_FALSE(got->front().batches.empty());
}

}  // namespace
}  // namespace runnel::client
