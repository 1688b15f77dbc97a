// Batches that another implementation built: the kafka-python client, version 3.0.12, with
// lz4 4.4.5, python-snappy 0.7.3 and zstandard 0.25.0; one batch of the same three records for each
// codec.
#include "tests/protocol/record_batch/hex.h"
#include "tests/protocol/record_batch/samples.h"

namespace runnel::protocol {
namespace {

struct Vector {
  Codec codec;
  std::string_view hex;
};

constexpr Vector kVectors[] = {
    {Codec::kNone,
     "0000000000000000000000c9000000000248480a170000000000020000018bcfe568000000018bcfe568fa00"
     "0000123456789a00030000004d00000003440000000a6b65792d310e7b226e223a317d040a74726163650661"
     "6263086e6f6e6501c40100f4030201b4016e6f206b65792c20612076616c7565207468617420726570656174"
     "733a206162616261626162616261626162616261626162616261626162616261626162616261626162616261"
     "62616261626162616261626162616261626162002000cf0f040e64656c6574656401020000"},
    {Codec::kGzip,
     "0000000000000000000000a40000000002282847240001000000020000018bcfe568000000018bcfe568fa00"
     "0000123456789a00030000004d000000031f8b08008532016b02ff73616060e0ca4eadd435e4ab56ca53b232"
     "ac65e12a294a4c4e654b4c4ae6c8cbcf4b653cc2c8f0859989710b635ebe0250a58e42a24259624e69aa4249"
     "46628942516a416a6249b195426212f9904181e13c3f0b5f4a6a4e6a496a0a231303030001963ca498000000"},
    {Codec::kSnappy,
     "0000000000000000000000af0000000002cfb855ef0002000000020000018bcfe568000000018bcfe568fa00"
     "0000123456789a00030000004d0000000382534e415050590000000001000000010000006a9801f04f440000"
     "000a6b65792d310e7b226e223a317d040a747261636506616263086e6f6e6501c40100f4030201b4016e6f20"
     "6b65792c20612076616c7565207468617420726570656174733a20616261626162d6060044002000cf0f040e"
     "64656c6574656401020000"},
    {Codec::kLz4,
     "0000000000000000000000ad00000000025e8ab1dd0003000000020000018bcfe568000000018bcfe568fa00"
     "0000123456789a00030000004d0000000304224d18684098000000000000005c65000000ff3d440000000a6b"
     "65792d310e7b226e223a317d040a747261636506616263086e6f6e6501c40100f4030201b4016e6f206b6579"
     "2c20612076616c7565207468617420726570656174733a206162020027f003002000cf0f040e64656c657465"
     "640102000000000000"},
    {Codec::kZstd,
     "0000000000000000000000a0000000000267690fc20014000000020000018bcfe568000000018bcfe568fa00"
     "0000123456789a00030000004d0000000328b52ffd2098350300e405440000000a6b65792d310e7b226e223a"
     "317d040a747261636506616263086e6f6e6501c40100f4030201b4016e6f206b65792c20612076616c756520"
     "7468617420726570656174733a206162002000cf0f040e64656c65746564010200000100cc3b5d14"},
};

std::vector<OwnedRecord> expected_records() {
  std::string repeats = "no key, a value that repeats: ";
  for (int i = 0; i < 30; ++i) repeats += "ab";
  return {{0, 1'700'000'000'000, "key-1", "{\"n\":1}", {{"trace", "abc"}, {"none", std::nullopt}}},
          {1, 1'700'000'000'250, std::nullopt, repeats, {}},
          {2, 1'699'999'999'000, "deleted", std::nullopt, {{"", ""}}}};
}

TEST(KafkaVectors, AreReadAsWhatWasWritten) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(name_of(vector.codec));
    const Buffer batch = from_hex(vector.hex);
    const auto size = validate_batch(batch.bytes(), Depth::kRecords);
    ASSERT_TRUE(size) << size.error().to_string();
    EXPECT_EQ(*size, batch.size());
    const BatchView view(batch.bytes());
    EXPECT_EQ(view.codec(), vector.codec);
    EXPECT_EQ(view.is_transactional(), vector.codec == Codec::kZstd);
    EXPECT_EQ(view.producer_id(), ProducerId(0x123456789a));
    EXPECT_EQ(view.producer_epoch(), ProducerEpoch(3));
    EXPECT_EQ(view.base_sequence(), 77);
    EXPECT_EQ(view.base_timestamp(), Timestamp(1'700'000'000'000));
    EXPECT_EQ(view.max_timestamp(), Timestamp(1'700'000'000'250));
    const auto records = read_all(batch.bytes());
    ASSERT_TRUE(records) << records.error().to_string();
    EXPECT_EQ(*records, expected_records());
  }
}

TEST(KafkaVectors, OurUncompressedBatchHasTheSameBytes) {
  BatchOptions options;
  options.producer_id = ProducerId(0x123456789a);
  options.producer_epoch = ProducerEpoch(3);
  options.base_sequence = 77;
  const Buffer ours = batch_of(expected_records(), options);
  const Buffer theirs = from_hex(kVectors[0].hex);
  EXPECT_TRUE(std::ranges::equal(ours.bytes(), theirs.bytes()));
}

}  // namespace
}  // namespace runnel::protocol
