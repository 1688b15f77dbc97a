// KIP-848 as clients see it: topics by id, members by epoch.
#include <gtest/gtest.h>

#include "protocol/kafka/consumer_group_describe.h"
#include "protocol/kafka/consumer_group_heartbeat.h"
#include "protocol/kafka/list_groups.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_delete.h"
#include "protocol/kafka/offset_fetch.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using Heartbeat = kafka::ConsumerGroupHeartbeatRequest;
using HeartbeatAnswer = kafka::ConsumerGroupHeartbeatResponse;

constexpr std::int16_t kNewest = 1;

Heartbeat join_of(std::string member_id) {
  Heartbeat join;
  join.group_id = "billing";
  join.member_id = std::move(member_id);
  join.rebalance_timeout_ms = 60'000;
  join.subscribed_topic_names = {"orders", "none"};
  join.topic_partitions.emplace();
  return join;
}

std::size_t partitions_of(const HeartbeatAnswer& answer) {
  std::size_t partitions = 0;
  if (!answer.assignment) return partitions;
  for (const auto& t : answer.assignment->topic_partitions) partitions += t.partitions.size();
  return partitions;
}

TEST(KafkaConsumerGroups, AMemberGetsTopicsByIdAndCommitsByEpoch) {
  KafkaWorld w;
  auto c = w.connect();
  const std::string id = Uuid::from_random(3, 4).to_string();
  const auto joined = c.call<HeartbeatAnswer>(kNewest, join_of(id));
  ASSERT_EQ(joined.error, KafkaError::kNone) << joined.error_message.value_or("");
  EXPECT_EQ(joined.member_id, id);
  EXPECT_GT(joined.heartbeat_interval_ms, 0);
  ASSERT_TRUE(joined.assignment);
  ASSERT_EQ(joined.assignment->topic_partitions.size(), 1u);
  EXPECT_EQ(joined.assignment->topic_partitions[0].topic_id, w.store.describe_topic("orders")->id);
  EXPECT_EQ(partitions_of(joined), 4u);

  kafka::OffsetCommitRequest commit;
  commit.group_id = "billing";
  commit.member_id = id;
  commit.generation_or_member_epoch = joined.member_epoch;
  commit.topics.resize(1);
  commit.topics[0].name = "orders";
  commit.topics[0].partitions = {{PartitionIndex(0), Offset(3), LeaderEpoch(0), ""}};
  const auto error = [&](std::int16_t version) {
    return c.call<kafka::OffsetCommitResponse>(version, commit).topics.at(0).partitions.at(0).error;
  };
  EXPECT_EQ(error(9), KafkaError::kNone);
  EXPECT_EQ(error(8), KafkaError::kUnsupportedVersion) << "it knows no epochs";
  commit.generation_or_member_epoch += 1;
  EXPECT_EQ(error(9), KafkaError::kStaleMemberEpoch);

  kafka::OffsetFetchRequest fetch;
  fetch.groups.resize(1);
  fetch.groups[0].group_id = "billing";
  fetch.groups[0].member_id = id;
  fetch.groups[0].member_epoch = joined.member_epoch;
  auto fetched = c.call<kafka::OffsetFetchResponse>(9, fetch);
  EXPECT_EQ(fetched.groups.at(0).error, KafkaError::kNone);
  EXPECT_EQ(fetched.groups[0].topics.at(0).partitions.at(0).committed_offset, Offset(3));
  fetch.groups[0].member_epoch += 1;
  EXPECT_EQ(c.call<kafka::OffsetFetchResponse>(9, fetch).groups.at(0).error,
            KafkaError::kStaleMemberEpoch);

  kafka::OffsetDeleteRequest forget;
  forget.group_id = "billing";
  forget.topics = {{"orders", {{PartitionIndex(0)}}}};
  EXPECT_EQ(c.call<kafka::OffsetDeleteResponse>(0, forget).topics.at(0).partitions.at(0).error,
            KafkaError::kGroupSubscribedToTopic);
}

