#include <gtest/gtest.h>

#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_delete.h"
#include "protocol/kafka/offset_fetch.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::OffsetCommitRequest;
using kafka::OffsetCommitResponse;
using kafka::OffsetFetchRequest;
using kafka::OffsetFetchResponse;

constexpr std::int16_t kNewestNamed = 9;
constexpr std::int16_t kWithTopicIds = 10;

/// Of a tool: nobody is a member.
OffsetCommitRequest commit_of(std::int64_t offset, std::string metadata = "note",
                              std::int32_t partition = 0, std::string topic = "orders") {
  OffsetCommitRequest request;
  request.group_id = "billing";
  OffsetCommitRequest::Topic to;
  to.name = std::move(topic);
  to.partitions = {
      {PartitionIndex(partition), Offset(offset), LeaderEpoch(0), std::move(metadata)}};
  request.topics.push_back(std::move(to));
  return request;
}

KafkaError error_of(const OffsetCommitResponse& response) {
  return response.topics.at(0).partitions.at(0).error;
}

TEST(KafkaOffsets, EveryVersionCommitsAndFetches) {
  for (std::int16_t version = 2; version <= kNewestNamed; ++version) {
    KafkaWorld w;
    auto c = w.connect();
    ASSERT_EQ(error_of(c.call<OffsetCommitResponse>(version, commit_of(40 + version))),
              KafkaError::kNone);
    OffsetFetchRequest fetch;
    fetch.group_id = "billing";
    fetch.topics = {{"orders", {PartitionIndex(0), PartitionIndex(1)}},
                    {"none", {PartitionIndex(0)}}};
    fetch.groups.resize(2);
    fetch.groups[0].group_id = "billing";
    fetch.groups[0].topics = {{"orders", {}, {PartitionIndex(0), PartitionIndex(1)}},
                              {"none", {}, {PartitionIndex(0)}}};
    fetch.groups[1].group_id = "nobody's";
    fetch.groups[1].topics = {{"orders", {}, {PartitionIndex(0)}}};
    const auto fetched = c.call<OffsetFetchResponse>(version, fetch);
    const auto check = [&](const auto& topics) {
      ASSERT_EQ(topics.size(), 2u) << version;
      const auto& known = topics[0].partitions.at(0);
      EXPECT_EQ(known.error, KafkaError::kNone);
      EXPECT_EQ(known.committed_offset, Offset(40 + version));
      EXPECT_EQ(known.metadata, "note");
      EXPECT_EQ(known.committed_leader_epoch, LeaderEpoch(version >= 6 ? 0 : -1)) << version;
      for (const auto* unknown : {&topics[0].partitions.at(1), &topics[1].partitions.at(0)}) {
        EXPECT_EQ(unknown->error, KafkaError::kNone);
        EXPECT_EQ(unknown->committed_offset, Offset(-1));
        EXPECT_EQ(unknown->metadata, "");
      }
    };
    if (version < 8) {
      check(fetched.topics);
      continue;
    }
    ASSERT_EQ(fetched.groups.size(), 2u);
    check(fetched.groups[0].topics);
    EXPECT_EQ(fetched.groups[1].error, KafkaError::kNone);
    EXPECT_EQ(fetched.groups[1].topics.at(0).partitions.at(0).committed_offset, Offset(-1));
  }
}

TEST(KafkaOffsets, FetchesAllWhenNothingIsNamed) {
  KafkaWorld w;
  EXPECT_TRUE(w.store.create_topic({"bills", 1, {}}));
  auto c = w.connect();
  for (int i = 0; i < 3; ++i) c.call<OffsetCommitResponse>(8, commit_of(i, "", i));
  c.call<OffsetCommitResponse>(8, commit_of(9, "", 0, "bills"));
  OffsetFetchRequest fetch;
  fetch.group_id = "billing";
  const auto old = c.call<OffsetFetchResponse>(2, fetch);
  ASSERT_EQ(old.topics.size(), 2u);
  EXPECT_EQ(old.topics[0].name, "bills");
  EXPECT_EQ(old.topics[1].partitions.size(), 3u);
  fetch.groups.resize(1);
  fetch.groups[0].group_id = "billing";
  fetch.require_stable = true;
  const auto now = c.call<OffsetFetchResponse>(kWithTopicIds, fetch);
  ASSERT_EQ(now.groups.at(0).topics.size(), 2u);
  EXPECT_EQ(now.groups[0].topics[1].topic_id, w.store.describe_topic("orders")->id);
}

TEST(KafkaOffsets, TopicsAreNumberedInVersion10) {
  KafkaWorld w;
  auto c = w.connect();
  auto commit = commit_of(5, "", 0, "");
  commit.topics.push_back(commit.topics[0]);
  commit.topics[0].topic_id = w.store.describe_topic("orders")->id;
  commit.topics[1].topic_id = Uuid::from_random(1, 2);
  const auto committed = c.call<OffsetCommitResponse>(kWithTopicIds, commit);
  EXPECT_EQ(committed.topics.at(0).partitions.at(0).error, KafkaError::kNone);
  EXPECT_EQ(committed.topics.at(1).partitions.at(0).error, KafkaError::kUnknownTopicId);
  OffsetFetchRequest fetch;
  fetch.groups.resize(1);
  fetch.groups[0].group_id = "billing";
  fetch.groups[0].topics = {{"", commit.topics[0].topic_id, {PartitionIndex(0)}},
                            {"", commit.topics[1].topic_id, {PartitionIndex(0)}}};
  const auto fetched = c.call<OffsetFetchResponse>(kWithTopicIds, fetch);
  ASSERT_EQ(fetched.groups.at(0).topics.size(), 2u);
  EXPECT_EQ(fetched.groups[0].topics[0].partitions.at(0).committed_offset, Offset(5));
  EXPECT_EQ(fetched.groups[0].topics[1].partitions.at(0).error, KafkaError::kUnknownTopicId);
}

