// Erasure of a key's records: out of the log, and out of every file.
#include "storage/erasure.h"

#include <gmock/gmock.h>

#include "storage/log/erasure_record.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/erasure_fixture.h"

namespace runnel::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(ErasureTest, NothingOfTheKeyIsLeftAndTheOthersKeepTheirOffsets) {
  create("t", 2);
  create("other");
  for (int i = 0; i < 3; ++i) put_mixed("t", 0);
  put_mixed("t", 1);
  put("other", {{"bob", much()}});
  EXPECT_FALSE(files_with(kSecret).empty());
  const Erasure begun = erase("e", "t");
  EXPECT_EQ(begun.removed, kNoTimestamp);
  put_mixed("t", 1);  // later than the request: it stays
  const Erasure done = finish("e");
  EXPECT_NE(done.removed, kNoTimestamp);
  EXPECT_EQ(done.records(), 4u);
  ASSERT_EQ(done.parts.size(), 2u);
  EXPECT_EQ(done.parts[0], (Erasure::Part{PartitionIndex(0), Offset(9), 3}));
  EXPECT_EQ(done.parts[1], (Erasure::Part{PartitionIndex(1), Offset(3), 1}));
  EXPECT_THAT(done.ranges, ElementsAre(ErasedRange{PartitionIndex(0), Offset(1), Offset(1)},
                                       ErasedRange{PartitionIndex(0), Offset(4), Offset(4)},
                                       ErasedRange{PartitionIndex(0), Offset(7), Offset(7)},
                                       ErasedRange{PartitionIndex(1), Offset(1), Offset(1)}));
  const Reads first = {{0, "bob"}, {2, "eve"}, {3, "bob"}, {5, "eve"}, {6, "bob"}, {8, "eve"}};
  EXPECT_EQ(read("t", 0), first);
  const Reads second = {{0, "bob"}, {2, "eve"}, {3, "bob"}, {4, std::string(kKey)}, {5, "eve"}};
  EXPECT_EQ(read("t", 1), second);
  // What was written later is erased by a request of its own.
  erase("f", "t");
  EXPECT_EQ(finish("f").records(), 1u);
  EXPECT_THAT(files_with(kSecret), IsEmpty());
  EXPECT_THAT(files_with(kKey), IsEmpty());
  reopen();
  EXPECT_EQ(read("t", 0), first);
  EXPECT_EQ(receipt("e").records(), 4u);
  EXPECT_THAT(files_with(kSecret), IsEmpty());
  EXPECT_THAT(errors, IsEmpty());
}

TEST_F(ErasureTest, CompressedBatchesToo) {
  create("t");
  protocol::BatchOptions options;
  options.codec = protocol::Codec::kZstd;
  put_mixed("t", 0, options);
  erase("e", "t");
  EXPECT_EQ(finish("e").records(), 1u);
  EXPECT_EQ(read("t"), (Reads{{0, "bob"}, {2, "eve"}}));
}

TEST_F(ErasureTest, TheEndOfTheLogCanGoAndReadersGetThere) {
  create("t");
  put("t", {{"bob", "1"}});
  put("t", {{std::string(kKey), "a"}, {std::string(kKey), "b"}});
  erase("e", "t");
  const Erasure done = finish("e");
  EXPECT_THAT(done.ranges, ElementsAre(ErasedRange{PartitionIndex(0), Offset(1), Offset(2)}));
  EXPECT_EQ(read("t"), (Reads{{0, "bob"}}));
  EXPECT_EQ(store->partition_info(ref("t")).high_watermark, Offset(3));
  put("t", {{"eve", "2"}});
  reopen();
  EXPECT_EQ(read("t"), (Reads{{0, "bob"}, {3, "eve"}}));
}

