// Transactions, dedup keys and administration: over a socket and over the embedded store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TransactionTest : public RealTest {
 protected:
  Outcome<Committed> commit(const Transaction& t) { return client->commit(t).get(); }
};
class AdminTest : public RealTest {};

INSTANTIATE_TEST_SUITE_P(Client, TransactionTest, testing::Values(Over::kNetwork, Over::kEmbedded),
                         over_name);
INSTANTIATE_TEST_SUITE_P(Client, AdminTest, testing::Values(Over::kNetwork, Over::kEmbedded),
                         over_name);

TEST_P(TransactionTest, RecordsOfSeveralTopicsAndOffsetsAreOneWrite) {
  make_topic("a", 2);
  make_topic("b");
  Transaction t;
  t.add(message("a", "a0", 0)).add(message("b", "b0")).add(message("a", "a1", 1));
  t.add(message("a", "a2", 0));
  t.commit_offsets({"g", "", -1}, {{{"a", 0}, 1, "note"}});
  const auto done = commit(t);
  ASSERT_TRUE(done) << done.error().to_string();
  ASSERT_EQ(done->deliveries.size(), 4U);
  EXPECT_EQ(done->deliveries[0].target, (TopicPartition{"a", 0}));
  EXPECT_EQ(done->deliveries[0].offset, 0);
  EXPECT_EQ(done->deliveries[3].offset, 1);
  EXPECT_EQ(done->deliveries[2].target, (TopicPartition{"a", 1}));
  EXPECT_EQ(done->durability, Durability::synced);
  EXPECT_THAT(read_all("a", 0), ElementsAre("a0", "a2"));
  EXPECT_THAT(read_all("a", 1), ElementsAre("a1"));
  EXPECT_THAT(read_all("b"), ElementsAre("b0"));
  const auto offsets = client->admin().group_offsets("g").get();
  ASSERT_TRUE(offsets);
  ASSERT_EQ(offsets->size(), 1U);
  EXPECT_EQ((*offsets)[0].offset, 1);
  EXPECT_EQ((*offsets)[0].metadata, "note");
}

TEST_P(TransactionTest, WhatFailsLeavesNothingBehind) {
  make_topic("a");
  Transaction bad;
  bad.add(message("a", "x")).add(message("nowhere", "y"));
  bad.commit_offsets({"g", "", -1}, {{{"a", 0}, 7, ""}});
  const auto refused = commit(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::unknown_topic);
  EXPECT_EQ(refused.error().action(), action_for(Errc::unknown_topic));
  const auto state = client->admin().describe_topics({"a"}).get();
  EXPECT_EQ((*state)[0].partitions[0].high_watermark, 0);
  EXPECT_THAT(*client->admin().group_offsets("g").get(), IsEmpty());
}

TEST_P(TransactionTest, AnOlderFencingTokenIsRefusedAndWritesNothing) {
  make_topic("a");
  ASSERT_TRUE(commit(Transaction().add(message("a", "one")).fence("leader", 5)));
  const auto old = commit(Transaction().add(message("a", "zombie")).fence("leader", 4));
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().errc(), Errc::fenced);
  ASSERT_TRUE(commit(Transaction().add(message("a", "two")).fence("leader", 5)));
  EXPECT_THAT(read_all("a"), ElementsAre("one", "two"));
}

TEST_P(TransactionTest, AnExpectedOffsetIsCompareAndSet) {
  make_topic("a");
  const TopicPartition tp{"a", 0};
  ASSERT_TRUE(commit(Transaction().add(message("a", "one")).expect_next(tp, 0)));
  const auto late = commit(Transaction().add(message("a", "two")).expect_next(tp, 0));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::precondition_failed);
  ASSERT_TRUE(commit(Transaction().add(message("a", "two")).expect_next(tp, 1)));
  EXPECT_THAT(read_all("a"), ElementsAre("one", "two"));
  const auto pointless = commit(Transaction().add(message("a", "x")).expect_next({"a", 9}, 0));
  ASSERT_FALSE(pointless);
  EXPECT_EQ(pointless.error().errc(), Errc::invalid_argument);
}

