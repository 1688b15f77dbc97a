#include <rapidcheck.h>

#include "tests/protocol/record_batch/samples.h"

namespace runnel::protocol {
namespace {

BatchOptions with_codec(Codec codec, int level = 0) {
  BatchOptions options;
  options.codec = codec;
  options.level = level;
  return options;
}

TEST(RecordBatch, EveryFieldMakesTheRoundTripInEveryCodec) {
  const auto records = sample_records();
  for (const Codec codec : kAllCodecs) {
    SCOPED_TRACE(name_of(codec));
    const Buffer batch = batch_of(records, with_codec(codec));
    const auto size = validate_batch(batch.bytes(), Depth::kRecords);
    ASSERT_TRUE(size) << size.error().to_string();
    EXPECT_EQ(*size, batch.size());
    const auto read = read_all(batch.bytes());
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(*read, records);
  }
}

TEST(RecordBatch, HeaderFieldsSayWhatWasBuilt) {
  BatchOptions options;
  options.codec = Codec::kZstd;
  options.producer_id = ProducerId(0x0102030405060708);
  options.producer_epoch = ProducerEpoch(0x1112);
  options.base_sequence = 0x21222324;
  options.transactional = true;
  const auto records = sample_records();
  const Buffer batch = batch_of(records, options);
  const BatchView view(batch.bytes());
  EXPECT_EQ(view.base_offset(), Offset(0));
  EXPECT_EQ(view.total_bytes(), batch.size());
  EXPECT_EQ(view.leader_epoch(), LeaderEpoch(0));
  EXPECT_EQ(view.magic(), 2);
  EXPECT_EQ(view.crc(), crc32c(batch.bytes().subspan(21)));
  EXPECT_EQ(view.attributes(), 0x14);
  EXPECT_EQ(view.codec(), Codec::kZstd);
  EXPECT_TRUE(view.is_transactional());
  EXPECT_FALSE(view.is_control());
  EXPECT_FALSE(view.is_log_append_time());
  EXPECT_EQ(view.last_offset_delta(), static_cast<int>(records.size()) - 1);
  EXPECT_EQ(view.last_offset(), Offset(static_cast<int>(records.size()) - 1));
  EXPECT_EQ(view.base_timestamp(), Timestamp(records.front().timestamp));
  EXPECT_EQ(view.max_timestamp(), Timestamp(1'700'000'100'001));
  EXPECT_EQ(view.producer_id(), options.producer_id);
  EXPECT_EQ(view.producer_epoch(), options.producer_epoch);
  EXPECT_EQ(view.base_sequence(), options.base_sequence);
  EXPECT_EQ(view.record_count(), static_cast<int>(records.size()));
}

TEST(RecordBatch, WithoutAProducerTheFieldsAreMinusOne) {
  const Buffer batch = batch_of({{0, 5, "k", "v", {}}});
  const BatchView view(batch.bytes());
  EXPECT_EQ(view.producer_id(), kNoProducer);
  EXPECT_EQ(view.producer_epoch(), kNoEpoch);
  EXPECT_EQ(view.base_sequence(), kNoSequence);
  EXPECT_EQ(view.attributes(), 0);
}

TEST(RecordBatch, ALargeValueMakesTheRoundTripInEveryCodec) {
  std::mt19937_64 engine(7);
  const std::vector<OwnedRecord> records = {
      {0, 1, "noise", random_text(engine, 3 << 20), {}},
      {1, 2, "zeros", std::string(5 << 20, '\0'), {{"h", random_text(engine, 100'000)}}}};
  for (const Codec codec : kAllCodecs) {
    SCOPED_TRACE(name_of(codec));
    const Buffer batch = batch_of(records, with_codec(codec));
    ASSERT_TRUE(validate_batch(batch.bytes(), Depth::kRecords));
    const auto read = read_all(batch.bytes());
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_TRUE(*read == records);
  }
}

TEST(RecordBatch, LevelsMakeTheRoundTrip) {
  const auto records = sample_records();
  for (const Codec codec : kCompressingCodecs) {
    for (const int level : {1, 5, 9}) {
      const Buffer batch = batch_of(records, with_codec(codec, level));
      const auto read = read_all(batch.bytes());
      ASSERT_TRUE(read) << name_of(codec) << " " << level << read.error().to_string();
      EXPECT_EQ(*read, records) << name_of(codec) << " " << level;
    }
  }
  BatchBuilder builder(with_codec(Codec::kGzip, 17));
  add_to(builder, records[0]);
  const auto batch = builder.finish();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code(), ErrorCode::kInvalidArgument);
}

TEST(RecordBatch, ExtremeTimesMakeTheRoundTrip) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<OwnedRecord> records = {{0, kLeast, "a", "b", {}},
                                            {1, kMost, "a", "b", {}},
                                            {2, 0, "a", "b", {}},
                                            {3, -1, "", "", {}}};
  const Buffer batch = batch_of(records);
  const auto read = read_all(batch.bytes());
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, records);
  EXPECT_EQ(BatchView(batch.bytes()).max_timestamp(), Timestamp(kMost));
}

TEST(RecordBatch, ExactSizeUncompressed) {
  // length 1, attributes 1, deltas 2, key 1 + 1, value 1 + 2, header count 1, header 1 + 1 + 1 + 0
  const Buffer batch = batch_of({{0, 9, "k", "vv", {{"h", ""}}}});
  EXPECT_EQ(batch.size(), kBatchHeaderBytes + 13);
  // Nothing but nulls is the least a record can be.
  EXPECT_EQ(batch_of({{0, 9, std::nullopt, std::nullopt, {}}}).size(),
            kBatchHeaderBytes + kMinRecordBytes);
}

TEST(BatchBuilder, BytesAreTheFinishedUncompressedSize) {
  BatchBuilder builder;
  EXPECT_EQ(builder.bytes(), kBatchHeaderBytes);
  for (const OwnedRecord& record : sample_records()) add_to(builder, record);
  const std::size_t announced = builder.bytes();
  EXPECT_EQ(builder.count(), static_cast<int>(sample_records().size()));
  const auto batch = builder.finish();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size(), announced);
}

TEST(BatchBuilder, IsEmptyAfterFinishAndCanBeUsedAgain) {
  BatchBuilder builder;
  add_to(builder, {0, 500, "first", "batch", {}});
  ASSERT_TRUE(builder.finish());
  EXPECT_EQ(builder.count(), 0);
  EXPECT_EQ(builder.bytes(), kBatchHeaderBytes);
  builder.set_producer(ProducerId(7), ProducerEpoch(1), 42);
  add_to(builder, {0, 3, "second", "batch", {}});
  const auto second = builder.finish();
  ASSERT_TRUE(second);
  EXPECT_EQ(BatchView(second->bytes()).base_timestamp(), Timestamp(3));
  EXPECT_EQ(BatchView(second->bytes()).max_timestamp(), Timestamp(3));
  EXPECT_EQ(BatchView(second->bytes()).producer_id(), ProducerId(7));
  EXPECT_EQ(BatchView(second->bytes()).producer_epoch(), ProducerEpoch(1));
  EXPECT_EQ(BatchView(second->bytes()).base_sequence(), 42);
}

TEST(BatchBuilder, RefusesABatchWithoutRecords) {
  BatchBuilder builder;
  const auto batch = builder.finish();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code(), ErrorCode::kInvalidArgument);
}

TEST(BatchBuilder, RefusesMoreHeadersThanTheReaderTakes) {
  const std::vector<RecordHeader> most(kMaxRecordHeaders, {"h", std::nullopt});
  BatchBuilder builder;
  builder.add({Timestamp(1), "k", "v", most});
  const auto allowed = builder.finish();
  ASSERT_TRUE(allowed);
  EXPECT_TRUE(validate_batch(allowed->bytes(), Depth::kRecords));

  const std::vector<RecordHeader> too_many(kMaxRecordHeaders + 1, {"h", std::nullopt});
  builder.add({Timestamp(1), "k", "v", too_many});
  const auto refused = builder.finish();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  builder.add({Timestamp(1), "k", "v"});
  EXPECT_TRUE(builder.finish()) << "a refused batch leaves nothing behind";
}

TEST(BatchBuilder, RefusesMoreRecordBytesThanTheReaderTakes) {
  const std::string half(kMaxDecompressedBytes / 2, 'v');
  for (const Codec codec : {Codec::kNone, Codec::kLz4}) {
    BatchBuilder builder(with_codec(codec));
    builder.add({Timestamp(1), std::nullopt, half});
    builder.add({Timestamp(1), std::nullopt, half});
    const auto batch = builder.finish();
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code(), ErrorCode::kRecordTooLarge);
  }
}

TEST(RecordBatch, StampsLeaveTheChecksumValid) {
  const auto records = sample_records();
  Buffer batch = batch_of(records, with_codec(Codec::kLz4));
  stamp_batch(batch.mutable_bytes(), Offset(1'000'000'000'000), LeaderEpoch(3));
  EXPECT_TRUE(validate_batch(batch.bytes(), Depth::kRecords));
  const BatchView view(batch.bytes());
  EXPECT_EQ(view.base_offset(), Offset(1'000'000'000'000));
  EXPECT_EQ(view.leader_epoch(), LeaderEpoch(3));
  EXPECT_EQ(view.last_offset(), Offset(1'000'000'000'000 + static_cast<int>(records.size()) - 1));
  const auto read = read_all(batch.bytes());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->at(2).offset, 1'000'000'000'002);
}

