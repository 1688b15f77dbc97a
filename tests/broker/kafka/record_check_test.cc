// What is in the records that a topic takes: the bounds of timestamps, and keys.
#include "broker/kafka/record_check.h"

#include "protocol/kafka/produce.h"
#include "tests/broker/kafka/kafka_fixture.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using protocol::BatchView;
using protocol::Codec;

constexpr Timestamp kNow{1'700'000'000'000};
constexpr std::int64_t kHour = 3'600'000;

struct Given {
  std::int64_t after = 0;  ///< milliseconds after kNow
  bool key = true;
};

Buffer batch_of(const std::vector<Given>& records, Codec codec = Codec::kNone) {
  protocol::BatchOptions options;
  options.codec = codec;
  protocol::BatchBuilder builder(options);
  for (const Given& r : records) {
    const auto key = r.key ? std::optional<std::string_view>("k") : std::nullopt;
    builder.add({kNow + r.after, key, "v", {}});
  }
  return builder.finish().value();
}

CheckedRecords check(const Buffer& batch, const storage::RecordRules& rules = {}) {
  return check_records(batch.bytes(), rules, kNow).value();
}

std::vector<std::int32_t> places(const CheckedRecords& checked) {
  std::vector<std::int32_t> out;
  for (const auto& r : checked.records) out.push_back(r.batch_index);
  return out;
}

TEST(RecordCheck, ByDefaultATimestampIsAtMostAnHourAhead) {
  EXPECT_EQ(check(batch_of({{0}, {kHour}})).error, KafkaError::kNone);
  const auto checked = check(batch_of({{0}, {kHour + 1}, {0}, {2 * kHour}}));
  EXPECT_EQ(checked.error, KafkaError::kInvalidTimestamp);
  EXPECT_EQ(places(checked), (std::vector<std::int32_t>{1, 3}));
  EXPECT_NE(checked.records[0].message->find("after.max.ms=3600000"), std::string::npos);
}

TEST(RecordCheck, TheBoundBeforeHoldsWhereItIsSet) {
  storage::RecordRules rules;
  EXPECT_EQ(check(batch_of({{-kNow.value()}}), rules).error, KafkaError::kNone);
  rules.timestamp_before_max_ms = 1000;
  EXPECT_EQ(check(batch_of({{-1000}}), rules).error, KafkaError::kNone);
  EXPECT_EQ(check(batch_of({{-1001}}), rules).error, KafkaError::kInvalidTimestamp);
  EXPECT_EQ(check(batch_of({{-kNow.value() - 1}}), rules).error, KafkaError::kNone)
      << "-1 says that there is none";
}

TEST(RecordCheck, TheBrokersTimeAsksForNone) {
  storage::RecordRules rules;
  rules.log_append_time = true;
  rules.timestamp_before_max_ms = rules.timestamp_after_max_ms = 0;
  EXPECT_EQ(check(batch_of({{-5}, {5}}), rules).error, KafkaError::kNone);
  Buffer batch = batch_of({{0}});
  protocol::stamp_append_time(batch.mutable_bytes(), kNow);
  EXPECT_EQ(check(batch, rules).error, KafkaError::kInvalidTimestamp)
      << "the broker alone says so of a batch";
}

