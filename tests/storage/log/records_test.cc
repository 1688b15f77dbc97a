#include "storage/log/records.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace runnel::storage {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out.push_back(kDigits[(static_cast<unsigned char>(c) >> 4) & 15]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

std::string unhex(const std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return out;
}

/// The line of the page's hex block `block` that begins with `name`, without spaces.
std::string documented(const std::string& block, const std::string& name) {
  std::ifstream page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/index.md");
  std::string line;
  bool inside = false;
  while (std::getline(page, line)) {
    if (line.starts_with("```")) inside = line == "```hex " + block;
    if (!inside || !line.starts_with(name)) continue;
    std::string out;
    for (const char c : line.substr(name.size())) {
      if (c != ' ') out.push_back(c);
    }
    return out;
  }
  return {};
}

TEST(Records, TheDocumentedIndexEntryIsTheEncodedOne) {
  const IndexEntry entry{Offset(258), Offset(267), {1, 4096}, 200, Timestamp(7), 50};
  const std::string key = keys::index_entry(PartitionId(3), entry.base);
  EXPECT_EQ(hex(key), documented("index-entry", "key"));
  EXPECT_EQ(hex(encode(entry)), documented("index-entry", "value"));
  const auto back = decode_index_entry(key, encode(entry));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->last, entry.last);
  EXPECT_EQ(back->position, entry.position);
  EXPECT_EQ(back->bytes, entry.bytes);
  EXPECT_EQ(back->max_timestamp, entry.max_timestamp);
  EXPECT_EQ(back->bytes_before, entry.bytes_before);
}

TEST(Records, WhatWasLostIsEncodedAsDocumented) {
  IndexEntry entry{Offset(258), Offset(267), IndexEntry::kLostPosition, 0, kNoTimestamp, 50};
  const std::string key = keys::index_entry(PartitionId(3), entry.base);
  EXPECT_EQ(hex(key), documented("lost", "key"));
  EXPECT_EQ(hex(encode(entry)), documented("lost", "value"));
  EXPECT_TRUE(decode_index_entry(key, encode(entry))->is_lost());
  const LostRecord lost{Offset(258), Offset(267), Timestamp(1700000000000), "segment 1 byte 4096"};
  const std::string lost_key = keys::lost(PartitionId(3), lost.first);
  EXPECT_EQ(hex(lost_key), documented("lost", "lost"));
  EXPECT_EQ(hex(encode(lost)), documented("lost", "has"));
  const auto back = decode_lost(lost_key, encode(lost));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->last, lost.last);
  EXPECT_EQ(back->why, lost.why);
  const std::string whole = encode(lost);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_lost(lost_key, std::string_view(whole).substr(0, size))) << size;
  }
}

TEST(Records, WhatWasMovedIsEncodedAsDocumented) {
  const std::uint32_t segment = kDataSegmentBit | 1;
  IndexEntry entry{Offset(258), Offset(267), {segment, 4096}, 200, Timestamp(7), 50};
  entry.heads = 0x1122334455667788;
  const std::string key = keys::index_entry(PartitionId(3), entry.base);
  EXPECT_EQ(hex(key), documented("moved", "key"));
  EXPECT_EQ(hex(encode(entry)), documented("moved", "value"));
  const auto back = decode_index_entry(key, encode(entry));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->position, entry.position);
  EXPECT_EQ(back->heads, entry.heads);
  const Span span{segment, Offset(258), Offset(267), 200, Timestamp(7), Timestamp(1700000000000)};
  EXPECT_EQ(hex(keys::span(PartitionId(3), segment)), documented("moved", "span"));
  EXPECT_EQ(hex(encode(span)), documented("moved", "has"));
  const auto read = decode_span(segment, encode(span));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->newest, span.newest);
  EXPECT_EQ(read->last, span.last);
  const CleanPoint point{Offset(268), 5000};
  EXPECT_EQ(hex(encode(point)), documented("moved", "clean"));
  EXPECT_EQ(decode_clean_point(encode(point))->bytes, point.bytes);
}

TEST(Records, TheDocumentedAbortedTransactionIsTheEncodedOne) {
  const AbortedRecord aborted{Offset(300), ProducerId(1000), Offset(258), Offset(290)};
  const std::string key = keys::aborted(PartitionId(3), aborted.marker);
  EXPECT_EQ(hex(key), documented("aborted", "key"));
  EXPECT_EQ(hex(encode(aborted)), documented("aborted", "value"));
  const auto back = decode_aborted(key, encode(aborted));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->marker, aborted.marker);
  EXPECT_EQ(back->producer, aborted.producer);
  EXPECT_EQ(back->first, aborted.first);
  EXPECT_EQ(back->stable, aborted.stable);
  EXPECT_FALSE(decode_aborted(keys::span(PartitionId(3), 1), encode(aborted)));
}

