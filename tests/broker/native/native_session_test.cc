#include "broker/native/native_session.h"

#include <gtest/gtest.h>

#include "tests/broker/native/world.h"

namespace runnel::broker {
namespace {

using native::Failure;

TEST(NativeSession, HelloTellsVersionAndLimits) {
  World w(64u << 20, {"9.8.7"});
  w.client->feed("RNL1" + TestClient::frame(1, native::Hello{"test", "1", 1, 5}));
  const auto reply = w.client->await<native::HelloReply>(1);
  EXPECT_EQ(reply.version, 1);
  EXPECT_EQ(reply.server_version, "9.8.7");
  EXPECT_EQ(reply.cluster_id, w.store.id().to_string());
  EXPECT_EQ(reply.max_frame_bytes, 16u << 20);
}

TEST(NativeSession, AppendThenFetchGivesTheSameBytes) {
  World w;
  w.client->hello();
  const std::string batches = batch_of(100, 3) + batch_of(5, 2);
  const auto reply = w.append(2, 1, batches);
  ASSERT_EQ(reply.partitions.size(), 1u);
  EXPECT_EQ(reply.partitions[0].base_offset, Offset(0));
  EXPECT_EQ(reply.partitions[0].last_offset, Offset(4));
  EXPECT_EQ(reply.durability, native::Durability::kSynced);
  const auto fetched = w.client->call<native::FetchReply>(3, fetch_of(1, Offset(0)));
  ASSERT_EQ(fetched.partitions.size(), 1u);
  EXPECT_EQ(fetched.partitions[0].bytes, batches.size());
  EXPECT_EQ(fetched.partitions[0].high_watermark, Offset(5));
  EXPECT_EQ(as_text(w.client->attachment.bytes()).substr(8, 60), batches.substr(8, 60));
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST(NativeSession, TopicAdministration) {
  World w;
  w.client->hello();
  auto& c = *w.client;
  const auto created =
      c.call<native::TopicsReply>(2, native::CreateTopic{"new", 2, {{"a", "b"}}, false});
  ASSERT_EQ(created.topics.size(), 1u);
  EXPECT_EQ(created.topics[0].partitions.size(), 2u);
  EXPECT_EQ(c.call<Failure>(3, native::CreateTopic{"new", 2, {}, false}).code,
            ErrorCode::kTopicExists);
  EXPECT_EQ(c.call<native::TopicsReply>(4, native::CreateTopic{"new", 9, {}, true}).topics.size(),
            1u);
  const auto altered =
      c.call<native::TopicsReply>(5, native::AlterTopic{"new", {{"c", "d"}}, {"a"}, 3});
  ASSERT_EQ(altered.topics.size(), 1u);
  EXPECT_EQ(altered.topics[0].partitions.size(), 3u);
  EXPECT_EQ(altered.topics[0].configs, (std::vector<native::Config>{{"c", "d"}}));
  const auto some = c.call<native::TopicsReply>(6, native::DescribeTopics{{"none", "new"}});
  ASSERT_EQ(some.topics.size(), 2u);
  EXPECT_EQ(some.topics[0].error, ErrorCode::kUnknownTopic);
  EXPECT_EQ(c.call<native::TopicsReply>(7, native::DescribeTopics{}).topics.size(), 2u);
  EXPECT_EQ(c.call<native::DeleteRecordsReply>(
                 8, native::DeleteRecords{{"new", PartitionIndex(0)}, Offset(7)})
                .log_start,
            Offset(7));
  c.call<native::Done>(9, native::DeleteTopic{"new"});
  EXPECT_EQ(c.call<Failure>(10, native::DeleteTopic{"new"}).action, ErrorAction::kRefresh);
}

TEST(NativeSession, OffsetsProducersGroupsAndStatistics) {
  World w;
  w.client->hello();
  auto& c = *w.client;
  w.append(2, 0, batch_of(10, 5));
  native::ListOffsets list;
  list.partitions.resize(3);
  for (auto& p : list.partitions) p.target = {"orders", PartitionIndex(0)};
  list.partitions[0].kind = native::OffsetSpec::Kind::kEarliest;
  list.partitions[2].target.topic = "none";
  const auto found = c.call<native::ListOffsetsReply>(3, list);
  ASSERT_EQ(found.partitions.size(), 3u);
  EXPECT_EQ(found.partitions[0].offset, Offset(0));
  EXPECT_EQ(found.partitions[1].offset, Offset(5));
  EXPECT_EQ(found.partitions[2].error, ErrorCode::kUnknownTopic);
  EXPECT_EQ(c.call<native::InitProducerReply>(4, native::InitProducer{}).id, ProducerId(1000));

  native::GroupHeartbeat join;
  join.group = "billing";
  join.topics = {"orders"};
  const auto joined = c.call<native::GroupHeartbeatReply>(5, join);
  EXPECT_FALSE(joined.member_id.empty());
  native::Append commit;
  commit.groups = {{"billing",
                    joined.member_id,
                    joined.member_epoch,
                    {{{"orders", PartitionIndex(0)}, Offset(3), LeaderEpoch(0), "m"}}}};
  c.call<native::AppendReply>(6, commit);
  commit.groups[0].member_epoch += 7;
  EXPECT_EQ(c.call<Failure>(7, commit).code, ErrorCode::kFenced);
  const auto offsets = c.call<native::GroupOffsetsReply>(
      8, native::FetchGroupOffsets{"billing",
                                   {{"orders", PartitionIndex(0)}, {"orders", PartitionIndex(1)}}});
  ASSERT_EQ(offsets.offsets.size(), 2u);
  EXPECT_EQ(offsets.offsets[0].offset, Offset(3));
  EXPECT_EQ(offsets.offsets[0].metadata, "m");
  EXPECT_EQ(offsets.offsets[1].offset, kNoOffset);
  EXPECT_EQ(c.call<native::GroupsReply>(9, native::ListGroups{}).groups.size(), 1u);
  EXPECT_EQ(c.call<native::GroupsReply>(10, native::DescribeGroup{"billing"}).groups.size(), 1u);
  EXPECT_EQ(c.call<Failure>(11, native::DeleteGroup{"billing"}).code, ErrorCode::kGroupNotEmpty);

  bool seen = false;
  for (const auto& s : c.call<native::StatisticsReply>(12, native::Statistics{}).values) {
    EXPECT_FALSE(s.unit.empty()) << s.name;
    EXPECT_FALSE(s.text.empty()) << s.name;
    seen = seen || (s.name == "native.appends" && s.value == 2);
  }
  EXPECT_TRUE(seen);
}

/// Answers of a conversation that are known whatever the order.
void expect_conversation(TestClient& c) {
  EXPECT_EQ(c.await<native::HelloReply>(1).version, 1);
  EXPECT_EQ(c.await<native::AppendReply>(2).partitions.size(), 2u);
  EXPECT_EQ(c.await<Failure>(3).code, ErrorCode::kUnknownRequest);
  EXPECT_EQ(c.await<native::ListOffsetsReply>(4).partitions.size(), 1u);
  EXPECT_EQ(c.await<Failure>(5).code, ErrorCode::kUnknownTopic);
  EXPECT_EQ(c.await<native::FetchReply>(6).partitions[0].bytes, batch_of(30).size());
  EXPECT_FALSE(c.connection.closed);
}

TEST(NativeSession, AConversationMayArriveCutAtEveryByte) {
  const std::string batch = batch_of(30), other = batch_of(3);
  native::Append append;
  append.partitions.resize(2);
  append.partitions[0].target = {"orders", PartitionIndex(0)};
  append.partitions[0].bytes = static_cast<std::uint32_t>(batch.size());
  append.partitions[1].target = {"orders", PartitionIndex(1)};
  append.partitions[1].bytes = static_cast<std::uint32_t>(other.size());
  const std::string script = "RNL1" + TestClient::frame(1, native::Hello{"test", "1", 1, 1}) +
                             TestClient::frame(2, append, batch + other) +
                             TestClient::frame(3, native::UnknownRequest{}) +
                             TestClient::frame(4, native::ListOffsets{{{}}}) +
                             TestClient::frame(5, native::DeleteTopic{"none"}) +
                             TestClient::frame(6, fetch_of(0, Offset(0)));
  for (std::size_t cut = 0; cut <= script.size(); ++cut) {
    SCOPED_TRACE(cut);
    World w;
    if (cut % 2 == 0) {
      w.client->feed(script.substr(0, cut));
      w.client->feed(script.substr(cut));
    } else {
      w.client->feed_copied(script.substr(0, cut));
      w.client->feed_copied(script.substr(cut));
    }
    expect_conversation(*w.client);
    if (testing::Test::HasFailure()) return;
  }
  World w;
  for (const char c : script) w.client->feed(std::string(1, c));
  expect_conversation(*w.client);
}

void expect_refused(const std::string& bytes, std::uint64_t id, ErrorCode code) {
  World w;
  w.client->feed(bytes);
  const auto* failure = w.client->find<Failure>(id);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, code) << failure->message;
  EXPECT_TRUE(w.client->connection.closed);
}

TEST(NativeSession, RefusesWhatIsNoConversation) {
  const std::string hello = "RNL1" + TestClient::frame(1, native::Hello{"test", "1", 1, 1});
  expect_refused("RNL2", 0, ErrorCode::kMalformed);
  expect_refused("RNL1" + TestClient::frame(9, native::ListGroups{}), 9,
                 ErrorCode::kInvalidArgument);
  expect_refused("RNL1" + TestClient::frame(9, native::Hello{"x", "1", 2, 3}), 9,
                 ErrorCode::kVersionMismatch);
  expect_refused("RNL1" + std::string("\x00\x00\x02\x00zzzz", 8), 0, ErrorCode::kMalformed);
  expect_refused(hello + std::string("\xff\xff\xff\xffzzzz", 8), 0, ErrorCode::kMalformed);
  expect_refused(hello + std::string("\x04\x00\x00\x00\x00\x00\x00\x00", 8), 0,
                 ErrorCode::kMalformed);
  expect_refused(hello + std::string("\x10\x00\x00\x00\x0d\x00\x00\x00", 8), 0,
                 ErrorCode::kMalformed);
  std::string changed = TestClient::frame(5, native::DeleteTopic{"orders"});
  for (std::size_t i = 8; i < 20; ++i) changed[i] = '\x7f';
  expect_refused(hello + changed, 0, ErrorCode::kMalformed);
}

TEST(NativeSession, RefusesDamagedAndForeignBatches) {
  World w;
  w.client->hello();
  std::string batch = batch_of(50);
  batch.back() = static_cast<char>(batch.back() ^ 1);
  const auto damaged = w.client->call<Failure>(2, w.append_to(0, batch.size()), batch);
  EXPECT_EQ(damaged.code, ErrorCode::kCorrupt);
  EXPECT_NE(damaged.message.find("orders/0"), std::string::npos);
  w.client->call<Failure>(3, w.append_to(0, 0));
  w.client->call<Failure>(4, w.append_to(9, 0));
  EXPECT_FALSE(w.client->connection.closed);
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST(NativeSession, RefusesRecordsWithoutAKeyForCompactedTopics) {
  for (const protocol::Codec codec : {protocol::Codec::kNone, protocol::Codec::kZstd}) {
    World w;
    w.client->hello();
    protocol::BatchOptions options;
    options.codec = codec;
    protocol::BatchBuilder builder(options);
    builder.add({Timestamp(1), "key", "first"});
    builder.add({Timestamp(2), std::nullopt, "second"});
    const std::string keyless(as_text(builder.finish().value().bytes()));
    w.append(2, 0, keyless);  // of no harm elsewhere
    w.store.rules.needs_keys = true;
    const std::string batches = batch_of() + keyless;
    const auto refused = w.client->call<Failure>(3, w.append_to(0, batches.size()), batches);
    EXPECT_EQ(refused.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.message.find("orders/0: record 1 of a batch has no key"), std::string::npos)
        << refused.message;
    // Nothing of that request was stored; an empty key is one.
    builder.add({Timestamp(3), "", "third"});
    const std::string keyed(as_text(builder.finish().value().bytes()));
    EXPECT_EQ(w.append(4, 0, keyed).partitions.at(0).base_offset, Offset(2));
  }
}

TEST(NativeSession, UnpacksOnlySoMuchToLookForKeys) {
  World w(256u << 20);
  w.client->hello();
  w.store.rules.needs_keys = true;
  protocol::BatchOptions options;
  options.codec = protocol::Codec::kZstd;
  std::string bombs;
  for (int i = 0; i < 3; ++i) {
    protocol::BatchBuilder builder(options);
    const std::string value(24u << 20, 'v');
    builder.add({Timestamp(1), "key", value});
    const std::string bomb(as_text(builder.finish().value().bytes()));
    EXPECT_EQ(w.append(10 + static_cast<std::uint64_t>(i), 0, bomb).partitions.size(), 1u);
    bombs += bomb;
  }
  const auto refused = w.client->call<Failure>(3, w.append_to(0, bombs.size()), bombs);
  EXPECT_EQ(refused.code, ErrorCode::kRecordTooLarge);
  EXPECT_NE(refused.message.find("send fewer at once"), std::string::npos) << refused.message;
  const std::string large = batch_of(static_cast<std::size_t>(w.store.rules.max_batch_bytes));
  const auto too_large = w.client->call<Failure>(4, w.append_to(0, large.size()), large);
  EXPECT_NE(too_large.message.find("max.message.bytes"), std::string::npos) << too_large.message;
}

TEST(NativeSession, WaitsForMemoryAndGoesOn) {
  World w(4u << 20);
  w.client->hello();
  w.store.hold_commits(true);
  const std::string batch = batch_of(900'000);
  std::uint64_t id = 10;
  while (w.client->connection.pauses == 0) {
    ASSERT_LT(id, 20u);
    w.client->feed(TestClient::frame(++id, w.append_to(0, batch.size()), batch));
  }
  EXPECT_LT(w.store.held_commits(), id - 10) << "the last one is not taken in";
  EXPECT_LE(w.store.memory().held_bytes(), w.store.memory().limit_bytes());
  w.store.hold_commits(false);
  w.store.release_commits();
  for (std::uint64_t i = 11; i <= id; ++i) w.client->await<native::AppendReply>(i);
  EXPECT_EQ(w.client->connection.pauses, 0);
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST(NativeSession, WaitsForMemoryThatOthersGiveBack) {
  World w(1u << 20);
  w.client->hello();
  ASSERT_TRUE(w.store.memory().try_take(1u << 20));
  const std::string batch = batch_of(100'000);
  w.client->feed(TestClient::frame(2, w.append_to(0, batch.size()), batch));
  EXPECT_EQ(w.client->connection.pauses, 1);
  w.store.memory().give_back(1u << 20);
  w.client->await<native::AppendReply>(2);
  EXPECT_EQ(w.client->connection.pauses, 0);
}

TEST(NativeSession, SkipsARequestLargerThanAQuarterOfTheMemory) {
  World w(1u << 20);
  w.client->hello();
  const std::string batch = batch_of(400'000);
  w.client->feed(TestClient::frame(2, w.append_to(0, batch.size()), batch) +
                 TestClient::frame(3, fetch_of(0, Offset(0))));
  EXPECT_EQ(w.client->await<Failure>(2).code, ErrorCode::kRecordTooLarge);
  EXPECT_EQ(w.client->await<native::FetchReply>(3).partitions[0].bytes, 0u);
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST(NativeSession, ASkippedRequestMayArriveInPieces) {
  World w(1u << 20);
  w.client->hello();
  const std::string batch = batch_of(400'000);
  const std::string frame = TestClient::frame(2, w.append_to(0, batch.size()), batch);
  w.client->feed(frame.substr(0, 20));
  w.client->feed(frame.substr(20, 1000));
  w.client->feed(frame.substr(1020) + TestClient::frame(3, fetch_of(0, Offset(0))));
  EXPECT_EQ(w.client->await<Failure>(2).code, ErrorCode::kRecordTooLarge);
  w.client->await<native::FetchReply>(3);
}

TEST(NativeSession, BoundsRequestsInFlight) {
  World w(64u << 20, {"", 4});
  w.client->hello();
  w.store.hold_commits(true);
  const std::string batch = batch_of();
  for (std::uint64_t id = 2; id < 6; ++id) {
    EXPECT_EQ(w.client->connection.pauses, 0);
    w.client->feed(TestClient::frame(id, w.append_to(0, batch.size()), batch));
  }
  EXPECT_EQ(w.client->connection.pauses, 1);
  w.store.release_commits();
  for (std::uint64_t id = 2; id < 6; ++id) w.client->await<native::AppendReply>(id);
  EXPECT_EQ(w.client->connection.pauses, 0);
}

TEST(NativeSession, AnswersComeInAnyOrder) {
  World w;
  w.client->hello();
  w.store.hold_commits(true);
  const std::string batch = batch_of();
  w.client->feed(TestClient::frame(2, w.append_to(0, batch.size()), batch) +
                 TestClient::frame(3, native::DescribeGroup{"none"}));
  w.client->await<Failure>(3);
  EXPECT_TRUE(w.client->answers[2].empty());
  w.store.release_commits();
  w.client->await<native::AppendReply>(2);
}

TEST(NativeSession, PassesPartialDuplicatesOn) {
  World w;
  w.client->hello();
  w.store.set_outcome(
      {fail(ErrorCode::kPartialDuplicate, "some"), {{0, 2, Offset(8), PartitionIndex(3)}}});
  const std::string batch = batch_of();
  const auto failure = w.client->call<Failure>(2, w.append_to(0, batch.size()), batch);
  EXPECT_EQ(failure.code, ErrorCode::kPartialDuplicate);
  ASSERT_EQ(failure.duplicates.size(), 1u);
  EXPECT_EQ(failure.duplicates[0], (Failure::Duplicate{0, 2, Offset(8), PartitionIndex(3)}));
}

TEST(NativeSession, ForgetsAPartitionWhoseTopicIsGone) {
  World w;
  w.client->hello();
  w.append(2, 0, batch_of());
  ASSERT_TRUE(w.store.delete_topic("orders"));
  const auto gone = w.client->call<native::FetchReply>(3, fetch_of(0, Offset(0)));
  EXPECT_EQ(gone.partitions[0].error, ErrorCode::kUnknownTopic);
  ASSERT_TRUE(w.store.create_topic({"orders", 1, {}}));
  const auto again = w.client->call<native::FetchReply>(4, fetch_of(0, Offset(0)));
  EXPECT_EQ(again.partitions[0].error, ErrorCode::kOk);
}

TEST(NativeSession, MayEndWithWorkOnTheWay) {
  World w;
  w.client->hello();
  w.store.hold_commits(true);
  const std::string batch = batch_of();
  w.client->feed(TestClient::frame(2, w.append_to(0, batch.size()), batch) +
                 TestClient::frame(3, fetch_of(0, Offset(0), 60'000)));
  EXPECT_EQ(w.store.waiting_fetches(), 1u);
  EXPECT_GT(w.store.memory().held_bytes(), 0u);
  w.client.reset();
  EXPECT_EQ(w.store.waiting_fetches(), 0u);
  w.store.release_commits();
  EXPECT_EQ(w.store.memory().held_bytes(), 0u);
}

TEST(NativeSession, ShutsDownAfterWhatWasAsked) {
  World w;
  w.client->hello();
  w.store.hold_commits(true);
  const std::string batch = batch_of();
  w.client->feed(TestClient::frame(2, w.append_to(0, batch.size()), batch) +
                 TestClient::frame(3, fetch_of(0, Offset(0), 60'000)) +
                 TestClient::frame(4, native::Subscribe{fetch_of(0, Offset(0)).partitions, 9}));
  w.client->await<native::SubscribeReply>(4);
  w.client->session->shutting_down();
  EXPECT_EQ(w.client->await<Failure>(3).code, ErrorCode::kShuttingDown);
  EXPECT_EQ(w.client->await<Failure>(4).code, ErrorCode::kShuttingDown);
  EXPECT_FALSE(w.client->connection.closed);
  w.store.release_commits();
  w.client->await<native::AppendReply>(2);
  EXPECT_TRUE(w.client->connection.closed);
}

TEST(NativeSession, PushesWhileThereIsCredit) {
  World w;
  w.client->hello();
  auto& c = *w.client;
  const std::string batch = batch_of(100);
  native::Subscribe subscribe;
  subscribe.partitions = fetch_of(0, Offset(0)).partitions;
  subscribe.credit_bytes = batch.size() + 1;
  const auto number = c.call<native::SubscribeReply>(2, subscribe).subscription;
  w.append(3, 0, batch);
  auto delivery = c.await<native::Delivery>(2);
  EXPECT_EQ(delivery.subscription, number);
  EXPECT_EQ(delivery.partitions[0].bytes, batch.size());
  w.append(4, 0, batch);  // one byte of credit is left: the batch may overdraw it
  c.await<native::Delivery>(2);
  w.append(5, 0, batch);
  c.run_posted();
  EXPECT_TRUE(c.answers[2].empty()) << "no credit, no delivery";
  c.feed(TestClient::frame(6, native::Credit{number, batch.size()}));
  delivery = c.await<native::Delivery>(2);
  EXPECT_EQ(protocol::BatchView(c.attachment.bytes()).base_offset(), Offset(2));
  c.call<native::Done>(7, native::Unsubscribe{number});
  EXPECT_EQ(c.call<Failure>(8, native::Unsubscribe{number}).code, ErrorCode::kNotFound);
  EXPECT_EQ(w.store.waiting_fetches(), 0u);
}

TEST(NativeSession, EndsASubscriptionWithItsLastPartition) {
  World w;
  w.client->hello();
  native::Subscribe subscribe;
  subscribe.partitions = fetch_of(0, Offset(77)).partitions;
  w.client->feed(TestClient::frame(2, subscribe));
  w.client->await<native::SubscribeReply>(2);
  const auto delivery = w.client->await<native::Delivery>(2);
  EXPECT_EQ(delivery.partitions[0].error, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(w.client->await<Failure>(2).code, ErrorCode::kOffsetOutOfRange);
}

TEST(NativeSession, StopsReadingAndPushingWhileTheClientDoesNotTakeItsAnswers) {
  World w;
  w.client->hello();
  auto& c = *w.client;
  const auto number = c.call<native::SubscribeReply>(
                           2, native::Subscribe{fetch_of(0, Offset(0)).partitions, 1u << 20})
                          .subscription;
  EXPECT_GT(number, 0u);
  c.connection.unsent = kOutputLowMark + 1;
  w.append(3, 0, batch_of());
  EXPECT_EQ(c.connection.pauses, 1);
  TestClient other(w.service.factory());
  other.hello();
  const std::string batch = batch_of();
  other.call<native::AppendReply>(4, w.append_to(0, batch.size()), batch);
  c.run_posted();
  EXPECT_TRUE(c.answers[2].empty());
  c.connection.take_output(*c.session);
  EXPECT_EQ(c.connection.pauses, 0);
  c.await<native::Delivery>(2);
}

}  // namespace
}  // namespace runnel::broker