TEST(KafkaOffsets, EachPartitionHasItsOwnError) {
  KafkaWorld w;
  auto c = w.connect();
  auto commit = commit_of(1);
  auto& partitions = commit.topics[0].partitions;
  partitions.push_back({PartitionIndex(9), Offset(1), LeaderEpoch(0), ""});
  partitions.push_back({PartitionIndex(1), Offset(1), LeaderEpoch(0), std::string(4097, 'x')});
  partitions.push_back({PartitionIndex(2), Offset(2), LeaderEpoch(0), std::string(4096, 'x')});
  partitions.push_back({PartitionIndex(3), Offset(3), LeaderEpoch(0), std::nullopt});
  commit.topics.push_back(commit_of(1, "", 0, "none").topics[0]);
  const auto response = c.call<OffsetCommitResponse>(8, commit);
  ASSERT_EQ(response.topics.size(), 2u);
  std::vector<KafkaError> errors;
  for (const auto& p : response.topics[0].partitions) errors.push_back(p.error);
  EXPECT_EQ(errors,
            (std::vector<KafkaError>{KafkaError::kNone, KafkaError::kUnknownTopicOrPartition,
                                     KafkaError::kOffsetMetadataTooLarge, KafkaError::kNone,
                                     KafkaError::kNone}));
  EXPECT_EQ(response.topics[1].partitions.at(0).error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(w.store.committed_offsets("billing").value().size(), 3u);
}

TEST(KafkaOffsets, StrangersDoNotCommit) {
  KafkaWorld w;
  auto c = w.connect();
  auto commit = commit_of(1);
  commit.generation_or_member_epoch = 3;
  commit.member_id = "stranger";
  const auto stranger = commit;
  EXPECT_EQ(error_of(c.call<OffsetCommitResponse>(8, commit)), KafkaError::kIllegalGeneration);
  EXPECT_EQ(error_of(c.call<OffsetCommitResponse>(9, commit)), KafkaError::kGroupIdNotFound);
  commit = commit_of(1);
  commit.group_id.clear();
  EXPECT_EQ(error_of(c.call<OffsetCommitResponse>(8, commit)), KafkaError::kInvalidGroupId);
  EXPECT_TRUE(w.store.groups_with_offsets().value().empty());

  EXPECT_EQ(error_of(c.call<OffsetCommitResponse>(8, commit_of(1))), KafkaError::kNone);
  for (const std::int16_t version : {8, 9}) {
    EXPECT_EQ(error_of(c.call<OffsetCommitResponse>(version, stranger)),
              KafkaError::kUnknownMemberId)
        << "positions make a group, which has no such member";
  }
}

TEST(KafkaOffsets, TheAnswerWaitsForTheDiskAndOrderIsKept) {
  KafkaWorld w;
  auto c = w.connect();
  w.store.hold_commits(true);
  OffsetFetchRequest fetch;
  fetch.group_id = "billing";
  std::string both = c.frame(8, commit_of(7));
  both += c.frame(7, fetch);
  c.feed(both);
  EXPECT_FALSE(c.receive<OffsetCommitResponse>(8)) << "nothing is durable yet";
  w.store.release_commits();
  EXPECT_EQ(error_of(c.await<OffsetCommitResponse>(8)), KafkaError::kNone);
  const auto fetched = c.await<OffsetFetchResponse>(7);
  EXPECT_EQ(fetched.topics.at(0).partitions.at(0).committed_offset, Offset(7))
      << "a client reads what it wrote";

  w.store.hold_commits(false);
  w.store.set_outcome({fail(ErrorCode::kLowSpace, "the disk is full"), {}});
  EXPECT_EQ(error_of(c.call<OffsetCommitResponse>(8, commit_of(8))),
            KafkaError::kCoordinatorNotAvailable)
      << "an error that clients retry";
}

TEST(KafkaOffsets, OffsetDeleteForgetsSinglePartitions) {
  KafkaWorld w;
  auto c = w.connect();
  for (int i = 0; i < 2; ++i) c.call<OffsetCommitResponse>(8, commit_of(i, "", i));
  kafka::OffsetDeleteRequest forget;
  forget.group_id = "billing";
  forget.topics = {{"orders", {{PartitionIndex(1)}, {PartitionIndex(2)}, {PartitionIndex(7)}}}};
  const auto response = c.call<kafka::OffsetDeleteResponse>(0, forget);
  EXPECT_EQ(response.error, KafkaError::kNone);
  const auto& partitions = response.topics.at(0).partitions;
  ASSERT_EQ(partitions.size(), 3u);
  EXPECT_EQ(partitions[0].error, KafkaError::kNone);
  EXPECT_EQ(partitions[1].error, KafkaError::kNone) << "there was nothing to forget";
  EXPECT_EQ(partitions[2].error, KafkaError::kUnknownTopicOrPartition);
  const auto left = w.store.committed_offsets("billing").value();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].partition, PartitionIndex(0));
  forget.group_id = "none";
  EXPECT_EQ(c.call<kafka::OffsetDeleteResponse>(0, forget).error, KafkaError::kGroupIdNotFound);
}

}  // namespace
}  // namespace runnel::broker
