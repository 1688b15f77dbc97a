// Answers that clients of Kafka rely on without knowing: which of several mistakes is named, and
// what a request that names a thing twice is told. tests/kafka/differential found these.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "protocol/kafka/client_quotas.h"
#include "protocol/kafka/create_partitions.h"
#include "protocol/kafka/create_topics.h"
#include "protocol/kafka/delete_topics.h"
#include "protocol/kafka/join_group.h"
#include "protocol/kafka/list_offsets.h"
#include "protocol/kafka/metadata.h"
#include "protocol/kafka/offset_fetch.h"
#include "protocol/kafka/offset_for_leader_epoch.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

struct KafkaAnswers : testing::Test {
  KafkaWorld w;
  KafkaClient c = w.connect();
};

TEST_F(KafkaAnswers, MetadataNamesATopicOnce) {
  kafka::MetadataRequest request;
  request.topics.emplace(2);
  request.topics->at(0).name = request.topics->at(1).name = "orders";
  EXPECT_EQ(c.call<kafka::MetadataResponse>(12, request).topics.size(), 1u);
}

TEST_F(KafkaAnswers, MetadataKnowsIdsFromVersion12On) {
  kafka::MetadataRequest request;
  request.topics.emplace(2);
  request.topics->at(0).topic_id = w.store.describe_topic("orders")->id;
  request.topics->at(1).name = "other";  // passed over beside an id
  const auto found = c.call<kafka::MetadataResponse>(12, request);
  ASSERT_EQ(found.topics.size(), 1u);
  EXPECT_EQ(found.topics[0].name, "orders");
  const auto refused = c.call<kafka::MetadataResponse>(11, request);
  EXPECT_TRUE(refused.brokers.empty());
  ASSERT_FALSE(refused.topics.empty());
  EXPECT_EQ(refused.topics[0].error, KafkaError::kInvalidRequest);
}

TEST_F(KafkaAnswers, ATopicNamedTwiceIsRefusedOnce) {
  kafka::CreatePartitionsRequest grow;
  grow.topics.resize(2);
  for (auto& topic : grow.topics) {
    topic.name = "orders";
    topic.count = 9;
  }
  const auto grown = c.call<kafka::CreatePartitionsResponse>(3, grow);
  ASSERT_EQ(grown.topics.size(), 1u);
  EXPECT_EQ(grown.topics[0].error, KafkaError::kInvalidRequest);
  kafka::DeleteTopicsRequest remove;
  remove.topics.resize(2);
  remove.topics[0].name = "orders";
  remove.topics[1].topic_id = w.store.describe_topic("orders")->id;
  const auto removed = c.call<kafka::DeleteTopicsResponse>(6, remove);
  ASSERT_EQ(removed.topics.size(), 1u);
  EXPECT_EQ(removed.topics[0].error, KafkaError::kInvalidRequest);
  EXPECT_TRUE(w.store.describe_topic("orders"));
}

TEST_F(KafkaAnswers, DeleteTopicsWantsNameOrId) {
  kafka::DeleteTopicsRequest request;
  request.topics.resize(5);
  for (const std::size_t both : {0, 1}) {
    request.topics[both].name = "orders";
    request.topics[both].topic_id = w.store.describe_topic("orders")->id;
  }
  request.topics[4].name = "";  // is a name, which the two before it don't have
  const auto answer = c.call<kafka::DeleteTopicsResponse>(6, request);
  ASSERT_EQ(answer.topics.size(), 5u) << "none of them names the same as another";
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answer.topics[i].error, KafkaError::kInvalidRequest) << i;
  }
  EXPECT_EQ(answer.topics[4].error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_TRUE(w.store.describe_topic("orders"));
}

TEST_F(KafkaAnswers, CreateTopicsFindsFaultInKafkasOrder) {
  kafka::CreateTopicsRequest request;
  request.topics.resize(4);
  request.topics[0] = {"orders", 0, 0, {}, {}};
  request.topics[1] = {"a b", 0, 0, {}, {}};
  request.topics[2] = {"c", 0, 0, {}, {{"no.such", "1"}}};
  request.topics[3] = {"d", 0, 0, {}, {{"retention.ms", " 5 "}}};
  const auto answer = c.call<kafka::CreateTopicsResponse>(7, request);
  ASSERT_EQ(answer.topics.size(), 4u);
  EXPECT_EQ(answer.topics[0].error, KafkaError::kTopicAlreadyExists);
  EXPECT_EQ(answer.topics[1].error, KafkaError::kInvalidTopicException);
  EXPECT_EQ(answer.topics[2].error, KafkaError::kInvalidConfig);
  EXPECT_EQ(answer.topics[3].error, KafkaError::kInvalidReplicationFactor);
}

TEST_F(KafkaAnswers, ARefusedJoinNamesNoProtocol) {
  kafka::JoinGroupRequest join;
  join.group_id = "billing";
  join.member_id = "nobody";
  join.session_timeout_ms = join.rebalance_timeout_ms = 10'000;
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", {}});
  const auto answer = c.call<kafka::JoinGroupResponse>(7, join);
  EXPECT_EQ(answer.error, KafkaError::kUnknownMemberId);
  EXPECT_EQ(answer.protocol_name, std::nullopt);
}

TEST_F(KafkaAnswers, AnUnknownKindOfTimestampIsSaidBeforeAnUnknownTopic) {
  kafka::ListOffsetsRequest request;
  request.topics.resize(1);
  request.topics[0].name = "nowhere";
  request.topics[0].partitions.resize(1);
  request.topics[0].partitions[0].timestamp = Timestamp(-3);
  const auto answer = c.call<kafka::ListOffsetsResponse>(6, request);
  EXPECT_EQ(answer.topics.at(0).partitions.at(0).error, KafkaError::kUnsupportedVersion);
}