TEST_P(TransactionTest, DedupKeysMakeARepeatHarmless) {
  make_topic("a");
  make_topic("b");
  Transaction first;
  first.add(keyed("a", "x", "1")).add(keyed("a", "y", "2")).add(message("b", "plain"));
  ASSERT_TRUE(commit(first));
  Transaction again;
  again.add(keyed("a", "x", "1")).add(keyed("a", "z", "3")).add(keyed("a", "y", "2"));
  const auto done = commit(again);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_TRUE(done->deliveries[0].duplicate);
  EXPECT_EQ(done->deliveries[0].offset, 0);
  EXPECT_FALSE(done->deliveries[1].duplicate);
  EXPECT_EQ(done->deliveries[1].offset, 2);
  EXPECT_TRUE(done->deliveries[2].duplicate);
  EXPECT_EQ(done->deliveries[2].offset, 1);
  EXPECT_THAT(read_all("a"), ElementsAre("x", "y", "z"));
  const auto conflict = commit(Transaction().add(keyed("a", "other", "1")));
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().errc(), Errc::dedup_conflict);
  const auto mixed = commit(Transaction().add(keyed("a", "q", "9")).add(message("a", "r")));
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().errc(), Errc::invalid_argument);
}

TEST_P(TransactionTest, AnEmptyOneIsAMistakeAndManyInFlightAreFine) {
  make_topic("a");
  const auto empty = commit(Transaction());
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().errc(), Errc::invalid_argument);
  std::vector<Pending<Committed>> many;
  for (int i = 0; i < 100; ++i)
    many.push_back(client->commit(Transaction().add(message("a", std::to_string(i)))));
  for (auto& m : many) ASSERT_TRUE(m.get());
  EXPECT_EQ(read_all("a").size(), 100U);
}

TEST_P(TransactionTest, FarMoreThanMayBeInFlightKeepTheirOrder) {
  make_topic("a");
  constexpr int kCommits = 20'000;
  std::vector<Pending<Committed>> pending;
  for (int i = 0; i < kCommits; ++i) {
    Transaction t;
    t.add(message("a", std::to_string(i))).durability(Durability::written);
    pending.push_back(client->commit(t));
  }
  for (int i = 0; i < kCommits; ++i) {
    const auto done = pending[static_cast<std::size_t>(i)].get();
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_EQ(done->deliveries[0].offset, i);
  }
}

TEST_P(TransactionTest, TheProducersDedupKeysWorkTheSameWay) {
  make_topic("a");
  for (int round = 0; round < 2; ++round) {
    auto producer = client->producer();
    std::vector<Pending<Delivery>> sent;
    for (int i = 0; i < 50; ++i)
      sent.push_back(producer.send(keyed("a", std::to_string(i), std::to_string(i))));
    for (int i = 0; i < 50; ++i) {
      const auto d = sent[static_cast<std::size_t>(i)].get();
      ASSERT_TRUE(d) << d.error().to_string();
      EXPECT_EQ(d->duplicate, round == 1);
      EXPECT_EQ(d->offset, i);
    }
  }
  auto producer = client->producer();
  auto known = producer.send(keyed("a", "7", "7"));
  auto fresh = producer.send(keyed("a", "new", "new"));
  EXPECT_TRUE(known.get()->duplicate);
  EXPECT_EQ(fresh.get()->offset, 50);
  const auto conflict = producer.send(keyed("a", "changed", "3")).get();
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().errc(), Errc::dedup_conflict);
  EXPECT_EQ(read_all("a").size(), 51U);
}

TEST_P(AdminTest, TopicsAreMadeDescribedAlteredAndDeleted) {
  auto admin = client->admin();
  const auto made = admin.create_topic({"t", 2, {{"retention.ms", "3600000"}}, false}).get();
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->partitions.size(), 2U);
  EXPECT_THAT(made->configs, ElementsAre(TopicConfig{"retention.ms", "3600000"}));
  EXPECT_TRUE(made->created);
  EXPECT_EQ(admin.create_topic({"t", 2, {}, false}).get().error().errc(), Errc::topic_exists);
  EXPECT_TRUE(admin.create_topic({"t", 2, {}, true}).get());
  EXPECT_EQ(admin.create_topic({"bad name!", 1, {}, false}).get().error().errc(),
            Errc::invalid_topic_name);
  EXPECT_EQ(admin.create_topic({"u", 1, {{"no.such", "1"}}, false}).get().error().errc(),
            Errc::invalid_config);
  const auto state =
      admin.alter_topic({"t", {{"retention.bytes", "1000"}}, {"retention.ms"}, 3}).get();
  ASSERT_TRUE(state) << state.error().to_string();
  EXPECT_EQ(state->partitions.size(), 3U);
  EXPECT_THAT(state->configs, ElementsAre(TopicConfig{"retention.bytes", "1000"}));
  make_topic("s");
  const auto all = admin.list_topics().get();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].name, "s");
  const auto some = admin.describe_topics({"gone", "t"}).get();
  ASSERT_EQ(some->size(), 2U);
  EXPECT_EQ((*some)[0].error->errc(), Errc::unknown_topic);
  EXPECT_FALSE((*some)[1].error);
  ASSERT_TRUE(admin.delete_topic("t").get());
  EXPECT_EQ(admin.delete_topic("t").get().error().errc(), Errc::unknown_topic);
  EXPECT_EQ(admin.list_topics().get()->size(), 1U);
}

