// Compaction and the cleaner, case by case.
#include <algorithm>

#include "storage/check.h"
#include "storage/log/key_map.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {
namespace {

struct KeyValue {
  std::string key;
  std::optional<std::string> value;
};

class CompactionTest : public StoreFixture {
 protected:
  static constexpr std::uint64_t kSegment = 64u << 10;

  void SetUp() override { open_small(); }
  void open_small() {
    StoreOptions o = options();
    o.segment_bytes = kSegment;
    auto opened = Store::open(std::move(o));
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
  }
  void reopen_small() {
    store.reset();
    open_small();
  }
  void create_compacted(ConfigMap more = {}) {
    more.insert({{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}});
    create("t", 1, std::move(more));
  }
  void put(const std::vector<KeyValue>& records, const std::string& topic = "t",
           protocol::BatchOptions batch = {}) {
    protocol::BatchBuilder builder(batch);
    for (const KeyValue& r : records) {
      builder.add({clock.now(),
                   r.key,
                   r.value ? std::optional<std::string_view>(*r.value) : std::nullopt,
                   {}});
    }
    const CommitOutcome outcome = append(topic, builder.finish().value());
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
  }
  /// Everything before is in a segment that is not written any more.
  void roll() {
    if (!store->partition("filler", PartitionIndex(0))) create("filler");
    ASSERT_TRUE(append("filler", make_batch({std::string(kSegment - 2000, 'f')})).result);
    ASSERT_TRUE(append("filler", make_batch({std::string(kSegment - 2000, 'f')})).result);
  }
  struct Seen {
    std::int64_t offset;
    std::string key;
    std::optional<std::string> value;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  std::vector<Seen> seen(const std::string& topic = "t") {
    std::vector<Seen> out;
    const auto info = store->partition_info(ref(topic));
    for (Offset at = info.log_start; at < info.high_watermark;) {
      auto fetched = store->fetch_and_wait({{{ref(topic), at, 1u << 20}}});
      EXPECT_FALSE(fetched[0].head.error) << fetched[0].head.error->to_string();
      if (fetched[0].head.next <= at) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size =
            protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
        EXPECT_TRUE(size);
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          if ((*r)->offset < at) continue;
          out.push_back({(*r)->offset.value(), std::string((*r)->key.value_or("")),
                         (*r)->value ? std::optional<std::string>(*(*r)->value) : std::nullopt});
        }
        rest = rest.subspan(*size);
      }
      at = fetched[0].head.next;
    }
    return out;
  }
  std::size_t files() {
    std::size_t count = 0;
    for (const SimFileInfo& f : fs.files()) {
      if (f.path.find("data/segments/") != std::string::npos) ++count;
    }
    return count;
  }
  using Reads = std::vector<Seen>;
};

