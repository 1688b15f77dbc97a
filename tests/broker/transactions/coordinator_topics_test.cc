// Topics that are deleted, or deleted and made anew, while transactions write to them.
#include <gtest/gtest.h>

#include "tests/broker/transactions/fake_transaction_store.h"

namespace runnel::broker {
namespace {

const OffsetKey kPosition{"g", {"orders", PartitionIndex(3)}};

TEST(Transactions, ATopicThatWasDeletedIsLeftOut) {
  TransactionWorld w;
  w.disk.create("gone", 0);
  w.disk.create("again", 0);
  const TopicPartition gone{"gone", PartitionIndex(0)};
  const TopicPartition again{"again", PartitionIndex(0)};
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, gone, 0, 2, true), ErrorCode::kOk);
  EXPECT_EQ(*w.put_offset("a", a, true, {"g", gone}, 3), ErrorCode::kOk);
  EXPECT_EQ(*w.put_offset("a", a, true, {"g", again}, 3), ErrorCode::kOk);
  EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 3), ErrorCode::kOk);
  w.disk.remove(gone);
  w.disk.remove(again);
  w.disk.create("again", 0);
  w.disk.at_once = false;
  const auto answer = w.start_end("a", a, true, true);
  w.disk.remove(orders(0));  // deleted between the decision and the commit
  w.disk.complete_one();
  ASSERT_EQ(w.disk.pending.size(), 1u) << "put together anew";
  w.disk.complete_all();
  EXPECT_TRUE(answer->has_value() && **answer);
  EXPECT_EQ(w.offset(kPosition), Offset(3));
  EXPECT_FALSE(w.offset({"g", gone}));
  EXPECT_FALSE(w.offset({"g", again})) << "it is another topic of that name";
}

TEST(Transactions, ATopicMadeAnewTakesPartAnew) {
  TransactionWorld w;
  ProducerIdentity a = w.init("a");
  const auto make_anew = [&](int i) {
    w.disk.remove(orders(i));
    w.disk.create("orders", i);
  };
  // By being written to: with a restart before the end, and with one before the second batch.
  for (const int restart : {0, 1, 2}) {
    EXPECT_EQ(*w.write("a", a, orders(0), 0, 1, true), ErrorCode::kOk);
    make_anew(0);
    if (restart == 2) w.restart();
    EXPECT_EQ(*w.write("a", a, orders(0), 0, 2, true), ErrorCode::kOk);
    if (restart == 1) w.restart();
    EXPECT_EQ(w.end("a", a, true, true, &a), ErrorCode::kOk);
    EXPECT_FALSE(w.partition(0).has_open()) << restart;
    EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{2}) << restart;
    EXPECT_EQ(w.disk.state.size(), 1u);
    make_anew(0);
  }
  // By being added, before and after.
  EXPECT_EQ(*w.add("a", a, {orders(1), orders(2)}), ErrorCode::kOk);
  make_anew(1);
  make_anew(2);
  EXPECT_EQ(*w.add("a", a, {orders(1)}), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(1), 0, 3, false), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(2), 0, 4, false), ErrorCode::kOk) << "added under this name";
  w.restart();
  EXPECT_EQ(w.end("a", a, true, false), ErrorCode::kOk);
  EXPECT_EQ(w.partition(1).committed(), std::vector<std::int64_t>{3});
  EXPECT_EQ(w.partition(2).committed(), std::vector<std::int64_t>{4});
}

TEST(Transactions, ALateBatchToADeletedTopicDoesNotTakeTheNewOnesPlace) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  const storage::PartitionRef old = w.disk.partitions.at(orders(0));
  w.disk.at_once = false;
  const auto first = w.write("a", a, orders(0), 0, 1, true);
  w.disk.complete_one();
  const auto second = w.write("a", a, orders(0), 1, 2, true);  // durable, but not answered
  w.disk.remove(orders(0));
  w.disk.create("orders", 0);
  w.disk.at_once = true;
  const auto third = w.write("a", a, orders(0), 0, 3, true);
  w.disk.complete_all();
  EXPECT_EQ(*second, ErrorCode::kUnknownTopic);
  EXPECT_EQ(*third, ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, orders(0), 2, 4, true, old), ErrorCode::kUnknownTopic);
  w.restart();
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_EQ(w.partition(0).committed(), std::vector<std::int64_t>{3});
}

TEST(Transactions, AfterARestartATopicMadeAnewIsNotTheOldOne) {
  TransactionWorld w;
  const ProducerIdentity a = w.init("a");
  EXPECT_EQ(*w.put_offset("a", a, true, kPosition, 500), ErrorCode::kOk);
  EXPECT_EQ(*w.write("a", a, kPosition.of, 0, 1, true), ErrorCode::kOk);
  EXPECT_EQ(*w.add("a", a, {orders(1)}), ErrorCode::kOk);
  for (const TopicPartition& of : {kPosition.of, orders(1)}) {
    w.disk.remove(of);
    w.disk.create("orders", of.partition.value());
  }
  w.restart();
  EXPECT_EQ(*w.add("a", a, {orders(2)}), ErrorCode::kOk) << "what is gone is stored as such";
  w.restart();
  EXPECT_EQ(w.end("a", a, true, true), ErrorCode::kOk);
  EXPECT_FALSE(w.offset(kPosition));
  EXPECT_TRUE(w.partition(3).log.empty());
  EXPECT_TRUE(w.partition(1).log.empty());
  EXPECT_EQ(w.partition(2).log.size(), 1u);
}

}  // namespace
}  // namespace runnel::broker