TEST(RecordBatch, AppendTimeReplacesEveryRecordsOwn) {
  Buffer batch = batch_of(sample_records(), with_codec(Codec::kGzip));
  stamp_append_time(batch.mutable_bytes(), Timestamp(1'800'000'000'000));
  ASSERT_TRUE(validate_batch(batch.bytes(), Depth::kRecords));
  const BatchView view(batch.bytes());
  EXPECT_TRUE(view.is_log_append_time());
  EXPECT_EQ(view.codec(), Codec::kGzip);
  EXPECT_EQ(view.max_timestamp(), Timestamp(1'800'000'000'000));
  const auto read = read_all(batch.bytes());
  ASSERT_TRUE(read);
  for (const OwnedRecord& record : *read) EXPECT_EQ(record.timestamp, 1'800'000'000'000);
}

TEST(RecordBatch, CodecNamesGoBothWays) {
  for (const Codec codec : kAllCodecs) {
    const auto named = codec_named(name_of(codec));
    ASSERT_TRUE(named);
    EXPECT_EQ(*named, codec);
  }
  const auto wrong = codec_named("brotli");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(wrong.error().message().find("zstd"), std::string::npos) << wrong.error().message();
  EXPECT_EQ(name_of(static_cast<Codec>(5)), "unknown");
}

