// Transaction markers: the record, and the batch around it.
#include "protocol/record_batch/control_record.h"

#include <gtest/gtest.h>

#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {
namespace {

using namespace std::string_literals;

TEST(ControlRecord, MarkersAreTheseBytes) {
  EXPECT_EQ(encode_control_key(ControlType::kCommit), "\0\0\0\1"s);
  EXPECT_EQ(encode_control_value(258), "\0\0\0\0\1\2"s);
  const auto marker = decode_end_txn_marker("\0\0\0\0"s, "\0\0\0\0\1\2"s);
  ASSERT_TRUE(marker);
  EXPECT_EQ(*marker, (EndTxnMarker{ControlType::kAbort, 258}));
}

TEST(ControlRecord, OthersAreRefused) {
  const std::string value = encode_control_value(0);
  EXPECT_EQ(decode_end_txn_marker("\0\0\0\2"s, value).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(decode_end_txn_marker("\0\0\0"s, value).error().code(), ErrorCode::kMalformed);
  EXPECT_EQ(decode_end_txn_marker("\xff\xff\0\1"s, value).error().code(), ErrorCode::kMalformed);
  EXPECT_EQ(decode_end_txn_marker("\0\0\0\1"s, "\0\0"s).error().code(), ErrorCode::kMalformed);
}

TEST(ControlRecord, AMarkerIsABatchOfItsOwn) {
  const EndTxnMarker marker{ControlType::kCommit, std::numeric_limits<std::int32_t>::max()};
  const Timestamp far(std::numeric_limits<std::int64_t>::max());
  const Buffer batch = end_txn_batch(marker, ProducerId(7), ProducerEpoch(3), far);
  const auto size = validate_batch(batch.bytes(), Depth::kRecords);
  ASSERT_TRUE(size) << size.error().to_string();
  EXPECT_EQ(*size, batch.size());
  const BatchView view(batch.bytes());
  EXPECT_TRUE(view.is_control() && view.is_transactional());
  EXPECT_EQ(view.producer_id(), ProducerId(7));
  EXPECT_EQ(view.producer_epoch(), ProducerEpoch(3));
  EXPECT_EQ(view.base_sequence(), kNoSequence);
  EXPECT_EQ(view.record_count(), 1);
  EXPECT_EQ(view.max_timestamp(), far);
  const auto read = read_end_txn_batch(batch.bytes());
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, marker);
}

TEST(ControlRecord, ARecordWithoutKeyOrValueIsNoMarker) {
  for (const bool key : {false, true}) {
    BatchOptions options;
    options.control = true;
    BatchBuilder builder(options);
    const std::optional<std::string_view> text("x");
    builder.add({Timestamp(1), key ? text : std::nullopt, key ? std::nullopt : text});
    const auto batch = builder.finish();
    ASSERT_TRUE(batch);
    EXPECT_EQ(read_end_txn_batch(batch->bytes()).error().code(), ErrorCode::kMalformed);
  }
}

}  // namespace
}  // namespace runnel::protocol