TEST_F(ErasureTest, CopiesThatTrimmingAndCompactionLeftBehindGoToo) {
  create("t", 1, {{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}});
  create("u");
  put_mixed("t");
  put_mixed("u");
  put("t", {{std::string(kKey), "newer"}});
  put("u", {{"zoe", much()}});
  // Trimmed, though the segment lives on because of others.
  ASSERT_TRUE(store->delete_records(ref("u"), Offset(3)));
  maintain();
  EXPECT_FALSE(files_with(kSecret).empty());
  erase("e", "t");
  erase("f", "u");
  EXPECT_EQ(finish("f").records(), 0u);
  finish("e");
  EXPECT_THAT(files_with(kSecret), IsEmpty());
  EXPECT_EQ(read("u"), (Reads{{3, "zoe"}}));
  EXPECT_EQ(read("t"), (Reads{{0, "bob"}, {2, "eve"}}));
}

TEST_F(ErasureTest, DedupKeysGoWithTheirRecords) {
  create("t");
  constexpr std::string_view kGuard = "guard-of-ann-aa61";
  const auto dedup = [](std::string id) {
    return std::vector<DedupEntry>{{{"source", std::move(id), "1"}, 7, 0}};
  };
  put("t", {{std::string(kKey), std::string(kSecret)}}, 0, {}, dedup(std::string(kGuard)));
  put("t", {{"bob", "1"}}, 0, {}, dedup("guard-of-bob"));
  maintain();
  EXPECT_FALSE(files_with(kGuard).empty());
  erase("e", "t");
  EXPECT_EQ(finish("e").dedup_keys, 1u);
  reopen();  // RocksDB's own list of files names the first and last key of each until then
  EXPECT_THAT(files_with(kGuard), IsEmpty());
  EXPECT_THAT(files_with(kSecret), IsEmpty());
  // Bob's is known, Ann's is new.
  put("t", {{"bob", "1"}}, 0, {}, dedup("guard-of-bob"));
  put("t", {{"ann", "1"}}, 0, {}, dedup(std::string(kGuard)));
  EXPECT_EQ(read("t"), (Reads{{1, "bob"}, {2, "ann"}}));
}

TEST_F(ErasureTest, ACrashAtAnyWriteLeavesARequestThatIsFinishedLater) {
  create("t", 2);
  for (int i = 0; i < 4; ++i) put_mixed("t", i % 2);
  const Reads left = {{0, "bob"}, {2, "eve"}, {3, "bob"}, {5, "eve"}};
  erase("e", "t");
  int struck = 0;
  for (std::uint64_t n = 1; n < 40; n += 3) {
    Fault fault;
    fault.nth = n;
    fault.kind = FaultKind::kPowerOff;
    fs.set_fault(fault);
    clock.advance(std::chrono::seconds(6));
    static_cast<void>(store->run_maintenance());
    if (!fs.fault_struck()) {
      fs.clear_fault();
      break;
    }
    ++struck;
    store.reset();
    fs.clear_fault();
    fs.boot();
    open();
    for (int p = 0; p < 2; ++p) {
      const Reads seen = read("t", p);
      EXPECT_GE(seen.size(), left.size());
    }
  }
  EXPECT_GT(struck, 0);
  EXPECT_EQ(finish("e").records(), 4u);
  EXPECT_EQ(read("t", 0), left);
  EXPECT_EQ(read("t", 1), left);
  EXPECT_THAT(files_with(kSecret), IsEmpty());
}

TEST_F(ErasureTest, ARequestThatIsMadeTwiceIsOne) {
  create("t");
  put_mixed("t");
  erase("e", "t");
  crash();  // the request is durable
  const Erasure again = erase("e", "t");
  EXPECT_EQ(store->erasures().size(), 1u);
  EXPECT_EQ(again.parts.at(0).end, Offset(3));
  EXPECT_EQ(finish("e").records(), 1u);
  put_mixed("t");
  EXPECT_NE(erase("e", "t").gone, kNoTimestamp);  // what became of it, not another one
  maintain();
  EXPECT_EQ(read("t").size(), 5u);
  create("u");
  const auto other = store->erase_key("e", "u", kKey);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(ErasureTest, AnotherKeyIsRefusedAsLongAsItIsKnownWhichOneWasMeant) {
  create("t");
  put_mixed("t");
  erase("e", "t");
  const auto other = store->erase_key("e", "t", "bob");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), ErrorCode::kInvalidArgument);
  reopen();
  EXPECT_FALSE(store->erase_key("e", "t", "bob"));
  EXPECT_TRUE(store->erase_key("e", "t", kKey));
  finish("e");
  EXPECT_TRUE(store->erase_key("e", "t", "bob"));  // the receipt knows no key any more
  EXPECT_EQ(read("t"), (Reads{{0, "bob"}, {2, "eve"}}));
}