TEST_P(AdminTest, OffsetsAreFoundByKindAndTimeAndRecordsTrimmed) {
  make_topic("t");
  auto producer = client->producer();
  for (int i = 0; i < 5; ++i) {
    const std::string value = std::to_string(i);
    Message m = message("t", value);
    m.timestamp = Time(std::chrono::milliseconds(1000 + i * 10));
    ASSERT_TRUE(producer.send(m).get());
  }
  auto admin = client->admin();
  const TopicPartition tp{"t", 0};
  using Kind = OffsetLookup::Kind;
  const auto found = admin
                         .list_offsets({{tp, Kind::earliest, {}},
                                        {tp, Kind::latest, {}},
                                        {tp, Kind::max_timestamp, {}},
                                        {tp, Kind::time, Time(1015ms)},
                                        {tp, Kind::time, Time(5000ms)},
                                        {{"none", 0}, Kind::latest, {}}})
                         .get();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 6U);
  EXPECT_EQ((*found)[0].offset, 0);
  EXPECT_EQ((*found)[1].offset, 5);
  EXPECT_EQ((*found)[2].offset, 4);
  EXPECT_EQ((*found)[2].timestamp, Time(1040ms));
  EXPECT_EQ((*found)[3].offset, 2);
  EXPECT_EQ((*found)[4].offset, kNoPosition);
  EXPECT_EQ((*found)[5].error->errc(), Errc::unknown_topic);
  EXPECT_EQ(*admin.delete_records(tp, 3).get(), 3);
  EXPECT_EQ((*admin.list_offsets({{tp, Kind::earliest, {}}}).get())[0].offset, 3);
  EXPECT_THAT(read_all("t"), ElementsAre("3", "4"));
  EXPECT_FALSE(admin.delete_records(tp, 100).get());
}

TEST_P(AdminTest, GroupsAreDescribedSoughtAndDeleted) {
  make_topic("t");
  auto admin = client->admin();
  ASSERT_TRUE(admin.seek_group("g", {{{"t", 0}, 0, "from outside"}}).get());
  ConsumerOptions options;
  options.group = "g";
  options.topics = {"t"};
  auto member = client->consumer(options);
  ASSERT_TRUE(
      eventually([&] { return member.poll(10ms).get() && member.assignment().size() == 1; }));
  const auto state = admin.describe_group("g").get();
  ASSERT_TRUE(state) << state.error().to_string();
  ASSERT_EQ(state->members.size(), 1U);
  EXPECT_EQ(state->members[0].client_name, "runnel-cpp");
  EXPECT_EQ(state->members[0].member_id, member.membership().member_id);
  EXPECT_THAT(state->members[0].assignment, ElementsAre(TopicPartition{"t", 0}));
  EXPECT_EQ(admin.delete_group("g").get().error().errc(), Errc::group_not_empty);
  EXPECT_FALSE(admin.seek_group("g", {{{"t", 0}, 0, ""}}).get());
  ASSERT_TRUE(member.close());
  ASSERT_TRUE(admin.delete_group("g").get());
  EXPECT_EQ(admin.describe_group("g").get().error().errc(), Errc::unknown_group);
  EXPECT_THAT(*admin.group_offsets("g").get(), IsEmpty());
}

TEST_P(AdminTest, StatisticsHaveMeanings) {
  make_topic("t");
  produce("t", 3);
  const auto values = client->admin().statistics().get();
  ASSERT_TRUE(values);
  bool appends = false;
  for (const auto& s : *values) {
    EXPECT_FALSE(s.name.empty());
    EXPECT_FALSE(s.text.empty()) << s.name;
    appends = appends || s.value >= 3;
  }
  EXPECT_TRUE(appends);
  EXPECT_FALSE(client->server().version.empty());
  EXPECT_FALSE(client->server().cluster_id.empty());
  EXPECT_TRUE(client->connected());
}

}  // namespace
}  // namespace runnel::client
