// The rules of one transactional id.
#include "broker/transactions/transaction.h"

#include <gtest/gtest.h>

namespace runnel::broker {
namespace {

using storage::ProducerIdentity;

constexpr Timestamp kNow{5000};
constexpr std::int32_t kTimeout = 60'000;

ProducerIdentity who(std::int64_t id, int epoch) {
  return {ProducerId(id), ProducerEpoch(static_cast<std::int16_t>(epoch))};
}

std::string text(ProducerIdentity identity) {
  return std::to_string(identity.id.value()) + "/" + std::to_string(identity.epoch.value());
}

/// What a step leads to: "state producer" and, if a transaction ends, "marker producer".
std::string text(const Result<Transaction::Step>& step) {
  if (!step) return std::string(name_of(step.error().code()));
  if (!step->next) return "unchanged " + text(step->producer);
  std::string shown = std::string(name_of(step->next->state())) + " " + text(step->producer);
  EXPECT_EQ(text(step->next->producer()), text(step->producer));
  EXPECT_TRUE(step->next->partitions().empty());
  if (step->marker) {
    shown += step->marker->commit ? ", commits " : ", aborts ";
    shown += text(step->marker->producer);
  }
  return shown;
}

Transaction make(ProducerIdentity producer) {
  return Transaction(producer, kTimeout, kNow);
}

Transaction opened(ProducerIdentity producer) {
  Transaction t = make(producer);
  EXPECT_TRUE(t.add({"orders", PartitionIndex(0)}, {}, 1, kNow));
  return t;
}

Transaction after(const Result<Transaction::Step>& step) {
  EXPECT_TRUE(step && step->next);
  return *step->next;
}

std::string end(const Transaction& t, ProducerIdentity producer, bool commit, bool bumps) {
  return text(t.end(producer, commit, bumps, std::nullopt, kNow));
}

TEST(Transaction, EndsAsOlderClientsDo) {
  const Transaction open = opened(who(7, 3));
  EXPECT_EQ(end(open, who(7, 3), true, false), "CompleteCommit 7/3, commits 7/3");
  EXPECT_EQ(end(open, who(7, 3), false, false), "CompleteAbort 7/3, aborts 7/3");
  EXPECT_EQ(end(open, who(7, 2), true, false), "producer_fenced");
  EXPECT_EQ(end(open, who(7, 4), true, false), "producer_fenced");
  EXPECT_EQ(end(open, who(8, 3), true, false), "invalid_producer_id_mapping");

  const Transaction committed = after(open.end(who(7, 3), true, false, std::nullopt, kNow));
  EXPECT_EQ(end(committed, who(7, 3), true, false), "unchanged 7/3");
  EXPECT_EQ(end(committed, who(7, 3), false, false), "invalid_txn_state");
  const Transaction aborted = after(open.end(who(7, 3), false, false, std::nullopt, kNow));
  EXPECT_EQ(end(aborted, who(7, 3), false, false), "unchanged 7/3");
  EXPECT_EQ(end(aborted, who(7, 3), true, false), "invalid_txn_state");
  const Transaction empty = make(who(7, 3));
  EXPECT_EQ(end(empty, who(7, 3), true, false), "invalid_txn_state");
  EXPECT_EQ(end(empty, who(7, 3), false, false), "invalid_txn_state");
}

TEST(Transaction, EndsWithANewEpoch) {
  const Transaction open = opened(who(7, 3));
  EXPECT_EQ(end(open, who(7, 3), true, true), "CompleteCommit 7/4, commits 7/4");
  EXPECT_EQ(end(open, who(7, 3), false, true), "CompleteAbort 7/4, aborts 7/4");
  EXPECT_EQ(end(open, who(7, 2), true, true), "producer_fenced");
  EXPECT_EQ(end(open, who(8, 3), true, true), "invalid_producer_id_mapping");

  const Transaction committed = after(open.end(who(7, 3), true, true, std::nullopt, kNow));
  EXPECT_EQ(end(committed, who(7, 3), true, true), "unchanged 7/4") << "a repeat";
  EXPECT_EQ(end(committed, who(7, 3), false, true), "invalid_txn_state");
  EXPECT_EQ(end(committed, who(7, 4), true, true), "invalid_txn_state");
  EXPECT_EQ(end(committed, who(7, 4), false, true), "CompleteAbort 7/5") << "nothing was open";
  EXPECT_EQ(end(committed, who(7, 2), true, true), "producer_fenced");
  const Transaction aborted = after(open.end(who(7, 3), false, true, std::nullopt, kNow));
  EXPECT_EQ(end(aborted, who(7, 3), false, true), "unchanged 7/4");
  EXPECT_EQ(end(aborted, who(7, 3), true, true), "invalid_txn_state");
  EXPECT_EQ(end(aborted, who(7, 4), false, true), "CompleteAbort 7/5");
  EXPECT_EQ(end(aborted, who(7, 4), true, true), "invalid_txn_state");
  const Transaction empty = make(who(7, 3));
  EXPECT_EQ(end(empty, who(7, 2), false, true), "producer_fenced");
  EXPECT_EQ(end(empty, who(7, 2), true, true), "producer_fenced");
  EXPECT_EQ(end(empty, who(7, 3), false, true), "CompleteAbort 7/4");
  EXPECT_EQ(end(empty, who(7, 3), true, true), "invalid_txn_state");
}

TEST(Transaction, ARepeatMustBeOneOfAnEnd) {
  // The epoch before was replaced by a new start, not by an end: its producer is fenced off.
  Transaction t = after(make(who(7, 3)).init(kTimeout, who(7, 3), std::nullopt, kNow));
  ASSERT_EQ(text(t.producer()), "7/4");
  EXPECT_TRUE(t.add({"orders", PartitionIndex(0)}, {}, 1, kNow));
  t = after(t.end(who(7, 4), true, false, std::nullopt, kNow));
  EXPECT_EQ(end(t, who(7, 3), true, true), "producer_fenced");
}

TEST(Transaction, StartsFenceTheProducerBefore) {
  const auto init = [](const Transaction& t, std::optional<ProducerIdentity> expected) {
    return text(t.init(kTimeout, expected, std::nullopt, kNow));
  };
  EXPECT_EQ(init(make(who(7, 3)), {}), "Empty 7/4");
  EXPECT_EQ(init(make(who(7, 3)), who(7, 3)), "Empty 7/4");
  EXPECT_EQ(init(make(who(7, 3)), who(7, 2)), "producer_fenced");
  EXPECT_EQ(init(make(who(7, 3)), who(8, 3)), "producer_fenced");
  EXPECT_EQ(init(opened(who(7, 3)), {}), "Empty 7/5, aborts 7/4");
  EXPECT_EQ(init(opened(who(7, 3)), who(7, 3)), "Empty 7/4, aborts 7/4");
  EXPECT_EQ(init(opened(who(7, 3)), who(7, 2)), "producer_fenced");

  const Transaction expected = after(make(who(7, 3)).init(kTimeout, who(7, 3), {}, kNow));
  EXPECT_EQ(init(expected, who(7, 3)), "unchanged 7/4") << "a repeat";
  const Transaction unexpected = after(make(who(7, 3)).init(kTimeout, {}, {}, kNow));
  EXPECT_EQ(init(unexpected, who(7, 3)), "producer_fenced") << "somebody else has started";
}

TEST(Transaction, EpochsEndInANewProducerId) {
  const int last = Transaction::kLastEpoch.value();
  const Transaction open = opened(who(7, last));
  EXPECT_TRUE(open.exhausted());
  EXPECT_EQ(end(open, who(7, last), true, true), "concurrent_transactions") << "no id at hand";
  const auto ended = open.end(who(7, last), true, true, ProducerId(9), kNow);
  EXPECT_EQ(text(ended), "CompleteCommit 9/0, commits 7/32767");
  EXPECT_EQ(end(after(ended), who(7, last), true, true), "unchanged 9/0");
  EXPECT_EQ(end(open, who(7, last), true, false), "CompleteCommit 7/32766, commits 7/32766");
  EXPECT_EQ(text(open.init(kTimeout, {}, ProducerId(9), kNow)), "Empty 9/0, aborts 7/32767");
  EXPECT_EQ(text(opened(who(7, last - 1)).init(kTimeout, {}, std::nullopt, kNow)),
            "Empty 7/32766, aborts 7/32766")
      << "the last epoch is given, too, for no id is at hand";
  const Transaction timed_out = *open.time_out(kNow).next;
  EXPECT_EQ(text(timed_out.producer()), "7/32767");
  EXPECT_EQ(text(timed_out.init(kTimeout, {}, ProducerId(9), kNow)), "Empty 9/0");
}

TEST(Transaction, TimeIsUp) {
  Transaction t = make(who(7, 3));
  EXPECT_TRUE(t.add({"orders", PartitionIndex(0)}, {}, 1, Timestamp(100)));
  EXPECT_TRUE(t.add({"orders", PartitionIndex(1)}, {}, 1, Timestamp(200)));
  EXPECT_EQ(t.deadline(), Timestamp(100 + kTimeout)) << "counted from the first partition";
  const auto step = t.time_out(kNow);
  EXPECT_EQ(text(step), "CompleteAbort 7/4, aborts 7/4");
  EXPECT_EQ(end(*step.next, who(7, 3), false, true), "producer_fenced");
  EXPECT_EQ(end(*step.next, who(7, 3), false, false), "producer_fenced");
}

TEST(Transaction, PositionsAreReplacedAndBounded) {
  Transaction t = make(who(7, 3));
  const OffsetKey key{"g", {"orders", PartitionIndex(0)}};
  EXPECT_TRUE(t.put_offsets({{key, {Offset(4), LeaderEpoch(0), "note", {}}}}, kNow));
  const std::size_t bytes = t.offset_bytes();
  EXPECT_TRUE(t.put_offsets({{key, {Offset(5), LeaderEpoch(0), "more", {}}}}, kNow));
  EXPECT_EQ(t.offset_bytes(), bytes);
  EXPECT_EQ(t.offsets().at(key).offset, Offset(5));
  std::vector<std::pair<OffsetKey, PendingOffset>> many;
  for (int i = 0; i < 1100; ++i) {
    many.push_back({{"g", {"orders", PartitionIndex(i)}},
                    {Offset(1), LeaderEpoch(0), std::string(4096, 'x'), {}}});
  }
  const Status refused = t.put_offsets(many, kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooManyPartitions);
  EXPECT_EQ(t.offsets().size(), 1u) << "all or none";
}

TEST(Transaction, PartitionsAreBounded) {
  Transaction t = make(who(7, 3));
  for (std::size_t i = 0; i < kMaxTransactionPartitions; ++i) {
    ASSERT_TRUE(t.add({"t", PartitionIndex(static_cast<std::int32_t>(i))}, {}, 1, kNow));
  }
  EXPECT_FALSE(t.add({"u", PartitionIndex(0)}, {}, 1, kNow));
  EXPECT_TRUE(t.add({"t", PartitionIndex(0)}, {}, 1, kNow)) << "it is known";
}

}  // namespace
}  // namespace runnel::broker