TEST(RecordCheck, CompactionNeedsKeys) {
  const auto batch = batch_of({{0}, {0, false}, {2 * kHour, false}});
  storage::RecordRules rules;
  rules.needs_keys = true;
  const auto checked = check(batch, rules);
  EXPECT_EQ(checked.error, KafkaError::kInvalidRecord);
  EXPECT_EQ(places(checked), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(check(batch_of({{0, false}, {2 * kHour}, {0, false}}), rules).error,
            KafkaError::kInvalidTimestamp)
      << "a wrong time decides, wherever it stands";
}

TEST(RecordCheck, NotEveryRecordIsNamed) {
  storage::RecordRules rules;
  rules.needs_keys = true;
  const auto checked = check(batch_of(std::vector<Given>(1000, Given{0, false})), rules);
  EXPECT_EQ(checked.records.size(), kMaxRecordErrors);
}

TEST(RecordCheck, AFalseHeaderIsPutRight) {
  Buffer batch = batch_of({{0}, {50}, {7}});
  EXPECT_FALSE(check(batch).max_timestamp);
  protocol::stamp_create_time(batch.mutable_bytes(), kNow + 999);
  EXPECT_EQ(check(batch).max_timestamp, kNow + 50);
  protocol::stamp_create_time(batch.mutable_bytes(), kNow + 50);
  EXPECT_FALSE(check(batch).max_timestamp);
  EXPECT_TRUE(protocol::validate_batch(batch.bytes(), protocol::Depth::kRecords));
}

TEST(RecordCheck, CompressedRecordsAreWalkedForAReasonOnly) {
  const auto needs = [](const Buffer& batch, const storage::RecordRules& rules) {
    return needs_walk(BatchView(batch.bytes()), rules, kNow);
  };
  const Buffer batch = batch_of({{0}, {5}}, Codec::kZstd);
  const Buffer late = batch_of({{0}, {kHour + 1}}, Codec::kZstd);
  storage::RecordRules rules;
  EXPECT_FALSE(needs(batch, rules));
  EXPECT_TRUE(needs(late, rules));
  EXPECT_EQ(places(check(late)), std::vector<std::int32_t>{1});
  rules.timestamp_before_max_ms = 1000;
  EXPECT_TRUE(needs(batch, rules));
  rules.log_append_time = true;
  EXPECT_FALSE(needs(late, rules));
  rules.needs_keys = true;
  EXPECT_TRUE(needs(batch, rules));
  EXPECT_EQ(check(batch_of({{0, false}}, Codec::kGzip), rules).error, KafkaError::kInvalidRecord);
}

TEST(RecordCheck, AProducerIsToldWhichRecords) {
  KafkaWorld world;
  world.store.rules.needs_keys = true;
  const Buffer batch = batch_of({{0}, {0, false}});
  kafka::ProduceRequest request;
  request.acks = -1;
  request.topics.push_back({"orders", {}, {{PartitionIndex(0), batch.bytes()}}});
  KafkaClient client = world.connect();
  const auto answer = client.call<kafka::ProduceResponse>(9, request);
  const auto& partition = answer.topics.at(0).partitions.at(0);
  EXPECT_EQ(partition.error, KafkaError::kInvalidRecord);
  ASSERT_EQ(partition.record_errors.size(), 1u);
  EXPECT_EQ(partition.record_errors[0].batch_index, 1);

  world.store.rules.max_batch_bytes = static_cast<std::int32_t>(batch.size()) - 1;
  EXPECT_EQ(client.call<kafka::ProduceResponse>(9, request).topics[0].partitions[0].error,
            KafkaError::kMessageTooLarge)
      << "that comes first";
  world.store.rules.needs_keys = false;
  EXPECT_EQ(client.call<kafka::ProduceResponse>(9, request).topics[0].partitions[0].error,
            KafkaError::kMessageTooLarge)
      << "by the time it is stored the config may be another one";
}

TEST(LogAppendTime, TheAnswerToARepeatedBatchGivesItsTimeAgain) {
  KafkaWorld world;
  world.store.rules.log_append_time = true;
  const storage::PartitionRef partition =
      world.store.partition("orders", PartitionIndex(0)).value();
  Buffer stored = batch_of({{0}, {0}});
  protocol::stamp_append_time(stored.mutable_bytes(), kNow + 5);
  storage::CommitRequest before;
  before.appends.push_back({partition, stored, {}, std::nullopt});
  ASSERT_TRUE(world.store.commit_and_wait(std::move(before)).result);

  const Buffer batch = batch_of({{0}, {0}});
  kafka::ProduceRequest request;
  request.acks = -1;
  request.topics.push_back({"orders", {}, {{PartitionIndex(0), batch.bytes()}}});
  KafkaClient client = world.connect();
  const auto append_time_of_repeat = [&](Offset base) {
    storage::CommitResult repeat;
    repeat.appends.resize(1);
    repeat.appends[0].base_offset = base;
    repeat.appends[0].duplicate = true;
    world.store.set_outcome({repeat, {}});
    const auto answer = client.call<kafka::ProduceResponse>(9, request);
    EXPECT_EQ(answer.topics.at(0).partitions.at(0).base_offset, base);
    return answer.topics.at(0).partitions.at(0).log_append_time;
  };
  EXPECT_EQ(append_time_of_repeat(Offset(0)), kNow + 5);
  EXPECT_EQ(append_time_of_repeat(Offset(7)), kNoTimestamp) << "it is not there any more";
}

}  // namespace
}  // namespace runnel::broker
