// A short question must not have an answer that has no end.
#include "protocol/kafka/consumer_group_describe.h"
#include "protocol/kafka/describe_groups.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_fetch.h"
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
