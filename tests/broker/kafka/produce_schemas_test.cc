// Produce to topics that ask for schemas.
#include <gmock/gmock.h>

#include "protocol/kafka/produce.h"
#include "tests/broker/kafka/kafka_fixture.h"
#include "tests/broker/schemas/registering.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using schemas::with_schema;
using ::testing::HasSubstr;

struct ProduceWithSchemas : testing::Test {
  ProduceWithSchemas() { w.store.rules.value_schemas = true; }
  static Buffer batch(const std::vector<std::string>& values, protocol::BatchOptions options = {}) {
    protocol::BatchBuilder builder{options};
    for (const std::string& value : values) builder.add({w_time, "key", value, {}});
    return builder.finish().value();
  }
  static kafka::ProduceRequest request(const Buffer& batch, std::int16_t acks = -1) {
    kafka::ProduceRequest out;
    out.acks = acks;
    out.topics.push_back({"orders", {}, {{PartitionIndex(0), batch.bytes()}}});
    return out;
  }
  kafka::ProduceResponse::Partition produce(const Buffer& batch) {
    return c.call<kafka::ProduceResponse>(9, request(batch)).topics.at(0).partitions.at(0);
  }

  static constexpr Timestamp w_time{1};
  KafkaWorld w;
  const schemas::SchemaId id =
      schemas::register_in(w.service.schemas(), "orders-value", R"({"type":"integer"})");
  KafkaClient c = w.connect();
};

TEST_F(ProduceWithSchemas, WhatFitsIsStored) {
  const auto first = produce(batch({with_schema(id, "1"), with_schema(id, "2")}));
  EXPECT_EQ(first.error, KafkaError::kNone) << first.error_message.value_or("");
  EXPECT_EQ(first.base_offset, Offset(0));
  EXPECT_EQ(produce(batch({with_schema(id, "3")}, {.codec = protocol::Codec::kLz4})).base_offset,
            Offset(2));
}

TEST_F(ProduceWithSchemas, OneBadRecordRefusesTheBatchAndIsNamed) {
  for (const auto codec : {protocol::Codec::kNone, protocol::Codec::kZstd}) {
    const auto answer = produce(
        batch({with_schema(id, "1"), with_schema(id, "\"one\""), "plain"}, {.codec = codec}));
    EXPECT_EQ(answer.error, KafkaError::kInvalidRecord);
    EXPECT_THAT(answer.error_message.value_or(""), HasSubstr("record 1 of the batch"));
    ASSERT_EQ(answer.record_errors.size(), 2u);
    EXPECT_EQ(answer.record_errors[0].batch_index, 1);
    EXPECT_EQ(answer.record_errors[1].batch_index, 2);
    EXPECT_THAT(answer.record_errors[1].message.value_or(""), HasSubstr("zero byte"));
  }
  EXPECT_EQ(produce(batch({with_schema(id, "1")})).base_offset, Offset(0)) << "nothing was stored";
}

TEST_F(ProduceWithSchemas, RequestsOfAConnectionStayInOrder) {
  std::vector<Buffer> batches;
  constexpr int kRequests = 20;
  for (int i = 0; i < kRequests; ++i) batches.push_back(batch({with_schema(id, "7")}));
  for (const Buffer& each : batches) c.send(9, request(each));
  for (int i = 0; i < kRequests; ++i) {
    const auto answer = c.await<kafka::ProduceResponse>(9).topics.at(0).partitions.at(0);
    EXPECT_EQ(answer.base_offset, Offset(i));
  }
}

TEST_F(ProduceWithSchemas, WithoutAnswerTheConnectionEnds) {
  const Buffer good = batch({with_schema(id, "1")});
  c.send(9, request(good, 0));
  const Buffer bad = batch({"plain"});
  c.send(9, request(bad, 0));
  while (!c.connection.closed && c.connection.posts->wait()) c.run_posted();
  EXPECT_TRUE(c.connection.closed);
  EXPECT_EQ(w.store.describe_topic("orders").value().partitions.at(0).high_watermark, Offset(1));
}

TEST_F(ProduceWithSchemas, TopicsThatDoNotAskTakeAnything) {
  w.store.rules.value_schemas = false;
  EXPECT_EQ(produce(batch({"plain"})).error, KafkaError::kNone);
}

}  // namespace
}  // namespace runnel::broker
