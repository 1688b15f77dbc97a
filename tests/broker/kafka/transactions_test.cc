// Transactions on Kafka's wire: versions, error codes, and who is told what. The rules themselves
// are tested beside the coordinator.
#include <gtest/gtest.h>

#include "protocol/kafka/add_offsets_to_txn.h"
#include "protocol/kafka/add_partitions_to_txn.h"
#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/delete_groups.h"
#include "protocol/kafka/end_txn.h"
#include "protocol/kafka/init_producer_id.h"
#include "protocol/kafka/offset_commit.h"
#include "protocol/kafka/offset_fetch.h"
#include "protocol/kafka/produce.h"
#include "protocol/kafka/transactions.h"
#include "protocol/kafka/txn_offset_commit.h"
#include "protocol/kafka/write_txn_markers.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using kafka::KafkaError;
using storage::ProducerIdentity;

constexpr std::int16_t kNewestInit = 5;
constexpr std::int16_t kNewestEnd = 5;
constexpr std::int16_t kNewestAdd = 3;

/// A client with a transactional id.
struct TransactionalClient {
  explicit TransactionalClient(KafkaWorld& w, std::string transactional_id = "a")
      : client(w.connect()), id(std::move(transactional_id)) {}

  KafkaError init(std::int16_t version = kNewestInit, std::int32_t timeout = 60'000,
                  ProducerIdentity expected = {kNoProducer, kNoEpoch}) {
    kafka::InitProducerIdRequest request;
    request.transactional_id = id;
    request.transaction_timeout_ms = timeout;
    request.producer_id = expected.id;
    request.producer_epoch = expected.epoch;
    const auto answer = client.call<kafka::InitProducerIdResponse>(version, request);
    if (answer.error == KafkaError::kNone) who = {answer.producer_id, answer.producer_epoch};
    return answer.error;
  }
  KafkaError add(std::int16_t version = kNewestAdd, std::int32_t partition = 0) {
    const auto answer = add_all(version, {{"orders", {PartitionIndex(partition)}}});
    return answer.topics.at(0).partitions.at(0).error;
  }
  kafka::AddPartitionsToTxnResponse add_all(
      std::int16_t version, std::vector<kafka::AddPartitionsToTxnRequest::Topic> topics) {
    kafka::AddPartitionsToTxnRequest request;
    request.transactional_id = id;
    request.producer_id = who.id;
    request.producer_epoch = who.epoch;
    request.topics = std::move(topics);
    return client.call<kafka::AddPartitionsToTxnResponse>(version, request);
  }
  KafkaError add_group(std::int16_t version) {
    kafka::AddOffsetsToTxnRequest request;
    request.transactional_id = id;
    request.producer_id = who.id;
    request.producer_epoch = who.epoch;
    request.group_id = "billing";
    return client.call<kafka::AddOffsetsToTxnResponse>(version, request).error;
  }
  KafkaError end(std::int16_t version, bool commit) {
    kafka::EndTxnRequest request;
    request.transactional_id = id;
    request.producer_id = who.id;
    request.producer_epoch = who.epoch;
    request.committed = commit;
    const auto answer = client.call<kafka::EndTxnResponse>(version, request);
    if (version >= 5 && answer.error == KafkaError::kNone) {
      who = {answer.producer_id, answer.producer_epoch};
    }
    return answer.error;
  }
  kafka::TxnOffsetCommitRequest offsets(std::int64_t offset) {
    kafka::TxnOffsetCommitRequest request;
    request.transactional_id = id;
    request.group_id = "billing";
    request.producer_id = who.id;
    request.producer_epoch = who.epoch;
    kafka::TxnOffsetCommitRequest::Topic topic;
    topic.name = "orders";
    topic.partitions = {{PartitionIndex(1), Offset(offset), LeaderEpoch(0), "note"}};
    request.topics = {topic};
    return request;
  }
  KafkaError put_offset(std::int16_t version, std::int64_t offset) {
    const auto answer = client.call<kafka::TxnOffsetCommitResponse>(version, offsets(offset));
    return answer.topics.at(0).partitions.at(0).error;
  }
  KafkaError produce(std::int16_t version, bool with_id = true, std::int32_t partition = 0) {
    return produce_record(version, {}, with_id, partition).error;
  }
  kafka::ProduceResponse::Partition produce_record(std::int16_t version,
                                                   const protocol::NewRecord& record,
                                                   bool with_id = true,
                                                   std::int32_t partition = 0) {
    protocol::BatchOptions options;
    options.transactional = true;
    protocol::BatchBuilder builder(options);
    builder.add(record);
    builder.set_producer(who.id, who.epoch, sequence++);
    const Buffer batch = builder.finish().value();
    kafka::ProduceRequest request;
    if (with_id) request.transactional_id = id;
    request.acks = -1;
    request.topics.resize(1);
    request.topics[0].name = "orders";
    request.topics[0].partitions = {{PartitionIndex(partition), batch.bytes()}};
    return client.call<kafka::ProduceResponse>(version, request).topics.at(0).partitions.at(0);
  }
  kafka::OffsetFetchResponse::Partition fetch_offset(bool require_stable, bool all = false) {
    kafka::OffsetFetchRequest request;
    request.groups.resize(1);
    request.groups[0].group_id = "billing";
    if (!all) request.groups[0].topics = {{"orders", {}, {PartitionIndex(1)}}};
    request.require_stable = require_stable;
    const auto answer = client.call<kafka::OffsetFetchResponse>(8, request);
    if (answer.groups.at(0).topics.empty()) return {};
    return answer.groups.at(0).topics.at(0).partitions.at(0);
  }

