// The stored form of a transactional id: docs/formats/transaction-state.md's example, round trips,
// damage.
#include <gtest/gtest.h>

#include "broker/transactions/transaction.h"
#include "protocol/base/bytes.h"
#include "tests/support/format_page.h"

namespace runnel::broker {
namespace {

constexpr const char* kPage = RUNNEL_SOURCE_DIR "/docs/formats/transaction-state.md";

const Transaction::Resolve kNobody = [](const TopicPartition&, PartitionId) { return nullptr; };

Incarnation id(std::uint32_t id) {
  return {PartitionId(id), nullptr};
}

/// The page's: producer 4711 at epoch 3 goes on after a commit, has two partitions of "orders" and
/// one of "bills" in its transaction, and a position of group "billing".
Transaction example() {
  using storage::ProducerIdentity;
  Transaction t(ProducerIdentity{ProducerId(4711), ProducerEpoch(2)}, 60'000,
                Timestamp(1'700'000'000'000));
  EXPECT_TRUE(t.add({"orders", PartitionIndex(0)}, {}, 1, Timestamp(1'700'000'000'500)));
  const auto ended = t.end(t.producer(), true, true, std::nullopt, Timestamp(1'700'000'001'000));
  EXPECT_TRUE(ended && ended->next);
  t = *ended->next;
  const Timestamp begun(1'700'000'002'000);
  EXPECT_TRUE(t.add({"orders", PartitionIndex(1)}, id(41), 1, begun));
  EXPECT_TRUE(t.add({"orders", PartitionIndex(300)}, id(340), 1, begun));
  EXPECT_TRUE(t.add({"bills", PartitionIndex(0)}, id(9), 1, begun));
  EXPECT_TRUE(t.add_group("billing", begun));
  EXPECT_TRUE(t.put_offsets({{{"billing", {"orders", PartitionIndex(7)}},
                              {Offset(1234), LeaderEpoch(0), "note", id(47)}}},
                            begun));
  return t;
}

TEST(TransactionStored, ThePageShowsWhatIsStored) {
  const Transaction t = example();
  EXPECT_EQ(to_hex(t.encode()), hex_of_page(kPage, "txn"));
  EXPECT_EQ(to_hex(t.encode_offsets()), hex_of_page(kPage, "txo"));
  EXPECT_EQ(to_hex(t.encode_participant({"orders", PartitionIndex(1)})), hex_of_page(kPage, "txp"));
  EXPECT_EQ(Transaction::participant_key(t.producer(), 26), "txp/0000000000001267/0003/001a");
}

TEST(TransactionStored, RoundTrip) {
  const Transaction t = example();
  auto again = Transaction::decode("a", as_bytes(t.encode()), kNobody);
  ASSERT_TRUE(again) << again.error().to_string();
  ASSERT_TRUE(again->decode_offsets("a", as_bytes(t.encode_offsets()), kNobody));
  EXPECT_EQ(again->encode(), t.encode());
  EXPECT_EQ(again->encode_offsets(), t.encode_offsets());
  const TopicPartition joined{"joined", PartitionIndex(5)};
  Transaction with = t;
  EXPECT_TRUE(with.add(joined, id(5), 1, Timestamp(9)));
  const std::string participant = with.encode_participant(joined);
  ASSERT_TRUE(again->decode_participant(3, as_bytes(participant), kNobody));
  EXPECT_TRUE(again->find(joined)->stored);
  EXPECT_EQ(again->numbers(), 4);
}

TEST(TransactionStored, AParticipantOpensTheTransaction) {
  Transaction t = example();
  const std::string participant = t.encode_participant({"orders", PartitionIndex(1)});
  t = *t.end(t.producer(), true, true, std::nullopt, Timestamp(9)).value().next;
  ASSERT_FALSE(t.open());
  ASSERT_TRUE(t.decode_participant(0, as_bytes(participant), kNobody));
  EXPECT_TRUE(t.open());
  EXPECT_EQ(t.start(), Timestamp(1'700'000'002'000));
}

TEST(TransactionStored, OfTwoIncarnationsTheOneThatIsThereCounts) {
  const TopicPartition of{"orders", PartitionIndex(1)};
  Transaction t = example();
  const std::string before = t.encode_participant(of);
  EXPECT_TRUE(*t.add(of, id(77), 1, Timestamp(9)));
  const std::string after = t.encode_participant(of);
  const auto there = std::make_shared<int>();
  const auto resolve = [&](std::uint32_t now) -> Transaction::Resolve {
    return [&there, now](const TopicPartition&, PartitionId asked) -> storage::PartitionRef {
      if (asked != PartitionId(now)) return nullptr;
      return {there, reinterpret_cast<storage::Partition*>(there.get())};
    };
  };
  for (const std::uint32_t now : {41u, 77u}) {
    for (const bool whole_is_newer : {false, true}) {
      const Transaction stored = whole_is_newer ? t : example();
      auto again = Transaction::decode("a", as_bytes(stored.encode()), resolve(now));
      ASSERT_TRUE(again);
      EXPECT_TRUE(again->decode_participant(0, as_bytes(before), resolve(now)));
      EXPECT_TRUE(again->decode_participant(1, as_bytes(after), resolve(now)));
      EXPECT_EQ(again->find(of)->partition.id, PartitionId(now)) << whole_is_newer;
      EXPECT_TRUE(again->find(of)->partition.ref);
      EXPECT_EQ(again->numbers(), 2);
    }
  }
}

TEST(TransactionStored, AnEpochThatNobodyIsGivenIsFencedOff) {
  const Transaction t(storage::ProducerIdentity{ProducerId(7), ProducerEpoch(32767)}, 60'000,
                      Timestamp(5));
  Transaction open = t;
  EXPECT_TRUE(open.add({"orders", PartitionIndex(0)}, id(1), 1, Timestamp(6)));
  const auto again = Transaction::decode("a", as_bytes(open.encode()), kNobody);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->check(again->producer()));
  const auto step = again->time_out(Timestamp(9));
  EXPECT_EQ(step.marker->producer.epoch, ProducerEpoch(32767));
}

TEST(TransactionStored, DamageIsNoticed) {
  const Transaction t = example();
  for (const std::string& whole : {t.encode(), t.encode_offsets()}) {
    const bool offsets = whole == t.encode_offsets();
    const auto read = [&](const std::string& bytes) -> ErrorCode {
      if (offsets) {
        Transaction to = *Transaction::decode("a", as_bytes(t.encode()), kNobody);
        const Status status = to.decode_offsets("a", as_bytes(bytes), kNobody);
        return status ? ErrorCode::kOk : status.error().code();
      }
      const auto decoded = Transaction::decode("a", as_bytes(bytes), kNobody);
      return decoded ? ErrorCode::kOk : decoded.error().code();
    };
    ASSERT_EQ(read(whole), ErrorCode::kOk);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(read(whole.substr(0, n)), ErrorCode::kCorrupt) << n;
    }
    EXPECT_EQ(read(whole + "x"), ErrorCode::kCorrupt);
    std::string newer = whole;
    newer[0] = 2;
    EXPECT_EQ(read(newer), ErrorCode::kFormatTooNew);
  }
  std::string state = t.encode();
  state[1] = 2;
  EXPECT_FALSE(Transaction::decode("a", as_bytes(state), kNobody)) << "no such state";
  state[1] = 0;
  EXPECT_FALSE(Transaction::decode("a", as_bytes(state), kNobody)) << "empty, with partitions";
  for (const char* key : {"txp/", "txp/0000000000001267/0003/", "txp/0000000000001267/0003/00zz",
                          "txq/0000000000001267/0003/001a"}) {
    EXPECT_FALSE(Transaction::parse_participant_key(key)) << key;
  }
  const auto name = Transaction::parse_participant_key("txp/0000000000001267/7fff/001a");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->producer.id, ProducerId(4711));
  EXPECT_EQ(name->producer.epoch, ProducerEpoch(32767));
  EXPECT_EQ(name->number, 26);
}

}  // namespace
}  // namespace runnel::broker
