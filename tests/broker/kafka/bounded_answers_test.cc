// A short question must not have an answer that has no end.
#include "protocol/kafka/consumer_group_describe.h"
#include "protocol/kafka/consumer_group_heartbeat.h"
#include "protocol/kafka/create_topics.h"
#include "protocol/kafka/describe_groups.h"
#include "protocol/kafka/join_group.h"
#include "protocol/kafka/list_groups.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_fetch.h"
#include "protocol/kafka/sync_group.h"
#include "protocol/kafka/transactions.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::OffsetFetchRequest;
using kafka::OffsetFetchResponse;

constexpr std::size_t kPartitions = 4000;
const std::string kLargest(storage::kMaxOffsetMetadataBytes, 'm');

/// Groups that commit with as much metadata as may be.
struct BoundedAnswers : testing::Test {
  KafkaWorld w;
  KafkaClient c = w.connect();

  void commit(const std::string& group, std::size_t partitions) {
    EXPECT_TRUE(w.store.create_topic({group, static_cast<std::int32_t>(partitions), {}}));
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    request.topics.resize(1);
    request.topics[0].name = group;
    for (std::size_t i = 0; i < partitions; ++i) {
      request.topics[0].partitions.push_back(
          {PartitionIndex(static_cast<std::int32_t>(i)), Offset(1), LeaderEpoch(0), kLargest});
      if (request.topics[0].partitions.size() < 500 && i + 1 < partitions) continue;
      c.call<kafka::OffsetCommitResponse>(8, request);
      request.topics[0].partitions.clear();
    }
  }
};

TEST_F(BoundedAnswers, OffsetFetchAnswersAGroupOnce) {
  commit("a", 1);
  OffsetFetchRequest request;
  request.groups.resize(3);
  for (auto& group : request.groups) group.group_id = "a";
  request.groups[1].group_id = "b";
  const auto answer = c.call<OffsetFetchResponse>(8, request);
  ASSERT_EQ(answer.groups.size(), 3u);
  EXPECT_EQ(answer.groups[0].topics.size(), 1u);
  EXPECT_EQ(answer.groups[1].error, KafkaError::kNone);
  EXPECT_EQ(answer.groups[2].error, KafkaError::kInvalidRequest);
  EXPECT_TRUE(answer.groups[2].topics.empty());
}

TEST_F(BoundedAnswers, OffsetFetchHasRoomForSoManyPositions) {
  const std::uint64_t room = w.gate->largest_request();
  commit("large", kPartitions / 2);
  commit("larger", kPartitions / 2 + kPartitions / 4);
  ASSERT_LT(kPartitions / 2 * kLargest.size(), room);
  OffsetFetchRequest request;
  request.groups.resize(3);
  request.groups[0].group_id = "large";
  request.groups[1].group_id = "larger";
  request.groups[2].group_id = "none";
  const auto answer = c.call<OffsetFetchResponse>(8, request);
  ASSERT_EQ(answer.groups.size(), 3u);
  EXPECT_EQ(answer.groups[0].error, KafkaError::kNone);
  EXPECT_EQ(answer.groups[0].topics.at(0).partitions.size(), kPartitions / 2);
  for (const auto* group : {&answer.groups[1], &answer.groups[2]}) {
    EXPECT_EQ(group->error, KafkaError::kInvalidRequest);
    EXPECT_TRUE(group->topics.empty());
  }
}

