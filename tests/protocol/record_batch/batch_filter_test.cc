// Batches without some of their records.
#include "protocol/record_batch/batch_filter.h"

#include <gtest/gtest.h>

namespace runnel::protocol {
namespace {

constexpr Timestamp kTime(1'700'000'000'000);

Buffer batch_of(int records, BatchOptions options = {}) {
  BatchBuilder builder(options);
  const RecordHeader header{"h", "v"};
  for (int i = 0; i < records; ++i) {
    builder.add(
        {kTime + i, "key" + std::to_string(i), "value" + std::to_string(i), std::span(&header, 1)});
  }
  Buffer batch = builder.finish().value();
  stamp_batch(batch.mutable_bytes(), Offset(1000), LeaderEpoch(0));
  return batch;
}

std::vector<std::int64_t> offsets_of(Bytes batch) {
  std::vector<std::int64_t> out;
  auto reader = RecordReader::open(batch).value();
  while (true) {
    const auto record = reader.next();
    EXPECT_TRUE(record);
    if (!record || !*record) return out;
    const auto i = (*record)->offset.value() - 1000;
    EXPECT_EQ((*record)->key, "key" + std::to_string(i));
    EXPECT_EQ((*record)->timestamp, kTime + i);
    EXPECT_EQ((*record)->headers.size(), 1U);
    out.push_back((*record)->offset.value());
  }
}

TEST(BatchFilter, WhatStaysKeepsItsPlace) {
  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    BatchOptions options;
    options.codec = codec;
    options.producer_id = ProducerId(7);
    options.producer_epoch = ProducerEpoch(2);
    options.base_sequence = 40;
    options.transactional = true;
    const Buffer batch = batch_of(6, options);
    const auto odd = [](const Record& r) { return r.offset.value() % 2 == 1; };
    const auto left = filter_batch(batch.bytes(), odd);
    ASSERT_TRUE(left);
    ASSERT_EQ(left->outcome, FilteredBatch::Outcome::kChanged);
    const Bytes bytes = left->bytes.bytes();
    ASSERT_TRUE(validate_batch(bytes, Depth::kRecords, Gaps::kAllowed));
    EXPECT_EQ(offsets_of(bytes), (std::vector<std::int64_t>{1001, 1003, 1005}));
    const BatchView view(bytes);
    EXPECT_EQ(view.base_offset(), Offset(1000));
    EXPECT_EQ(view.last_offset(), Offset(1005));
    EXPECT_EQ(view.record_count(), 3);
    EXPECT_EQ(view.codec(), codec);
    EXPECT_EQ(view.producer_id(), ProducerId(7));
    EXPECT_EQ(view.producer_epoch(), ProducerEpoch(2));
    EXPECT_EQ(view.base_sequence(), 40);
    EXPECT_TRUE(view.is_transactional());
    EXPECT_EQ(view.max_timestamp(), kTime + 5);
    EXPECT_FALSE(view.delete_horizon());
  }
}

TEST(BatchFilter, NothingOrAllOfIt) {
  const Buffer batch = batch_of(3);
  const auto all = filter_batch(batch.bytes(), [](const Record&) { return true; });
  EXPECT_EQ(all->outcome, FilteredBatch::Outcome::kUnchanged);
  const auto none = filter_batch(batch.bytes(), [](const Record&) { return false; });
  EXPECT_EQ(none->outcome, FilteredBatch::Outcome::kEmpty);
}

TEST(BatchFilter, TheGreatestTimestampIsThatOfWhatStays) {
  const Buffer batch = batch_of(3);
  const auto left =
      filter_batch(batch.bytes(), [](const Record& r) { return r.offset < Offset(1002); });
  EXPECT_EQ(BatchView(left->bytes.bytes()).max_timestamp(), kTime + 1);
  Buffer stamped = batch_of(3);
  stamp_append_time(stamped.mutable_bytes(), kTime + 99);
  const auto appended =
      filter_batch(stamped.bytes(), [](const Record& r) { return r.offset < Offset(1002); });
  EXPECT_EQ(BatchView(appended->bytes.bytes()).max_timestamp(), kTime + 99);
}

TEST(BatchFilter, AHorizonIsSetOnceAndChangesNoTime) {
  const Buffer batch = batch_of(4);
  const auto keep_all = [](const Record&) { return true; };
  const auto dated = filter_batch(batch.bytes(), keep_all, kTime + 500);
  ASSERT_EQ(dated->outcome, FilteredBatch::Outcome::kChanged);
  EXPECT_EQ(BatchView(dated->bytes.bytes()).delete_horizon(), kTime + 500);
  EXPECT_EQ(offsets_of(dated->bytes.bytes()).size(), 4U);
  const auto again = filter_batch(dated->bytes.bytes(), keep_all, kTime + 900);
  EXPECT_EQ(again->outcome, FilteredBatch::Outcome::kUnchanged);
  const auto less =
      filter_batch(dated->bytes.bytes(), [](const Record& r) { return r.offset != Offset(1000); });
  EXPECT_EQ(BatchView(less->bytes.bytes()).delete_horizon(), kTime + 500);
  EXPECT_EQ(offsets_of(less->bytes.bytes()), (std::vector<std::int64_t>{1001, 1002, 1003}));
}

TEST(BatchFilter, GapsAreRefusedInWhatAProducerSends) {
  const Buffer batch = batch_of(4);
  const auto left =
      filter_batch(batch.bytes(), [](const Record& r) { return r.offset != Offset(1002); });
  EXPECT_TRUE(validate_batch(left->bytes.bytes(), Depth::kRecords, Gaps::kAllowed));
  EXPECT_FALSE(validate_batch(left->bytes.bytes(), Depth::kHeader));
}

}  // namespace
}  // namespace runnel::protocol