TEST(Records, TheDocumentedProducerStateIsReadInBothFormats) {
  ProducerState state;
  state.epoch = ProducerEpoch(1);
  state.last_seen = Timestamp(1'700'000'000'000);
  state.last = Offset(291);
  state.transaction_first = Offset(290);
  state.transaction_bytes = 5000;
  state.coordinator_epoch = 0;
  state.batches[state.count++] = {5, 6, Offset(290), Offset(291)};
  EXPECT_EQ(hex(encode(state)), documented("producer", "value"));
  const auto back = decode_producer(encode(state));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->transaction_first, Offset(290));
  EXPECT_EQ(back->transaction_bytes, 5000U);
  EXPECT_EQ(back->coordinator_epoch, 0);
  const auto old = decode_producer(unhex(documented("producer", "old")));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->last, Offset(291)) << "from its batches";
  EXPECT_EQ(old->transaction_first, kNoOffset);
  EXPECT_EQ(old->coordinator_epoch, -1);
  EXPECT_EQ(old->batches[0].last_sequence, 6);
}

TEST(Records, KeysOrderAsTheirNumbersDo) {
  EXPECT_LT(keys::index_entry(PartitionId(1), Offset(255)),
            keys::index_entry(PartitionId(1), Offset(256)));
  EXPECT_LT(keys::index_entry(PartitionId(255), Offset(9)),
            keys::index_entry(PartitionId(256), Offset(0)));
}

TEST(Records, DedupKeysNeverRunIntoEachOther) {
  const auto dedup = [](const DedupKey& key) { return keys::dedup(Uuid{}, key); };
  EXPECT_NE(dedup({"a", "bc", "d"}), dedup({"ab", "c", "d"}));
  EXPECT_NE(dedup({std::string("a\0", 2), "b", ""}), dedup({"a", std::string("\0b", 2), ""}));
  EXPECT_NE(dedup({"", "", "x"}), dedup({"", "x", ""}));
  // Whatever the parts are, a key without a topic is none of those with one.
  for (const std::string& source : {std::string("\0\2", 2), std::string("\0", 1), std::string()}) {
    EXPECT_FALSE(keys::dedup_without_topic({source, "\2", ""}).starts_with(keys::kDedupOfTopics));
  }
}

TEST(Records, ADedupKeyIsEncodedAsDocumented) {
  Uuid topic;
  for (std::size_t i = 0; i < topic.bytes.size(); ++i)
    topic.bytes[i] = static_cast<std::uint8_t>(i);
  const DedupKey key{"shop", std::string("s\0", 2), "7"};
  const DedupRecord record{PartitionId(3), Offset(258), 0x1122334455667788};
  EXPECT_EQ(hex(keys::dedup(topic, key)), documented("dedup", "key"));
  EXPECT_EQ(hex(keys::dedup_without_topic(key)), documented("dedup", "old"));
  EXPECT_EQ(hex(encode(record)), documented("dedup", "value"));
}

/// Every value must come back whole, and be refused when it is cut at any byte.
template <class Encoded, class Decode>
void expect_truncation_is_refused(const Encoded& bytes, Decode decode) {
  EXPECT_TRUE(decode(bytes));
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, n))) << n << " of " << bytes.size();
  }
  EXPECT_FALSE(decode(bytes + "x")) << "a longer value is not this value";
}

TEST(Records, TruncatedValuesAreRefused) {
  TopicRecord topic;
  topic.id = Uuid::from_random(1, 2);
  topic.partitions = {PartitionId(1), PartitionId(300)};
  topic.configs = {{"retention.ms", "5"}};
  expect_truncation_is_refused(encode(topic), decode_topic);
  PartitionState state{Offset(1000), 99, {3, Offset(1), Offset(999), 98, Timestamp(5)}};
  expect_truncation_is_refused(encode(state), decode_partition_state);
  expect_truncation_is_refused(encode(LogStart{Offset(300), 70'000}), decode_log_start);
  ProducerState producer;
  producer.count = 2;
  expect_truncation_is_refused(encode(producer), decode_producer);
  const std::string aborted_key = keys::aborted(PartitionId(1), Offset(2));
  expect_truncation_is_refused(encode(AbortedRecord{}), [&](std::string_view value) {
    return decode_aborted(aborted_key, value);
  });
  expect_truncation_is_refused(encode(OffsetRecord{Offset(1), LeaderEpoch(2), Timestamp(3), "m"}),
                               decode_offset);
  expect_truncation_is_refused(encode(DedupRecord{PartitionId(1), Offset(2), 3}), decode_dedup);
  expect_truncation_is_refused(encode(JournalPoint{{1, 2}, 3, 4}), decode_checkpoint);
}

TEST(Records, GroupOffsetKeysAreReadBack) {
  const std::string key = keys::group_offset("g", "t", PartitionIndex(7));
  const auto parsed = keys::parse_group_offset(key);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->group, "g");
  EXPECT_EQ(parsed->topic, "t");
  EXPECT_EQ(parsed->partition, PartitionIndex(7));
  EXPECT_FALSE(keys::parse_group_offset("gx"));
}

}  // namespace
}  // namespace runnel::storage