TEST_F(BoundedAnswers, APartitionNamedManyTimesIsNotAnsweredSoOften) {
  commit("a", 1);
  OffsetFetchRequest request;
  request.group_id = "a";
  request.topics = {{"a", std::vector<PartitionIndex>(100'000, PartitionIndex(0))}};
  c.send(1, request);
  c.wait_for_bytes(kafka::kLengthBytes);
  EXPECT_LT(c.connection.sent.size(), w.gate->largest_request() / 4);
  const auto old = c.await<OffsetFetchResponse>(1);
  EXPECT_EQ(old.topics.at(0).partitions.size(), 100'000u);
  EXPECT_EQ(old.topics[0].partitions.back().error, KafkaError::kInvalidRequest);
  const auto answer = c.call<OffsetFetchResponse>(7, request);
  EXPECT_EQ(answer.error, KafkaError::kInvalidRequest);
  EXPECT_TRUE(answer.topics.empty());
}

/// Asks for all, and then, as clients do, for those alone that are to be asked for again; until all
/// are described. How often that was.
template <class Response, class Request>
int rounds_until_described(KafkaClient& c, std::int16_t version, std::vector<std::string> names) {
  int rounds = 0;
  while (!names.empty() && rounds < 10) {
    ++rounds;
    Request request;
    request.groups = names;
    const auto answer = c.call<Response>(version, request);
    EXPECT_EQ(answer.groups.size(), names.size());
    names.clear();
    for (const auto& group : answer.groups) {
      if (group.error == KafkaError::kCoordinatorLoadInProgress) {
        EXPECT_TRUE(group.members.empty());
        names.push_back(group.group_id);
      } else {
        EXPECT_EQ(group.error, KafkaError::kNone);
        EXPECT_EQ(group.members.size(), 1u);
      }
    }
  }
  EXPECT_TRUE(names.empty());
  return rounds;
}

/// A classic group with one member, whose metadata is as large as may be.
std::string make_classic_group(KafkaClient& c, const std::string& name) {
  const std::string metadata(kMaxMemberMetadataBytes - 100, 'm');
  kafka::JoinGroupRequest join;
  join.group_id = name;
  join.session_timeout_ms = 10'000;
  join.rebalance_timeout_ms = 60'000;
  join.protocol_type = "consumer";
  join.protocols = {{"range", as_bytes(metadata)}};
  const auto joined = c.call<kafka::JoinGroupResponse>(3, join);
  EXPECT_EQ(joined.error, KafkaError::kNone);
  kafka::SyncGroupRequest sync;
  sync.group_id = name;
  sync.generation_id = joined.generation_id;
  sync.member_id = joined.member_id;
  EXPECT_EQ(c.call<kafka::SyncGroupResponse>(3, sync).error, KafkaError::kNone);
  return name;
}

TEST_F(BoundedAnswers, ClassicGroupsAreDescribedInSeveralAnswers) {
  std::vector<std::string> names;
  while (names.size() * kMaxMemberMetadataBytes < 2 * w.gate->largest_request()) {
    names.push_back(make_classic_group(c, "g" + std::to_string(names.size())));
  }
  const int rounds =
      rounds_until_described<kafka::DescribeGroupsResponse, kafka::DescribeGroupsRequest>(c, 5,
                                                                                          names);
  EXPECT_GE(rounds, 2);
  EXPECT_LE(rounds, 4);
}

TEST(BoundedAnswersOfLittleMemory, AGroupThatIsTooLargeForAnyAnswerIsRefused) {
  KafkaWorld w(KafkaWorld::quick_options(), 8u << 20);
  KafkaClient c = w.connect();
  const std::size_t room = w.gate->largest_request();
  kafka::ConsumerGroupHeartbeatRequest join;
  join.group_id = "large";
  join.rebalance_timeout_ms = 60'000;
  join.topic_partitions.emplace();
  join.subscribed_topic_names.emplace();
  std::size_t bytes = 0;
  for (std::size_t m = 0; bytes <= room; ++m) {
    join.member_id = "m" + std::to_string(m);
    join.subscribed_topic_names->clear();
    for (std::size_t i = 0; i < kMaxMemberTopics; ++i) {
      join.subscribed_topic_names->push_back("t" + std::to_string(i));
      join.subscribed_topic_names->back().resize(storage::kMaxTopicNameBytes, 'x');
      bytes += storage::kMaxTopicNameBytes;
    }
    const auto joined = c.call<kafka::ConsumerGroupHeartbeatResponse>(1, join);
    ASSERT_EQ(joined.error, KafkaError::kNone) << joined.error_message.value_or("");
  }
  kafka::ConsumerGroupDescribeRequest request;
  request.groups = {"large", "none"};
  const auto answer = c.call<kafka::ConsumerGroupDescribeResponse>(1, request);
  ASSERT_EQ(answer.groups.size(), 2u);
  EXPECT_EQ(answer.groups[0].error, KafkaError::kInvalidRequest);
  EXPECT_TRUE(answer.groups[0].members.empty());
  EXPECT_EQ(answer.groups[1].error, KafkaError::kGroupIdNotFound) << "it took no room";
}

TEST_F(BoundedAnswers, ConsumerGroupsAreDescribedInSeveralAnswers) {
  constexpr std::int32_t kMany = 50'000;
  EXPECT_TRUE(w.store.create_topic({"many", kMany, {}}));
  // Each partition stands in the assignment and in the target.
  const std::size_t groups = 2 * w.gate->largest_request() / (2 * sizeof(PartitionIndex) * kMany);
  std::vector<std::string> names;
  kafka::ConsumerGroupHeartbeatRequest join;
  join.member_id = "m";
  join.rebalance_timeout_ms = 60'000;
  join.subscribed_topic_names = {"many"};
  join.topic_partitions.emplace();
  while (names.size() < groups) {
    join.group_id = "g" + std::to_string(names.size());
    names.push_back(join.group_id);
    EXPECT_EQ(c.call<kafka::ConsumerGroupHeartbeatResponse>(1, join).error, KafkaError::kNone);
  }
  const int rounds = rounds_until_described<kafka::ConsumerGroupDescribeResponse,
                                            kafka::ConsumerGroupDescribeRequest>(c, 1, names);
  EXPECT_GE(rounds, 2);
  EXPECT_LE(rounds, 4);
}

TEST_F(BoundedAnswers, AListOfGroupsThatIsTooLongIsRefused) {
  KafkaWorld little(KafkaWorld::quick_options(), 1u << 20);
  KafkaClient client = little.connect();
  const auto list = [&] {
    return client.call<kafka::ListGroupsResponse>(5, kafka::ListGroupsRequest{});
  };
  storage::CommitRequest commit;
  const auto commit_as = [&](std::size_t number) {
    commit.offsets = {{std::string(200, 'g') + std::to_string(number),
                       "orders",
                       PartitionIndex(0),
                       Offset(1),
                       LeaderEpoch(-1),
                       {}}};
    EXPECT_TRUE(little.store.commit_and_wait(commit).result);
  };
  commit_as(0);
  EXPECT_EQ(list().groups.size(), 1u);
  for (std::size_t i = 0; i * 200 < little.gate->largest_request(); ++i) commit_as(i);
  const auto answer = list();
  EXPECT_EQ(answer.error, KafkaError::kInvalidRequest);
  EXPECT_TRUE(answer.groups.empty());
}

TEST(BoundedAnswersOfLittleMemory, TopicsAreMadeWhereThereIsNoRoomToTellTheirConfigs) {
  KafkaWorld w(KafkaWorld::quick_options(), 4u << 20);
  KafkaClient c = w.connect();
  kafka::CreateTopicsRequest request;
  request.validate_only = true;
  for (int i = 0; i < 2'000; ++i) {
    auto& topic = request.topics.emplace_back();
    topic.name = "t" + std::to_string(i);
    topic.partitions = topic.replication_factor = 1;
  }
  c.send(7, request);
  c.wait_for_bytes(kafka::kLengthBytes);
  const auto answer = c.await<kafka::CreateTopicsResponse>(7);
  ASSERT_EQ(answer.topics.size(), request.topics.size());
  std::size_t told = 0;
  for (const auto& topic : answer.topics) {
    EXPECT_EQ(topic.error, KafkaError::kNone);
    EXPECT_EQ(topic.config_error, topic.configs ? KafkaError::kNone : KafkaError::kPolicyViolation);
    if (topic.configs) ++told;
  }
  EXPECT_GT(told, 0u);
  EXPECT_LT(told * 30 * sizeof(kafka::CreateTopicsResponse::Config), w.gate->largest_request());
}

TEST_F(BoundedAnswers, DescriptionsAreGivenOnce) {
  kafka::DescribeGroupsRequest groups;
  groups.groups = {"a", "b", "a"};
  const auto described = c.call<kafka::DescribeGroupsResponse>(5, groups);
  ASSERT_EQ(described.groups.size(), 3u);
  EXPECT_EQ(described.groups[1].error, KafkaError::kNone);
  EXPECT_EQ(described.groups[2].error, KafkaError::kInvalidRequest);

  kafka::ConsumerGroupDescribeRequest consumers;
  consumers.groups = {"a", "b", "a"};
  const auto members = c.call<kafka::ConsumerGroupDescribeResponse>(0, consumers);
  ASSERT_EQ(members.groups.size(), 3u);
  EXPECT_EQ(members.groups[1].error, KafkaError::kGroupIdNotFound);
  EXPECT_EQ(members.groups[2].error, KafkaError::kInvalidRequest);

  kafka::DescribeTransactionsRequest transactions;
  transactions.transactional_ids = {"a", "b", "a"};
  const auto states = c.call<kafka::DescribeTransactionsResponse>(0, transactions);
  ASSERT_EQ(states.transactions.size(), 3u);
  EXPECT_EQ(states.transactions[1].error, KafkaError::kTransactionalIdNotFound);
  EXPECT_EQ(states.transactions[2].error, KafkaError::kInvalidRequest);
}

}  // namespace
}  // namespace runnel::broker
