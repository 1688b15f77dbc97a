// What a connection promises whatever is asked: bytes may come in any pieces, answers go out in
// order, and who sends nonsense loses that connection only.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/find_coordinator.h"
#include "protocol/kafka/heartbeat.h"
#include "protocol/kafka/list_groups.h"
#include "protocol/kafka/list_offsets.h"
#include "protocol/kafka/metadata.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_fetch.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::ApiVersionsRequest;
using kafka::ApiVersionsResponse;
using kafka::KafkaError;

/// Some requests in a row, classic and flexible, answered at once and later.
std::string conversation(KafkaClient& client) {
  ApiVersionsRequest versions;
  versions.client_software_name = "test";
  versions.client_software_version = "1";
  std::string bytes = client.frame(3, versions);
  kafka::FindCoordinatorRequest find;
  find.keys = {"billing"};
  bytes += client.frame(4, find);
  kafka::OffsetCommitRequest commit;
  commit.group_id = "billing";
  commit.topics.resize(1);
  commit.topics[0].name = "orders";
  commit.topics[0].partitions = {{PartitionIndex(2), Offset(11), LeaderEpoch(0), "m"}};
  bytes += client.frame(8, commit);
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "billing";
  bytes += client.frame(5, fetch);
  bytes += client.frame(2, kafka::HeartbeatRequest{{}, "billing", 1, "me", std::nullopt});
  return bytes + client.frame(5, kafka::ListGroupsRequest{});
}

TEST(KafkaSession, AnswersDoNotDependOnHowTheBytesArrive) {
  KafkaWorld whole;
  auto reference = whole.connect();
  const std::string bytes = conversation(reference);
  reference.feed(bytes);
  std::string expected;
  const auto keep = [&]<class R>(R, std::int16_t version) {
    reference.wait_for_bytes(1);
    const std::string sent = reference.connection.sent;
    reference.await<R>(version);
    expected += sent.substr(0, sent.size() - reference.connection.sent.size());
  };
  keep(ApiVersionsResponse{}, 3);
  keep(kafka::FindCoordinatorResponse{}, 4);
  keep(kafka::OffsetCommitResponse{}, 8);
  keep(kafka::OffsetFetchResponse{}, 5);
  keep(kafka::HeartbeatResponse{}, 2);
  keep(kafka::ListGroupsResponse{}, 5);
  ASSERT_FALSE(expected.empty());
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    KafkaWorld w;
    auto c = w.connect();
    c.feed(std::string_view(bytes).substr(0, at));
    c.feed(std::string_view(bytes).substr(at));
    c.wait_for_bytes(expected.size());
    ASSERT_EQ(c.connection.sent, expected) << "split at " << at;
  }
  KafkaWorld w;
  auto c = w.connect();
  for (const char byte : bytes) c.feed(std::string_view(&byte, 1));
  c.wait_for_bytes(expected.size());
  EXPECT_EQ(c.connection.sent, expected);
}

TEST(KafkaSession, AMalformedFrameClosesItsConnectionOnly) {
  KafkaWorld w;
  auto good = w.connect();
  std::string truncated;
  {
    auto scribe = w.connect();
    const std::string frame = scribe.frame(5, kafka::ListGroupsRequest{{}, {"Stable"}, {}});
    truncated = frame.substr(0, frame.size() - 4);
    truncated[3] = static_cast<char>(truncated.size() - kafka::kLengthBytes);
  }
  const std::vector<std::string> nonsense = {
      truncated,
      std::string("\xff\xff\xff\xff", 4),                         // a negative length
      std::string("\x7f\xff\xff\xff", 4),                         // a huge one
      std::string("\0\0\0\0", 4),                                 // no header
      std::string("\0\0\0\x0a\0\x0b\0\x63\0\0\0\1\xff\xff", 14),  // JoinGroup version 99
      std::string("\0\0\0\x0a\x7f\0\0\0\0\0\0\1\xff\xff", 14),    // an unknown API
  };
  for (const std::string& bytes : nonsense) {
    auto bad = w.connect();
    bad.feed(bytes);
    EXPECT_TRUE(bad.connection.closed);
    EXPECT_TRUE(bad.connection.sent.empty());
  }
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
  EXPECT_EQ(good.call<kafka::ListGroupsResponse>(5, kafka::ListGroupsRequest{}).error,
            KafkaError::kNone);
}