std::optional<std::string> arbitrary_text() {
  if (*rc::gen::inRange(0, 4) == 0) return std::nullopt;
  return *rc::gen::arbitrary<std::string>();
}

TEST(RecordBatch, ArbitraryRecordsMakeTheRoundTripInEveryCodec) {
  // rapidcheck prints the seed and the smallest counterexample.
  EXPECT_TRUE(rc::check("what is built is read", [] {
    const int count = *rc::gen::inRange(1, 20);
    std::vector<OwnedRecord> records;
    for (int i = 0; i < count; ++i) {
      OwnedRecord record{
          i, *rc::gen::arbitrary<std::int64_t>(), arbitrary_text(), arbitrary_text(), {}};
      const int headers = *rc::gen::inRange(0, 4);
      for (int h = 0; h < headers; ++h) {
        record.headers.push_back({*rc::gen::arbitrary<std::string>(), arbitrary_text()});
      }
      records.push_back(std::move(record));
    }
    const Codec codec = *rc::gen::elementOf(kAllCodecs);
    const Buffer batch = batch_of(records, with_codec(codec));
    RC_ASSERT(validate_batch(batch.bytes(), Depth::kRecords).has_value());
    const auto read = read_all(batch.bytes());
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == records);
  }));
}

}  // namespace
}  // namespace runnel::protocol