TEST_F(KafkaAnswers, EpochsBeforeTheFirstEndAtTheStart) {
  kafka::OffsetForLeaderEpochRequest request;
  request.topics.resize(1);
  request.topics[0].name = "orders";
  request.topics[0].partitions.resize(2);
  request.topics[0].partitions[0].leader_epoch = LeaderEpoch(-3);
  request.topics[0].partitions[1].current_leader_epoch = LeaderEpoch(-2);
  const auto answer = c.call<kafka::OffsetForLeaderEpochResponse>(4, request);
  const auto& partitions = answer.topics.at(0).partitions;
  EXPECT_EQ(partitions.at(0).leader_epoch, LeaderEpoch(-3));
  EXPECT_EQ(partitions.at(0).end_offset, Offset(0));
  EXPECT_EQ(partitions.at(1).error, KafkaError::kFencedLeaderEpoch);
}

TEST_F(KafkaAnswers, AddressesHaveQuotasWithoutUsers) {
  kafka::DescribeClientQuotasRequest request;
  request.components = {{"user", 2, std::nullopt}, {"ip", 2, std::nullopt}};
  EXPECT_EQ(c.call<kafka::DescribeClientQuotasResponse>(1, request).error,
            KafkaError::kInvalidRequest);
  request.components = {{"user", 0, std::nullopt}};  // which one?
  EXPECT_EQ(c.call<kafka::DescribeClientQuotasResponse>(1, request).error,
            KafkaError::kInvalidRequest);
}

// ---------------------------------------------------------------- many topics at once
TEST_F(KafkaAnswers, OneRequestCreatesSoManyTopics) {
  kafka::MetadataRequest request;
  request.topics.emplace(1500);
  for (std::size_t i = 0; i < 1500; ++i) request.topics->at(i).name = "t" + std::to_string(i);
  const auto first = c.call<kafka::MetadataResponse>(12, request);
  ASSERT_EQ(first.topics.size(), 1500u);
  EXPECT_EQ(first.topics[999].error, KafkaError::kNone);
  EXPECT_EQ(first.topics[1000].error, KafkaError::kUnknownTopicOrPartition);
  const auto second = c.call<kafka::MetadataResponse>(12, request);
  EXPECT_EQ(second.topics.at(1499).error, KafkaError::kNone);
}

kafka::CreateTopicsRequest creation_of(int topics) {
  kafka::CreateTopicsRequest request;
  for (int i = 0; i < topics; ++i)
    request.topics.push_back({"t" + std::to_string(i), 1, 1, {}, {}});
  return request;
}

kafka::DeleteTopicsRequest deletion_of(int topics) {
  kafka::DeleteTopicsRequest request;
  for (int i = 0; i < topics; ++i) request.topics.emplace_back().name = "t" + std::to_string(i);
  return request;
}

kafka::MetadataRequest question_about(int topics) {
  kafka::MetadataRequest request;
  request.topics.emplace();
  for (int i = 0; i < topics; ++i) request.topics->emplace_back().name = "t" + std::to_string(i);
  return request;
}

/// Two connections, as many as there are workers, send `request`, which goes beyond kFew topics
/// only when a third one has its answer.
template <class M>
void expect_others_have_their_turn(KafkaWorld& w, std::int16_t version, const M& request) {
  constexpr int kFew = 50;
  std::promise<void> asked;
  std::promise<void> answered;
  std::atomic<int> changes = 0;
  w.store.set_topic_change(
      [&, is_asked = asked.get_future().share(), is_answered = answered.get_future().share()] {
        is_asked.wait();
        if (++changes > kFew) is_answered.wait();
      });
  std::array<KafkaClient, 2> greedy{w.connect(), w.connect()};
  for (KafkaClient& client : greedy) client.send(version, request);
  KafkaClient other = w.connect();
  kafka::OffsetFetchRequest fetch;
  fetch.group_id = "billing";
  other.send(5, fetch);
  asked.set_value();
  other.await<kafka::OffsetFetchResponse>(5);
  EXPECT_LE(changes, kFew + 2) << "one each of the two";
  answered.set_value();
  for (KafkaClient& client : greedy) client.wait_for_bytes(kafka::kLengthBytes);
  w.store.set_topic_change({});
}

TEST_F(KafkaAnswers, ManyTopicsLetOthersPass) {
  expect_others_have_their_turn(w, 7, creation_of(500));
  expect_others_have_their_turn(w, 6, deletion_of(500));
  expect_others_have_their_turn(w, 12, question_about(500));
}

TEST_F(KafkaAnswers, TopicsAreNotMadeForAClientThatHasGone) {
  constexpr int kFew = 50;
  std::promise<void> begun;
  std::promise<void> gone;
  std::atomic<int> changes = 0;
  w.store.set_topic_change([&, is_gone = gone.get_future().share()] {
    if (++changes != kFew) return;
    begun.set_value();
    is_gone.wait();
  });
  const std::uint64_t held = w.store.memory().held_bytes();
  {
    KafkaClient client = w.connect();
    client.send(7, creation_of(500));
    begun.get_future().wait();
  }
  gone.set_value();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (w.store.memory().held_bytes() > held && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_EQ(w.store.memory().held_bytes(), held) << "the request has ended";
  EXPECT_LT(changes, 2 * kFew) << "dropped, not finished";
}

}  // namespace
}  // namespace runnel::broker