  KafkaClient client;
  std::string id;
  ProducerIdentity who{kNoProducer, kNoEpoch};
  std::int32_t sequence = 0;
};

TEST(KafkaTransactions, EveryVersionCommits) {
  for (std::int16_t v = 0; v <= kNewestInit; ++v) {
    KafkaWorld w;
    TransactionalClient a(w);
    ASSERT_EQ(a.init(v), KafkaError::kNone) << v;
    EXPECT_EQ(a.add(std::min(v, kNewestAdd)), KafkaError::kNone) << v;
    EXPECT_EQ(a.add_group(std::min<std::int16_t>(v, 4)), KafkaError::kNone) << v;
    EXPECT_EQ(a.put_offset(v, 7), KafkaError::kNone) << v;
    EXPECT_EQ(a.produce(static_cast<std::int16_t>(3 + v)), KafkaError::kNone) << v;
    EXPECT_EQ(a.end(v, true), KafkaError::kNone) << v;
    EXPECT_EQ(a.who.epoch, ProducerEpoch(v >= 5 ? 1 : 0)) << v;
    EXPECT_EQ(a.fetch_offset(true).committed_offset, Offset(7)) << v;
  }
}

TEST(KafkaTransactions, WhoIsFencedIsToldInTheWordsOfItsVersion) {
  KafkaWorld w;
  TransactionalClient old(w);
  ASSERT_EQ(old.init(), KafkaError::kNone);
  TransactionalClient young(w);
  ASSERT_EQ(young.init(), KafkaError::kNone);
  EXPECT_EQ(young.who.epoch, ProducerEpoch(1));
  for (std::int16_t v = 0; v <= kNewestAdd; ++v) {
    const auto fenced = v < 2 ? KafkaError::kInvalidProducerEpoch : KafkaError::kProducerFenced;
    EXPECT_EQ(old.add(v), fenced) << v;
    EXPECT_EQ(old.add_group(v), fenced) << v;
    EXPECT_EQ(old.end(v, true), fenced) << v;
    EXPECT_EQ(old.put_offset(v, 1), KafkaError::kInvalidProducerEpoch) << v;
  }
  EXPECT_EQ(old.end(kNewestEnd, true), KafkaError::kProducerFenced);
  EXPECT_EQ(old.produce(9), KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(old.produce(12), KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(old.init(3, 60'000, old.who), KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(old.init(4, 60'000, old.who), KafkaError::kProducerFenced);
  old.who.id = ProducerId(5);
  EXPECT_EQ(old.add(), KafkaError::kInvalidProducerIdMapping);
  EXPECT_EQ(old.produce(12), KafkaError::kInvalidProducerIdMapping);
  TransactionalClient nobody(w, "nobody");
  EXPECT_EQ(nobody.end(3, true), KafkaError::kInvalidProducerIdMapping);
}

TEST(KafkaTransactions, StartsThatMakeNoSense) {
  KafkaWorld w;
  TransactionalClient a(w);
  EXPECT_EQ(a.init(5, 0), KafkaError::kInvalidTransactionTimeout);
  EXPECT_EQ(a.init(5, 15 * 60'000 + 1), KafkaError::kInvalidTransactionTimeout);
  EXPECT_EQ(a.init(5, 1000, {ProducerId(4), kNoEpoch}), KafkaError::kInvalidRequest);
  EXPECT_EQ(a.init(5, 1000, {kNoProducer, ProducerEpoch(4)}), KafkaError::kInvalidRequest);
  TransactionalClient unnamed(w, "");
  EXPECT_EQ(unnamed.init(), KafkaError::kInvalidRequest);
}

TEST(KafkaTransactions, BatchesNeedTheirPartitionInTheTransaction) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  EXPECT_EQ(a.produce(9, false), KafkaError::kTransactionalIdAuthorizationFailed);
  EXPECT_EQ(a.produce(10), KafkaError::kInvalidTxnState);
  EXPECT_EQ(a.produce(11), KafkaError::kTransactionAbortable);
  EXPECT_EQ(w.store.partition_info(*w.store.partition("orders", PartitionIndex(0))).high_watermark,
            Offset(0));
  EXPECT_EQ(a.produce(12), KafkaError::kNone) << "it joins";
  EXPECT_EQ(a.produce(9), KafkaError::kNone);
  EXPECT_EQ(a.put_offset(3, 1), KafkaError::kInvalidTxnState);
  EXPECT_EQ(a.put_offset(4, 1), KafkaError::kTransactionAbortable);
  EXPECT_EQ(a.put_offset(5, 1), KafkaError::kNone) << "the group joins";
}

TEST(KafkaTransactions, WhereEpochsAreOfOneTransactionTheFirstBatchIsSequenceZero) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  ASSERT_EQ(a.add(), KafkaError::kNone);
  std::vector<bool> from_zero;
  w.store.on_commit = [&](const storage::CommitRequest& request) {
    for (const auto& item : request.appends) from_zero.push_back(item.new_producers_from_zero);
  };
  ASSERT_EQ(a.produce(11), KafkaError::kNone);
  ASSERT_EQ(a.produce(12), KafkaError::kNone);
  EXPECT_EQ(from_zero, (std::vector<bool>{false, true}));
}

TEST(KafkaTransactions, WhoMayWriteComesBeforeWhatIsWrong) {
  KafkaWorld w;
  TransactionalClient a(w);
  protocol::NewRecord late;
  late.timestamp = Timestamp(w.clock.now().value() + 2 * 86'400'000LL);
  a.who = {ProducerId(77), ProducerEpoch(0)};
  const auto unknown = a.produce_record(9, late);
  EXPECT_EQ(unknown.error, KafkaError::kInvalidProducerIdMapping);
  EXPECT_TRUE(unknown.record_errors.empty());
  ASSERT_EQ(a.init(), KafkaError::kNone);
  EXPECT_EQ(a.produce_record(9, late).error, KafkaError::kInvalidTxnState);
  EXPECT_EQ(a.produce_record(11, late).error, KafkaError::kTransactionAbortable);
  EXPECT_EQ(a.end(5, true), KafkaError::kInvalidTxnState) << "nothing has joined";
  const auto joined = a.produce_record(12, late);
  EXPECT_EQ(joined.error, KafkaError::kInvalidTimestamp);
  EXPECT_EQ(joined.record_errors.size(), 1u);
  EXPECT_EQ(a.end(5, true), KafkaError::kNone) << "of a partition that has joined";
}

TEST(KafkaTransactions, WhileAnEndIsStoredOthersTryAgain) {
  KafkaWorld w;
  TransactionalClient a(w);
  TransactionalClient b(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  EXPECT_EQ(a.produce(12), KafkaError::kNone);
  b.who = a.who;
  w.store.hold_commits(true);
  kafka::EndTxnRequest end;
  end.transactional_id = "a";
  end.producer_id = a.who.id;
  end.producer_epoch = a.who.epoch;
  end.committed = true;
  a.client.send(kNewestEnd, end);
  w.store.hold_commits(false);
  EXPECT_EQ(b.add(), KafkaError::kConcurrentTransactions);
  EXPECT_EQ(b.init(), KafkaError::kConcurrentTransactions);
  EXPECT_EQ(b.produce(12), KafkaError::kConcurrentTransactions);
  EXPECT_EQ(b.produce(11), KafkaError::kNotEnoughReplicas) << "it knows no better";
  w.store.release_commits();
  EXPECT_EQ(a.client.await<kafka::EndTxnResponse>(kNewestEnd).error, KafkaError::kNone);
}

TEST(KafkaTransactions, AnUnknownPartitionKeepsTheOthersOut) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  const auto answer = a.add_all(
      3, {{"orders", {PartitionIndex(0), PartitionIndex(9)}}, {"none", {PartitionIndex(0)}}});
  EXPECT_EQ(answer.topics.at(0).partitions.at(0).error, KafkaError::kOperationNotAttempted);
  EXPECT_EQ(answer.topics.at(0).partitions.at(1).error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(answer.topics.at(1).partitions.at(0).error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(a.produce(9), KafkaError::kInvalidTxnState);
}

TEST(KafkaTransactions, AReaderMayWaitForThePositionToBeStable) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  EXPECT_EQ(a.put_offset(5, 7), KafkaError::kNone);
  EXPECT_EQ(a.end(5, true), KafkaError::kNone);
  EXPECT_EQ(a.put_offset(5, 9), KafkaError::kNone);
  for (const bool all : {false, true}) {
    const auto stable = a.fetch_offset(true, all);
    EXPECT_EQ(stable.error, KafkaError::kUnstableOffsetCommit);
    EXPECT_EQ(stable.committed_offset, Offset(-1));
    EXPECT_EQ(a.fetch_offset(false, all).committed_offset, Offset(7));
  }
  EXPECT_EQ(a.end(5, false), KafkaError::kNone);
  EXPECT_EQ(a.fetch_offset(true).committed_offset, Offset(7));
}

TEST(KafkaTransactions, PositionsSetBesideATransactionStay) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  EXPECT_EQ(a.put_offset(5, 9), KafkaError::kNone);
  kafka::OffsetCommitRequest commit;
  commit.group_id = "billing";
  commit.topics.resize(1);
  commit.topics[0].name = "orders";
  commit.topics[0].partitions = {{PartitionIndex(1), Offset(20), LeaderEpoch(0), ""}};
  a.client.call<kafka::OffsetCommitResponse>(8, commit);
  EXPECT_EQ(a.end(5, true), KafkaError::kNone);
  EXPECT_EQ(a.fetch_offset(false).committed_offset, Offset(20));

  EXPECT_EQ(a.put_offset(5, 30), KafkaError::kNone);
  kafka::DeleteGroupsRequest remove;
  remove.groups = {"billing"};
  EXPECT_EQ(a.client.call<kafka::DeleteGroupsResponse>(2, remove).groups.at(0).error,
            KafkaError::kNone);
  EXPECT_EQ(a.end(5, true), KafkaError::kNone);
  EXPECT_EQ(a.fetch_offset(false).committed_offset, Offset(-1));
}

TEST(KafkaTransactions, OffsetsOfAMemberInBadStandingAreRefused) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(), KafkaError::kNone);
  auto request = a.offsets(1);
  request.generation_id = 4;
  request.member_id = "stranger";
  const auto error = [&](const kafka::TxnOffsetCommitRequest& r) {
    return a.client.call<kafka::TxnOffsetCommitResponse>(5, r).topics.at(0).partitions.at(0).error;
  };
  EXPECT_EQ(error(request), KafkaError::kIllegalGeneration);
  request = a.offsets(1);
  request.group_id = "";
  EXPECT_EQ(error(request), KafkaError::kInvalidGroupId);
  request = a.offsets(1);
  request.topics[0].partitions[0].metadata = std::string(5000, 'x');
  EXPECT_EQ(error(request), KafkaError::kOffsetMetadataTooLarge);
  request = a.offsets(1);
  request.topics[0].name = "none";
  EXPECT_EQ(error(request), KafkaError::kUnknownTopicOrPartition);
}