TEST_F(ErasureTest, AListIsShortAndEachReceiptIsWhole) {
  create("t", 2);
  put_mixed("t", 0);
  put_mixed("t", 1);
  erase("e", "t");
  EXPECT_EQ(store->erasures().at(0).parts.size(), 1u);
  EXPECT_EQ(receipt("e").parts.size(), 2u);
  finish("e");
  for (int i = 0; i < 2; ++i) {
    const auto all = store->erasures();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].records(), 2u);
    EXPECT_EQ(all[0].parts.size(), 1u);
    EXPECT_THAT(all[0].ranges, IsEmpty());
    EXPECT_EQ(receipt("e").parts.size(), 2u);
    EXPECT_EQ(receipt("e").ranges.size(), 2u);
    reopen();
  }
  EXPECT_EQ(store->erasure("none").error().code(), ErrorCode::kNotFound);
}

TEST_F(ErasureTest, ATopicThatIsDeletedMeanwhileIsErasedFromFilesToo) {
  create("t");
  create("u");
  put_mixed("t");
  put("u", {{"bob", much()}});
  erase("e", "t");
  ASSERT_TRUE(store->delete_topic("t"));
  finish("e");
  EXPECT_THAT(files_with(kSecret), IsEmpty());
  EXPECT_EQ(read("u").size(), 1u);
}

TEST_F(ErasureTest, WhatCannotBeIsRefused) {
  create("t");
  EXPECT_EQ(store->erase_key("e", "none", kKey).error().code(), ErrorCode::kUnknownTopic);
  EXPECT_EQ(store->erase_key("", "t", kKey).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(store->erasures(), IsEmpty());
  for (std::size_t i = 0; i < kMaxPendingErasures; ++i) erase("e" + std::to_string(i), "t");
  EXPECT_EQ(store->erase_key("more", "t", kKey).error().code(), ErrorCode::kOverloaded);
}

TEST(ErasureRecord, IsReadAsItWasWrittenAndNoOtherwise) {
  ErasureRecord record;
  record.shown.id = "e";
  record.shown.topic = "orders";
  record.shown.requested = Timestamp(1);
  record.shown.removed = Timestamp(2);
  record.shown.parts = {{PartitionIndex(0), Offset(5), 2}, {PartitionIndex(1), Offset(9), 0}};
  record.shown.ranges = {{PartitionIndex(0), Offset(1), Offset(2)}};
  record.shown.ranges_cut = true;
  record.shown.dedup_keys = 3;
  record.topic_id = Uuid::from_random(1, 2);
  record.key = hash_key("ann", 7);
  record.rewritten = {Offset(5), Offset(4)};
  record.journal_end = 12;
  record.dedup_first = 13;
  record.dedup_last = 14;
  const std::string value = encode(record);
  const auto read = decode_erasure("e", value);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), value);
  EXPECT_EQ(read->shown.parts, record.shown.parts);
  EXPECT_EQ(read->shown.ranges, record.shown.ranges);
  EXPECT_EQ(read->key, record.key);
  for (std::size_t n = 0; n < value.size(); ++n) {
    EXPECT_FALSE(decode_erasure("e", value.substr(0, n))) << n;
  }
  EXPECT_FALSE(decode_erasure("e", value + "x"));
}

}  // namespace
}  // namespace runnel::storage
