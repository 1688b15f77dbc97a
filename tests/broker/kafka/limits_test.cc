// What happens at the limits: who waits pays, who is new finds room, and the operator is told.
#include <gtest/gtest.h>

#include "protocol/kafka/fetch.h"
#include "protocol/kafka/init_producer_id.h"
#include "protocol/kafka/join_group.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using kafka::FetchRequest;
using kafka::FetchResponse;
using kafka::KafkaError;

// ---------------------------------------------------------------- fetches that wait
FetchRequest fetch_of(std::string_view topic, std::int32_t partitions) {
  FetchRequest request;
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  auto& asked = request.topics.emplace_back();
  asked.name = topic;
  for (std::int32_t i = 0; i < partitions; ++i) {
    asked.partitions.emplace_back().index = PartitionIndex(i);
    asked.partitions.back().max_bytes = 1000;
  }
  return request;
}

TEST(WaitingFetches, ArePaidFor) {
  constexpr std::int32_t kPartitions = 2'000;
  KafkaWorld w;
  ASSERT_TRUE(w.store.create_topic({"wide", kPartitions, {}}));
  const FetchRequest wide = fetch_of("wide", kPartitions);
  std::vector<std::unique_ptr<KafkaClient>> clients;
  do {
    ASSERT_LT(clients.size(), 100u) << "somebody has to be told that there is no room";
    clients.push_back(std::make_unique<KafkaClient>(w.service.factory()));
    clients.back()->send(11, wide);
  } while (clients.back()->connection.sent.empty());
  const auto answer = clients.back()->await<FetchResponse>(11);
  EXPECT_EQ(answer.error, KafkaError::kNone);
  EXPECT_EQ(answer.topics.at(0).partitions.size(), std::size_t{kPartitions});
  EXPECT_GE(w.store.memory().held_bytes(), (clients.size() - 1) * kPartitions * 300);
  EXPECT_LE(w.store.memory().held_bytes(), w.store.memory().limit_bytes() / 2);
  KafkaClient few = w.connect();
  few.send(11, fetch_of("orders", 4));
  EXPECT_TRUE(few.connection.sent.empty()) << "small ones wait: they would only ask again";
  clients.front()->session.reset();
  KafkaClient next = w.connect();
  next.send(11, wide);
  EXPECT_TRUE(next.connection.sent.empty()) << "its memory has come back";
}

TEST(WaitingFetches, APartitionNamedTwiceCountsAsItWasNamedLast) {
  KafkaWorld w;
  auto c = w.connect();
  FetchRequest request = fetch_of("orders", 2);
  request.topics.push_back(request.topics[0]);
  request.topics[1].partitions[0].fetch_offset = Offset(7);
  request.topics[1].partitions[1].index = PartitionIndex(3);
  for (int i = 0; i < 1000; ++i) {
    request.topics[1].partitions.push_back(request.topics[1].partitions[0]);
  }
  const auto answer = c.call<FetchResponse>(11, request);
  ASSERT_EQ(answer.topics.size(), 2u);
  ASSERT_EQ(answer.topics[0].partitions.size(), 2u);
  EXPECT_EQ(answer.topics[0].partitions[0].error, KafkaError::kOffsetOutOfRange);
  EXPECT_EQ(answer.topics[0].partitions[1].error, KafkaError::kNone);
  ASSERT_EQ(answer.topics[1].partitions.size(), 1u);
  EXPECT_EQ(answer.topics[1].partitions[0].index, PartitionIndex(3));
}

// ---------------------------------------------------------------- what the operator is told
struct Told {
  std::vector<std::string> lines;
  NetLog log() {
    return [this](std::string_view line) { lines.emplace_back(line); };
  }
  bool says(std::size_t line, std::string_view what) const {
    return lines.size() > line && lines[line].find(what) != std::string::npos;
  }
};

TEST(Notices, OfClosedConnectionsAreFew) {
  Told every;
  Told few;
  KafkaOptions options = KafkaWorld::quick_options();
  options.log = every.log();
  options.notice = few.log();
  KafkaWorld w(options);
  const auto send_nonsense = [&] {
    auto c = w.connect();
    c.feed("\xff\xff\xff\xff");
    EXPECT_TRUE(c.connection.closed);
  };
  for (int i = 0; i < 3; ++i) send_nonsense();
  EXPECT_EQ(every.lines.size(), 3u);
  ASSERT_EQ(few.lines.size(), 1u);
  w.clock.advance(kNoticeInterval);
  send_nonsense();
  EXPECT_TRUE(few.says(1, "2 more")) << few.lines.back();
}

TEST(Notices, WhatIsTooLargeForTheMemorySaysSo) {
  Told told;
  KafkaOptions options = KafkaWorld::quick_options();
  options.notice = told.log();
  options.warn = told.log();
  options.configs = {{"message.max.bytes", "20000000"}};
  KafkaWorld w(options);
  ASSERT_LT(w.gate->largest_request(), 20'000'000u);
  EXPECT_TRUE(told.says(0, "message.max.bytes is 20000000"));
  auto c = w.connect();
  c.feed(std::string_view("\x01\x20\x00\x00", 4));
  EXPECT_TRUE(c.connection.closed);
  EXPECT_TRUE(told.says(1, "--memory"));
}

TEST(KafkaConnections, WhoHasBegunItsFirstRequestHasGreeted) {
  KafkaWorld w;
  auto c = w.connect();
  c.feed(std::string_view("\x00\x00\x01", 3));
  EXPECT_EQ(c.connection.sends, 0);
  c.feed(std::string_view("\x00", 1));
  EXPECT_EQ(c.connection.sends, 1) << "however long the rest takes";
  EXPECT_FALSE(c.connection.closed);
}

TEST(Notices, ThatALimitIsReachedIsSaidOnceInAWhile) {
  Told told;
  KafkaOptions options = KafkaWorld::quick_options();
  options.warn = told.log();
  options.groups.max_groups = 1;
  KafkaWorld w(options);
  auto c = w.connect();
  const auto join = [&](const std::string& group) {
    kafka::JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    request.protocol_type = "consumer";
    request.protocols = {{"range", {}}};
    return c.call<kafka::JoinGroupResponse>(3, request).error;
  };
  EXPECT_EQ(join("first"), KafkaError::kNone);
  w.pass(1s);
  EXPECT_TRUE(told.lines.empty());
  EXPECT_EQ(join("second"), KafkaError::kCoordinatorLoadInProgress);
  w.pass(1s);
  EXPECT_TRUE(told.says(0, "limit of 1 groups"));
  EXPECT_EQ(join("second"), KafkaError::kCoordinatorLoadInProgress);
  w.pass(2s);
  EXPECT_EQ(told.lines.size(), 1u);
  w.clock.advance(kLimitWarningInterval);
  w.service.tick();
  EXPECT_TRUE(told.says(1, "and 1 joins"));
}

}  // namespace
}  // namespace runnel::broker