TEST(KafkaConsumerGroups, ASecondMemberGetsHalfOnceTheFirstGaveItUp) {
  KafkaWorld w;
  auto a = w.connect();
  auto b = w.connect();
  const std::string id_a = Uuid::from_random(1, 1).to_string();
  const std::string id_b = Uuid::from_random(2, 2).to_string();
  auto at_a = a.call<HeartbeatAnswer>(kNewest, join_of(id_a));
  EXPECT_EQ(partitions_of(at_a), 4u);
  auto at_b = b.call<HeartbeatAnswer>(kNewest, join_of(id_b));
  EXPECT_EQ(at_b.error, KafkaError::kNone);
  EXPECT_EQ(partitions_of(at_b), 0u) << "the first member still has them";
  Heartbeat beat;
  beat.group_id = "billing";
  beat.member_id = id_a;
  beat.member_epoch = at_a.member_epoch;
  at_a = a.call<HeartbeatAnswer>(kNewest, beat);
  EXPECT_EQ(partitions_of(at_a), 2u);
  beat.member_epoch = at_a.member_epoch;
  beat.topic_partitions = at_a.assignment->topic_partitions;
  at_a = a.call<HeartbeatAnswer>(kNewest, beat);
  EXPECT_EQ(at_a.error, KafkaError::kNone);
  beat = Heartbeat{};
  beat.group_id = "billing";
  beat.member_id = id_b;
  beat.member_epoch = at_b.member_epoch;
  at_b = b.call<HeartbeatAnswer>(kNewest, beat);
  EXPECT_EQ(partitions_of(at_b), 2u);

  kafka::ConsumerGroupDescribeRequest ask;
  ask.groups = {"billing", "none", ""};
  ask.include_authorized_operations = true;
  const auto described = a.call<kafka::ConsumerGroupDescribeResponse>(kNewest, ask);
  ASSERT_EQ(described.groups.size(), 3u);
  EXPECT_EQ(described.groups[2].error, KafkaError::kInvalidGroupId);
  const auto& group = described.groups[0];
  EXPECT_EQ(group.error, KafkaError::kNone);
  EXPECT_EQ(group.assignor_name, "uniform");
  EXPECT_EQ(group.authorized_operations, 3400);
  ASSERT_EQ(group.members.size(), 2u);
  for (const auto& member : group.members) {
    EXPECT_EQ(member.client_id, "test");
    EXPECT_EQ(member.client_host, "/127.0.0.1");
    EXPECT_EQ(member.member_type, 1);
    ASSERT_EQ(member.target_assignment.topic_partitions.size(), 1u);
    EXPECT_EQ(member.target_assignment.topic_partitions[0].topic_name, "orders");
    EXPECT_EQ(member.target_assignment.topic_partitions[0].partitions.size(), 2u);
  }
  EXPECT_EQ(described.groups[1].error, KafkaError::kGroupIdNotFound);
  kafka::ListGroupsRequest list;
  list.types_filter = {"consumer"};
  EXPECT_EQ(a.call<kafka::ListGroupsResponse>(5, list).groups.size(), 1u);
}

TEST(KafkaConsumerGroups, ATopicMadeAnewIsGivenWithItsNewId) {
  KafkaWorld w;
  auto c = w.connect();
  const auto joined = c.call<HeartbeatAnswer>(kNewest, join_of("m"));
  ASSERT_EQ(partitions_of(joined), 4u);
  const Uuid before = joined.assignment->topic_partitions[0].topic_id;
  EXPECT_TRUE(w.store.delete_topic("orders"));
  EXPECT_TRUE(w.store.create_topic({"orders", 4, {}}));
  w.coordinator->tick(w.clock.monotonic());
  Heartbeat beat;
  beat.group_id = "billing";
  beat.member_id = "m";
  beat.member_epoch = joined.member_epoch;
  auto told = c.call<HeartbeatAnswer>(kNewest, beat);
  ASSERT_TRUE(told.assignment);
  EXPECT_TRUE(told.assignment->topic_partitions.empty());
  beat.topic_partitions.emplace();
  beat.member_epoch = told.member_epoch;
  told = c.call<HeartbeatAnswer>(kNewest, beat);
  ASSERT_EQ(partitions_of(told), 4u);
  EXPECT_EQ(told.assignment->topic_partitions[0].topic_id, w.store.describe_topic("orders")->id);
  EXPECT_NE(told.assignment->topic_partitions[0].topic_id, before);
}

TEST(KafkaConsumerGroups, PatternsVersionsAndErrors) {
  KafkaWorld w;
  EXPECT_TRUE(w.store.create_topic({"other", 2, {}}));
  auto c = w.connect();
  auto join = join_of(Uuid::from_random(5, 6).to_string());
  join.subscribed_topic_names.reset();
  join.subscribed_topic_regex = "o.*";
  EXPECT_EQ(partitions_of(c.call<HeartbeatAnswer>(kNewest, join)), 6u);
  join = join_of("");
  join.group_id = "old clients";
  const auto first = c.call<HeartbeatAnswer>(0, join);
  EXPECT_EQ(first.error, KafkaError::kNone);
  EXPECT_FALSE(first.member_id.value_or("").empty()) << "version 0 is given its id";
  EXPECT_EQ(c.call<HeartbeatAnswer>(kNewest, join).error, KafkaError::kInvalidRequest);
  auto beat = join_of(Uuid::from_random(8, 8).to_string());
  beat.member_epoch = 7;
  EXPECT_EQ(c.call<HeartbeatAnswer>(kNewest, beat).error, KafkaError::kUnknownMemberId);
  beat.group_id = "none";
  const auto answer = c.call<HeartbeatAnswer>(kNewest, beat);
  EXPECT_EQ(answer.error, KafkaError::kGroupIdNotFound);
  EXPECT_TRUE(answer.error_message);
}

}  // namespace
}  // namespace runnel::broker
