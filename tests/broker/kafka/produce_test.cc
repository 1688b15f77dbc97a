// What is wrong with a batch, in Kafka's order; and that producers who want no answer learn from
// their connection's end that something was not stored.
#include "protocol/kafka/produce.h"

#include "protocol/kafka/api_versions.h"
#include "protocol/record_batch/record_batch.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;

struct UnansweredProduce : testing::Test {
  KafkaWorld w;

  static void send(KafkaClient& c) {
    protocol::BatchBuilder builder{protocol::BatchOptions{}};
    builder.add({Timestamp(1), "key", "value", {}});
    const Buffer batch = builder.finish().value();
    kafka::ProduceRequest request;
    request.acks = 0;
    request.topics.push_back({"orders", {}, {{PartitionIndex(0), batch.bytes()}}});
    c.send(9, request);
  }
};

TEST_F(UnansweredProduce, WhatIsStoredLeavesTheConnectionOpen) {
  KafkaClient c = w.connect();
  w.store.hold_commits(true);
  send(c);
  w.store.release_commits();
  c.run_posted();
  EXPECT_FALSE(c.connection.closed);
  EXPECT_TRUE(c.connection.sent.empty());
}

TEST_F(UnansweredProduce, WhatTheStoreRefusesClosesIt) {
  for (const ErrorCode code : {ErrorCode::kRecordTooLarge, ErrorCode::kOutOfOrderSequence,
                               ErrorCode::kProducerFenced, ErrorCode::kLowSpace}) {
    KafkaClient c = w.connect();
    w.store.hold_commits(true);
    send(c);
    EXPECT_FALSE(c.connection.closed) << "nobody has refused it yet";
    w.store.set_outcome({fail(code, "it is refused"), {}});
    w.store.release_commits();
    c.run_posted();
    EXPECT_TRUE(c.connection.closed) << static_cast<int>(code);
    EXPECT_TRUE(c.connection.sent.empty());
  }
}

TEST_F(UnansweredProduce, WhatIsTooLargeForTheTopicClosesIt) {
  KafkaClient c = w.connect();
  w.store.rules.max_batch_bytes = 10;
  send(c);
  EXPECT_TRUE(c.connection.closed);
}

TEST(RefusedProduce, OfSeveralMistakesKafkasFirstIsTold) {
  constexpr std::size_t kCrcAt = 17;
  constexpr std::size_t kBaseOffsetEndsAt = 7;
  KafkaWorld w;
  KafkaClient c = w.connect();
  protocol::BatchBuilder builder{protocol::BatchOptions{}};
  builder.add({Timestamp(1), "key", "value", {}});
  Buffer batch = builder.finish().value();
  const auto answer = [&] {
    kafka::ProduceRequest request;
    request.acks = -1;
    request.topics.push_back({"orders", {}, {{PartitionIndex(0), batch.bytes()}}});
    return c.call<kafka::ProduceResponse>(9, request).topics.at(0).partitions.at(0).error;
  };
  EXPECT_EQ(answer(), KafkaError::kNone);
  batch.mutable_bytes()[kCrcAt] ^= std::byte{1};
  EXPECT_EQ(answer(), KafkaError::kCorruptMessage);
  w.store.rules.max_batch_bytes = 10;
  EXPECT_EQ(answer(), KafkaError::kMessageTooLarge);
  batch.mutable_bytes()[kBaseOffsetEndsAt] = std::byte{5};
  EXPECT_EQ(answer(), KafkaError::kInvalidRecord);
}

}  // namespace
}  // namespace runnel::broker