TEST(KafkaSession, WhatWasAskedBeforeNonsenseIsAnswered) {
  KafkaWorld w;
  auto c = w.connect();
  c.feed(c.frame(0, kafka::HeartbeatRequest{}) + std::string("\0\0\0\0", 4));
  EXPECT_TRUE(c.receive<kafka::HeartbeatResponse>(0));
  EXPECT_TRUE(c.connection.closed);
}

TEST(KafkaSession, AnUnknownApiVersionsVersionIsAnsweredInVersion0) {
  KafkaWorld w;
  auto c = w.connect();
  // Version 99, correlation id 1, client id "x", tags, two compact strings, tags.
  c.feed(std::string("\0\0\0\x12\0\x12\0\x63\0\0\0\1\0\1x\0\2a\2b\0\0\0", 22));
  const auto answer = c.receive<ApiVersionsResponse>(0);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, KafkaError::kUnsupportedVersion);
  ASSERT_EQ(answer->apis.size(), 1u);
  EXPECT_FALSE(c.connection.closed);
}

TEST(KafkaSession, WhoDoesNotReadGetsOneAnswerMoreThanTheMark) {
  KafkaWorld w;
  ASSERT_TRUE(w.store.create_topic({"wide", 10'000, {}}));
  auto c = w.connect();
  c.connection.reads = false;
  kafka::MetadataRequest all;
  all.topics.reset();
  constexpr int kRequests = 200;
  std::string bytes;
  for (int i = 0; i < kRequests; ++i) bytes += c.frame(12, all);
  const std::size_t half = bytes.size() / 2 + 1;
  c.feed(bytes.substr(0, half));
  while (c.connection.unsent <= kOutputLowMark) {
    ASSERT_TRUE(c.connection.posts->wait());
    c.run_posted();
  }
  c.feed(bytes.substr(half));  // was on its way
  EXPECT_EQ(c.connection.pauses, 1);
  c.session->shutting_down();  // the end of its stream: it may still read
  for (int i = 0; i < kRequests; ++i) {
    std::optional<kafka::MetadataResponse> answer;
    while (!(answer = c.receive<kafka::MetadataResponse>(12))) {
      if (c.connection.unsent <= kOutputLowMark) {
        ASSERT_TRUE(c.connection.posts->wait()) << i << " answers";
        continue;
      }
      c.connection.take_output(*c.session);
    }
    ASSERT_EQ(answer->topics.size(), 2U);
  }
  constexpr std::uint64_t kLargestAnswer = 512u << 10;
  EXPECT_LE(c.connection.most_unsent, kOutputLowMark + kLargestAnswer);
  EXPECT_TRUE(c.connection.closed);
}

TEST(KafkaSession, EveryAdvertisedApiIsOneThatCanBeRead) {
  KafkaWorld w;
  auto c = w.connect();
  const auto answer = c.call<ApiVersionsResponse>(0, ApiVersionsRequest{});
  EXPECT_GT(answer.apis.size(), 20u);
  for (const auto& api : answer.apis) {
    const auto* known = kafka::find_api(api.key);
    ASSERT_NE(known, nullptr) << api.key;
    EXPECT_LE(api.min_version, api.max_version);
    EXPECT_TRUE(known->has(api.max_version)) << known->name;
  }
}

// ---------------------------------------------------------------- memory
/// A connection that has announced a frame of 1 MiB and sent so much of it.
std::unique_ptr<KafkaClient> slow_sender(KafkaWorld& w, std::size_t sent) {
  auto client = std::make_unique<KafkaClient>(w.service.factory());
  client->feed(std::string("\0\x10\0\0", 4) + std::string(sent, '\0'));
  return client;
}

TEST(KafkaSession, AnnouncingALengthCostsNobodyAnything) {
  KafkaWorld w;
  std::vector<std::unique_ptr<KafkaClient>> announcers;
  for (int i = 0; i < 2000; ++i) announcers.push_back(slow_sender(w, 0));
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
  for (int i = 0; i < 2000; ++i) announcers.push_back(slow_sender(w, 1));
  EXPECT_FALSE(w.gate->has_waiters());
  auto honest = w.connect();
  kafka::ListGroupsRequest large;
  large.states_filter.assign(1000, std::string(500, 's'));
  honest.call<kafka::ListGroupsResponse>(5, large);
}

/// A look-up that FakeStore::set_find_offset() can hold up.
kafka::ListOffsetsRequest find_time() {
  kafka::ListOffsetsRequest request;
  request.topics.resize(1);
  request.topics[0].name = "orders";
  request.topics[0].partitions.resize(1);
  request.topics[0].partitions[0].index = PartitionIndex(1);
  request.topics[0].partitions[0].timestamp = Timestamp(5);
  return request;
}

TEST(KafkaSession, WhatIsDoneAfterItsClientHasGoneLeavesNothing) {
  KafkaWorld w;
  std::promise<void> begun;
  std::promise<void> gone;
  w.store.set_find_offset([&, is_gone = gone.get_future().share()] {
    begun.set_value();
    is_gone.wait();
  });
  {
    KafkaClient client = w.connect();
    client.send(7, find_time());
    begun.get_future().wait();
    EXPECT_GT(w.store.memory().held_bytes(), 0u);
  }
  gone.set_value();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (w.store.memory().held_bytes() > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST(KafkaSession, SmallRequestsDoNotWaitForLargeOnes) {
  KafkaWorld w;
  std::vector<std::unique_ptr<KafkaClient>> senders;
  while (!w.gate->has_waiters()) senders.push_back(slow_sender(w, 200'000));
  ASSERT_LT(senders.size(), 200u);
  for (int i = 0; i < 10; ++i) {
    KafkaClient& client = *senders.emplace_back(std::make_unique<KafkaClient>(w.service.factory()));
    kafka::ListGroupsRequest request;
    request.states_filter.assign(100, std::string(500, 's'));
    client.call<kafka::ListGroupsResponse>(5, request);
  }
}

TEST(KafkaSession, AFrameThatTheBrokerDoesNotReadIsNotOverdue) {
  KafkaWorld w;
  std::promise<void> answer;
  w.store.set_find_offset([may = answer.get_future().share()] { may.wait(); });
  KafkaClient c = w.connect();
  c.connection.reads = false;
  c.connection.unsent = kOutputLowMark;  // of an answer that it still takes
  c.send(7, find_time());
  kafka::ListGroupsRequest next;
  next.states_filter.assign(100, std::string(500, 's'));
  const std::string frame = c.frame(5, next);
  c.feed(frame.substr(0, frame.size() / 2));
  const std::chrono::steady_clock::time_point start{};
  EXPECT_EQ(c.session->overdue(start), "");
  const auto late = kFrameGrace + std::chrono::seconds(1);
  answer.set_value();
  c.await<kafka::ListOffsetsResponse>(7);
  ASSERT_EQ(c.connection.pauses, 1);
  EXPECT_EQ(c.session->overdue(start + late), "") << "its rest lies in the socket";
  EXPECT_EQ(c.session->overdue(start + 2 * late), "");
  c.connection.take_output(*c.session);
  ASSERT_EQ(c.connection.pauses, 0);
  EXPECT_EQ(c.session->overdue(start + 3 * late), "") << "it is read again";
  EXPECT_NE(c.session->overdue(start + 4 * late), "") << "and does not come";
  c.feed(frame.substr(frame.size() / 2));
  c.await<kafka::ListGroupsResponse>(5);
}

TEST(KafkaSession, APauseBetweenTwoLooksDoesNotCount) {
  KafkaWorld w;
  std::promise<void> answer;
  w.store.set_find_offset([may = answer.get_future().share()] { may.wait(); });
  KafkaClient c = w.connect();
  c.connection.reads = false;
  c.connection.unsent = kOutputLowMark;
  c.send(7, find_time());
  c.feed(std::string("\0\0\1\0", 4));
  const std::chrono::steady_clock::time_point start{};
  EXPECT_EQ(c.session->overdue(start), "");
  answer.set_value();
  c.await<kafka::ListOffsetsResponse>(7);
  c.connection.take_output(*c.session);
  EXPECT_EQ(c.session->overdue(start + kFrameGrace + std::chrono::seconds(1)), "");
}

TEST(KafkaSession, WhoHoldsMemoryThatOthersWaitForGoesOnSoon) {
  KafkaWorld w;
  const auto sender = slow_sender(w, 200'000);
  const std::chrono::steady_clock::time_point start{};
  EXPECT_EQ(sender->session->overdue(start), "");
  EXPECT_EQ(sender->session->overdue(start + std::chrono::seconds(5)), "");
  std::vector<std::unique_ptr<KafkaClient>> others;
  while (!w.gate->has_waiters()) others.push_back(slow_sender(w, 200'000));
  EXPECT_NE(sender->session->overdue(start + std::chrono::seconds(5)), "");
}

}  // namespace
}  // namespace runnel::broker