TEST_F(CompactionTest, TheLastValueOfEachKeyStaysWithItsOffset) {
  create_compacted();
  put({{"a", "1"}, {"b", "1"}, {"a", "2"}});
  put({{"c", "1"}, {"b", "2"}});
  put({{"z", "last"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  const Reads expected = {{2, "a", "2"}, {3, "c", "1"}, {4, "b", "2"}, {5, "z", "last"}};
  EXPECT_EQ(seen(), expected);
  EXPECT_EQ(store->partition_info(ref("t")).high_watermark, Offset(6));
  reopen_small();
  EXPECT_EQ(seen(), expected);
}

TEST_F(CompactionTest, ABatchKeepsItsOffsetsAndProducer) {
  create_compacted();
  const auto id = store->new_producer();
  protocol::BatchOptions batch;
  batch.producer_id = id->id;
  batch.producer_epoch = id->epoch;
  batch.base_sequence = 0;
  batch.codec = protocol::Codec::kZstd;
  put({{"a", "1"}, {"b", "1"}, {"a", "2"}, {"c", "1"}}, "t", batch);
  put({{"c", "2"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  auto fetched = store->fetch_and_wait({{{ref("t"), Offset(0), 1u << 20}}});
  const protocol::BatchView kept(fetched[0].batches.bytes());
  EXPECT_EQ(kept.base_offset(), Offset(0));
  EXPECT_EQ(kept.last_offset_delta(), 3);
  EXPECT_EQ(kept.record_count(), 2);
  EXPECT_EQ(kept.producer_id(), id->id);
  EXPECT_EQ(kept.base_sequence(), 0);
  EXPECT_EQ(kept.codec(), protocol::Codec::kZstd);
  // A repeat of the batch is still known as one.
  protocol::BatchBuilder again(batch);
  for (const char* key : {"a", "b", "a", "c"}) again.add({clock.now(), key, "1", {}});
  const CommitOutcome repeated = append("t", again.finish().value());
  ASSERT_TRUE(repeated.result);
  EXPECT_TRUE(repeated.result->appends[0].duplicate);
}

TEST_F(CompactionTest, ADeletionMarkStaysForItsTime) {
  create_compacted({{"delete.retention.ms", "1000"}});
  put({{"a", "1"}, {"b", "1"}});
  put({{"a", std::nullopt}});
  put({{"z", "last"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  const Reads marked = {{1, "b", "1"}, {2, "a", std::nullopt}, {3, "z", "last"}};
  EXPECT_EQ(seen(), marked);
  clock.advance(std::chrono::milliseconds(999));
  put({{"y", "1"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen()[1], marked[1]) << "not before its time";
  clock.advance(std::chrono::milliseconds(1));
  put({{"x", "1"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  const Reads gone = {{1, "b", "1"}, {3, "z", "last"}, {4, "y", "1"}, {5, "x", "1"}};
  EXPECT_EQ(seen(), gone);
}

TEST_F(CompactionTest, AMarkInTheLastBatchStaysUntilWhatItDeletesThereIsGone) {
  create_compacted({{"delete.retention.ms", "1000"}});
  put({{"b", "1"}});
  put({{"a", "1"}, {"a", std::nullopt}});
  for (int i = 0; i < 4; ++i) {
    roll();
    ASSERT_TRUE(store->run_maintenance());
    clock.advance(std::chrono::milliseconds(1001));
    put({{"z" + std::to_string(i), "1"}});
  }
  for (const Seen& s : seen()) EXPECT_NE(s.key, "a") << "at " << s.offset;
  EXPECT_EQ(seen().size(), 5U);
}

TEST_F(CompactionTest, LagAndRatioHoldItBack) {
  create_compacted({{"min.compaction.lag.ms", "60000"}});
  put({{"a", "1"}});
  put({{"a", "2"}});
  put({{"z", "last"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen().size(), 3U) << "too young";
  clock.advance(std::chrono::milliseconds(70'000));
  ASSERT_TRUE(store->alter_topic("t", {{"min.cleanable.dirty.ratio", "1"}}));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen().size(), 3U) << "not more than everything is new";
  ASSERT_TRUE(store->alter_topic("t", {{"max.compaction.lag.ms", "65000"}}));
  clock.advance(std::chrono::milliseconds(70'000));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen().size(), 2U) << "older than the greatest lag";
}

TEST_F(CompactionTest, TheGreatestLagEndsTheSegmentOfAQuietStore) {
  create_compacted({{"max.compaction.lag.ms", "1000"}, {"min.cleanable.dirty.ratio", "0.9"}});
  put({{"a", "1"}});
  put({{"a", "2"}});
  put({{"z", "last"}});
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen().size(), 3U);
  clock.advance(std::chrono::milliseconds(62'000));
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen().size(), 2U);
}

TEST_F(CompactionTest, ARecordWithoutAKeyStays) {
  create_compacted();
  ASSERT_TRUE(append("t", make_batch({"no key"})).result);
  ASSERT_TRUE(append("t", make_batch({"no key either"})).result);
  put({{"a", "1"}});
  put({{"a", "2"}});
  put({{"z", "last"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_EQ(seen().size(), 4U);
}

TEST_F(CompactionTest, MoreKeysThanFitAreDoneInSeveralPasses) {
  store.reset();
  memory_bytes = 64u << 10;
  open_small();
  create_compacted();
  constexpr int kKeys = 1000;
  for (int round = 0; round < 3; ++round) {
    for (int k = 0; k < kKeys; k += 50) {
      std::vector<KeyValue> batch;
      for (int i = k; i < k + 50; ++i) {
        batch.push_back({"key" + std::to_string(i), std::to_string(round)});
      }
      put(batch);
    }
  }
  put({{"z", "last"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  const Reads all = seen();
  ASSERT_EQ(all.size(), kKeys + 1U);
  for (std::size_t i = 0; i + 1 < all.size(); ++i) EXPECT_EQ(all[i].value, "2");
}

TEST_F(CompactionTest, RetentionBytesCountsWhatIsLeft) {
  create_compacted({{"retention.bytes", "20000"}});
  ASSERT_TRUE(store->alter_topic("t", {{"cleanup.policy", "compact,delete"}}));
  for (int i = 0; i < 30; ++i) put({{"a", std::string(500, 'a')}, {"b" + std::to_string(i), "v"}});
  put({{"z", "last"}});
  roll();
  ASSERT_TRUE(store->run_maintenance());  // 31 keys and one large value are left
  const auto info = store->partition_info(ref("t"));
  EXPECT_LT(info.bytes, 5000U);
  EXPECT_EQ(seen().size(), 32U);
  for (int i = 0; i < 50; ++i) put({{"c" + std::to_string(i), std::string(500, 'c')}});
  ASSERT_TRUE(store->run_maintenance());
  std::uint64_t bytes = store->partition_info(ref("t")).bytes;
  EXPECT_LE(bytes, 20'000U);
  EXPECT_GT(bytes, 19'000U);
}

TEST_F(CompactionTest, AFlippedBitIsNotServed) {
  create_compacted();
  for (int i = 0; i < 20; ++i) put({{"k" + std::to_string(i % 7), std::to_string(i)}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  const Reads sound = seen();
  ASSERT_TRUE(store->close());
  store.reset();
  std::string path;
  for (const SimFileInfo& f : fs.files()) {
    if (f.path.ends_with(".log") && f.path.find("data/segments/") != std::string::npos)
      path = f.path;
  }
  ASSERT_FALSE(path.empty());
  const std::uint64_t size = fs.open(path, {}).value()->size().value();
  for (std::uint64_t at = 64; at < size; at += 7) {
    ASSERT_TRUE(fs.flip_bit(path, at, at % 8));
    const auto report = check_directory("data", fs);
    ASSERT_TRUE(report);
    EXPECT_FALSE(report->damages.empty()) << "byte " << at;
    open_small();
    // The last batch was moved by itself.
    auto fetched = store->fetch_and_wait(
        {{{ref("t"), Offset(0), 1u << 20}, {ref("t"), Offset(19), 1u << 20}}});
    EXPECT_TRUE(fetched[0].head.error || fetched[1].head.error) << "byte " << at;
    store.reset();
    ASSERT_TRUE(fs.flip_bit(path, at, at % 8));
  }
  open_small();
  EXPECT_EQ(seen(), sound);
}

TEST_F(CompactionTest, WhatIsLeftOfAMostlyDeadSegmentMoves) {
  create("short");
  create("long");
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(append("short", make_batch({std::string(10'000, 's')})).result);
    ASSERT_TRUE(append("long", make_batch({std::to_string(i)})).result);
  }
  const std::size_t before = files();
  ASSERT_TRUE(store->delete_topic("short"));
  roll();
  clock.advance(std::chrono::seconds(10));  // a checkpoint lets the old segments go
  ASSERT_TRUE(store->run_maintenance());
  EXPECT_LT(files(), before / 2);
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(values("long"), expected);
  reopen_small();
  EXPECT_EQ(values("long"), expected);
  EXPECT_EQ(store->partition_info(ref("long")).bytes, [&] {
    std::uint64_t bytes = 0;
    for (const auto& v : expected) bytes += make_batch({v}).size();
    return bytes;
  }());
  const auto report = check_directory("data", fs);
  EXPECT_FALSE(report) << "the store has it";
}

TEST_F(CompactionTest, ASegmentStaysWhileItsFirstEntryIsTrimmedInto) {
  // One segment holds a large entry that nothing is removed from, and behind it what is compacted:
  // the moves that take the latter must not take the segment.
  store.reset();
  StoreOptions o = options();
  o.segment_bytes = 32u << 20;
  store = std::move(*Store::open(std::move(o)));
  create_compacted({{"max.message.bytes", "20000000"}});
  std::vector<KeyValue> large;
  for (int i = 0; i < 9; ++i)
    large.push_back({"l" + std::to_string(i), std::string(1u << 20, 'l')});
  put(large);
  for (int i = 0; i < 5; ++i) put({{"a", std::to_string(i)}});
  ASSERT_TRUE(store->delete_records(ref("t"), Offset(3)));
  for (int i = 0; i < 30; ++i) {
    if (i == 0) create("filler");
    ASSERT_TRUE(append("filler", make_batch({std::string(1'000'000, 'f')})).result);
  }
  put({{"z", "last"}});
  clock.advance(std::chrono::seconds(10));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->run_maintenance());
  const Reads all = seen();
  ASSERT_EQ(all.size(), 8U);
  EXPECT_EQ(all.front().offset, 3);
  EXPECT_EQ(all[6].value, "4");
}

TEST_F(CompactionTest, ADeadDataSegmentGoes) {
  create_compacted();
  for (int i = 0; i < 50; ++i) put({{"a", std::string(1000, 'a')}, {"b", std::to_string(i)}});
  roll();
  ASSERT_TRUE(store->run_maintenance());
  ASSERT_TRUE(store->delete_topic("t"));
  ASSERT_TRUE(store->run_maintenance());
  for (const SimFileInfo& f : fs.files()) {
    EXPECT_FALSE(f.path.find("data/segments/") != std::string::npos && f.path.ends_with(".log"))
        << f.path;
  }
}

TEST(KeyMap, KeepsTheGreatestOffsetOfEachKey) {
  KeyMap map(1u << 20, 42);
  for (int i = 0; i < 5000; ++i) map.put("k" + std::to_string(i % 1000), Offset(i));
  map.put("k5", Offset(1));
  EXPECT_EQ(map.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(map.find("k" + std::to_string(i)), Offset(4000 + i));
  EXPECT_EQ(map.find("other"), std::nullopt);
  EXPECT_TRUE(map.has_room(10'000));
  EXPECT_FALSE(map.has_room(40'000));
}

}  // namespace
}  // namespace runnel::storage