TEST(KafkaTransactions, ListedAndDescribed) {
  KafkaWorld w;
  TransactionalClient a(w);
  TransactionalClient b(w, "b");
  ASSERT_EQ(a.init(), KafkaError::kNone);
  ASSERT_EQ(b.init(), KafkaError::kNone);
  EXPECT_EQ(a.produce(12), KafkaError::kNone);
  EXPECT_EQ(a.produce(12, true, 2), KafkaError::kNone);
  kafka::DescribeTransactionsRequest describe;
  describe.transactional_ids = {"a", "none", ""};
  const auto described = a.client.call<kafka::DescribeTransactionsResponse>(0, describe);
  const auto& open = described.transactions.at(0);
  EXPECT_EQ(open.state, "Ongoing");
  EXPECT_EQ(open.timeout_ms, 60'000);
  EXPECT_EQ(open.producer_id, a.who.id);
  ASSERT_EQ(open.topics.size(), 1u);
  EXPECT_EQ(open.topics[0].partitions,
            (std::vector<PartitionIndex>{PartitionIndex(0), PartitionIndex(2)}));
  EXPECT_EQ(described.transactions.at(1).error, KafkaError::kTransactionalIdNotFound);
  EXPECT_EQ(described.transactions.at(2).error, KafkaError::kInvalidRequest);

  const auto list = [&](kafka::ListTransactionsRequest request) {
    std::string names;
    const auto answer = a.client.call<kafka::ListTransactionsResponse>(2, request);
    for (const auto& t : answer.transactions) names += t.transactional_id + ":" + t.state + " ";
    if (answer.error != KafkaError::kNone) names += kafka::name_of(answer.error);
    return names;
  };
  EXPECT_EQ(list({}), "a:Ongoing b:Empty ");
  kafka::ListTransactionsRequest filter;
  filter.state_filters = {"Ongoing"};
  EXPECT_EQ(list(filter), "a:Ongoing ");
  filter = {};
  filter.transactional_id_pattern = "b.*";
  EXPECT_EQ(list(filter), "b:Empty ");
  filter.transactional_id_pattern = "(";
  EXPECT_EQ(list(filter), "INVALID_REGULAR_EXPRESSION");
  filter = {};
  filter.duration_filter_ms = 1000;
  EXPECT_EQ(list(filter), "b:Empty ");
  w.pass(2s);
  EXPECT_EQ(list(filter), "a:Ongoing b:Empty ");
}

TEST(KafkaTransactions, TimeIsUp) {
  KafkaWorld w;
  TransactionalClient a(w);
  ASSERT_EQ(a.init(5, 3000), KafkaError::kNone);
  EXPECT_EQ(a.produce(12), KafkaError::kNone);
  w.pass(5s);
  EXPECT_EQ(a.end(5, true), KafkaError::kProducerFenced);
  EXPECT_EQ(a.init(), KafkaError::kNone);
}

TEST(KafkaTransactions, MarkersOfEpochsNobodyHasAreRefused) {
  KafkaWorld w;
  auto client = w.connect();
  const ProducerId known(1000);
  w.store.known_producer = storage::ProducerInfo{};
  w.store.known_producer->id = known;
  w.store.known_producer->epoch = ProducerEpoch(3);
  const auto abort = [&](ProducerId id, std::int16_t epoch, std::int32_t partition) {
    kafka::WriteTxnMarkersRequest request;
    auto& marker = request.markers.emplace_back();
    marker.producer_id = id;
    marker.producer_epoch = ProducerEpoch(epoch);
    marker.topics.resize(1);
    marker.topics[0].name = "orders";
    marker.topics[0].partitions = {PartitionIndex(partition)};
    const auto answer = client.call<kafka::WriteTxnMarkersResponse>(1, request);
    return answer.markers.at(0).topics.at(0).partitions.at(0).error;
  };
  EXPECT_EQ(abort(known, 32767, 0), KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(abort(known, 4, 0), KafkaError::kInvalidProducerEpoch);
  EXPECT_EQ(abort(known + 1, 0, 0), KafkaError::kUnknownProducerId);
  EXPECT_EQ(abort(known, 3, 0), KafkaError::kNone);
  EXPECT_EQ(abort(known, 3, 7), KafkaError::kUnknownTopicOrPartition);
  // Another coordinator has been there.
  w.store.known_producer->coordinator_epoch = 5;
  EXPECT_EQ(abort(known, 3, 0), KafkaError::kTransactionCoordinatorFenced);
}

TEST(KafkaTransactions, AMarkerForNoTopicIsNotAnswered) {
  KafkaWorld w;
  auto client = w.connect();
  kafka::WriteTxnMarkersRequest request;
  request.markers.emplace_back().producer_id = ProducerId(77);
  EXPECT_TRUE(client.call<kafka::WriteTxnMarkersResponse>(1, request).markers.empty());
}

TEST(KafkaTransactions, TheFeatureIsShown) {
  KafkaWorld w;
  auto c = w.connect();
  kafka::ApiVersionsRequest request{{}, "test", "1"};
  for (const std::int16_t version : {3, 4}) {
    const auto answer = c.call<kafka::ApiVersionsResponse>(version, request);
    const auto has = [](const auto& features, const auto& wanted) {
      return std::find(features.begin(), features.end(), wanted) != features.end();
    };
    EXPECT_EQ(answer.finalized_features_epoch, 0);
    EXPECT_TRUE(has(answer.finalized_features,
                    kafka::ApiVersionsResponse::Finalized{"transaction.version", 2, 2}));
    // Older clients take no feature that begins at 0.
    EXPECT_EQ(has(answer.supported_features,
                  kafka::ApiVersionsResponse::Supported{"transaction.version", 0, 2}),
              version == 4);
  }
}

}  // namespace
}  // namespace runnel::broker
