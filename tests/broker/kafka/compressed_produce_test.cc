// What a producer compressed is refused when no other client could read it.
#include <lz4frame.h>

#include "protocol/kafka/produce.h"
#include "protocol/record_batch/crc32c.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using protocol::Codec;

std::string batch_of(Codec codec) {
  protocol::BatchOptions options;
  options.codec = codec;
  protocol::BatchBuilder builder(options);
  for (int i = 0; i < 100; ++i) builder.add({Timestamp(1), "key", std::string(1000, 'x'), {}});
  const auto batch = builder.finish();
  EXPECT_TRUE(batch.has_value());
  return std::string(as_text(batch->bytes()));
}

/// The batch with other compressed bytes, its length and checksum right again.
std::string with_records(std::string batch, std::string_view records) {
  batch.resize(protocol::kBatchHeaderBytes);
  batch += records;
  auto* bytes = reinterpret_cast<std::byte*>(batch.data());
  store_be(bytes + 8, static_cast<std::int32_t>(batch.size() - protocol::kBatchLengthOverhead));
  constexpr std::size_t kCovered = 21;
  store_be(bytes + 17, protocol::crc32c(as_bytes(batch).subspan(kCovered)));
  return batch;
}

std::string linked_blocks() {
  LZ4F_preferences_t options{};
  options.frameInfo.blockMode = LZ4F_blockLinked;
  const std::string text(200'000, 'x');
  std::string out(LZ4F_compressFrameBound(text.size(), &options), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &options));
  return out;
}

KafkaError produce(KafkaWorld& world, std::string_view batch) {
  KafkaClient client = world.connect();
  kafka::ProduceRequest request;
  request.acks = -1;
  request.topics.push_back({"orders", {}, {{PartitionIndex(0), as_bytes(batch)}}});
  const auto answer = client.call<kafka::ProduceResponse>(9, request);
  if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1) {
    ADD_FAILURE() << "the answer has not the request's partitions";
    return KafkaError::kUnknownServerError;
  }
  return answer.topics[0].partitions[0].error;
}

TEST(CompressedProduce, WhatABuilderMadeIsTaken) {
  KafkaWorld world;
  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    EXPECT_EQ(produce(world, batch_of(codec)), KafkaError::kNone) << protocol::name_of(codec);
  }
}

TEST(CompressedProduce, LinkedLz4BlocksAreRefused) {
  KafkaWorld world;
  EXPECT_EQ(produce(world, with_records(batch_of(Codec::kLz4), linked_blocks())),
            KafkaError::kInvalidRecord);
}

TEST(CompressedProduce, TheRecordsAreLookedAtWhenThatIsWishedFor) {
  const std::string batch = batch_of(Codec::kZstd);
  const std::string torn =
      with_records(batch, std::string_view(batch).substr(protocol::kBatchHeaderBytes, 20));
  KafkaWorld quick;
  EXPECT_EQ(produce(quick, torn), KafkaError::kNone) << "its head is good";
  KafkaOptions options = KafkaWorld::quick_options();
  options.check_compressed = true;
  KafkaWorld thorough(std::move(options));
  EXPECT_EQ(produce(thorough, torn), KafkaError::kInvalidRecord);
  EXPECT_EQ(produce(thorough, batch), KafkaError::kNone);
}

}  // namespace
}  // namespace runnel::broker
