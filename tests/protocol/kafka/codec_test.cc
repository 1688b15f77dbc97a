// Frames, headers, and how single fields look on the wire.
#include "protocol/kafka/codec.h"

#include <gtest/gtest.h>

#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/consumer_group_heartbeat.h"
#include "protocol/kafka/create_topics.h"
#include "protocol/kafka/describe_configs.h"
#include "protocol/kafka/fetch.h"
#include "protocol/kafka/find_coordinator.h"
#include "protocol/kafka/metadata.h"
#include "protocol/kafka/produce.h"

namespace runnel::protocol::kafka {
namespace {

using namespace std::string_literals;

Bytes without_length(const Frame& frame) {
  return frame.head.bytes().subspan(kLengthBytes);
}

TEST(KafkaFrame, SizeNeedsFourBytesAndIsChecked) {
  const Frame frame = encode_request({ApiKey::kMetadata, 9, 5, "me"}, MetadataRequest());
  const Bytes bytes = frame.head.bytes();
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    const auto size = frame_size(bytes.first(n));
    ASSERT_TRUE(size);
    if (n < kLengthBytes) {
      EXPECT_FALSE(size->has_value());
    } else {
      EXPECT_EQ(*size, bytes.size());
    }
  }
  for (const std::int32_t length : {-1, INT32_MIN, 0, 9, (100 << 20) + 1, INT32_MAX}) {
    const auto size = frame_size(ByteWriter().be(length).bytes());
    ASSERT_FALSE(size) << length;
    EXPECT_EQ(size.error().code(), ErrorCode::kMalformed);
  }
  EXPECT_TRUE(frame_size(as_bytes("\0\0\0\x0a"s)));
  EXPECT_TRUE(frame_size(as_bytes("\x06\x40\0\0"s))) << "100 MiB";
}

TEST(KafkaHeader, ClassicAndFlexibleRequestsComeBack) {
  for (const std::int16_t version : {8, 9}) {
    for (const std::optional<std::string_view> id :
         {std::optional<std::string_view>(), std::optional<std::string_view>(""),
          std::optional<std::string_view>("client")}) {
      MetadataRequest request;
      request.topics.emplace().emplace_back().name = "t";
      const Frame frame = encode_request({ApiKey::kMetadata, version, -7, id}, request);
      const auto received = decode_request_header(without_length(frame));
      ASSERT_TRUE(received) << received.error().to_string();
      EXPECT_EQ(received->header.key, ApiKey::kMetadata);
      EXPECT_EQ(received->header.version, version);
      EXPECT_EQ(received->header.correlation_id, -7);
      EXPECT_EQ(received->header.client_id, id);
      const auto body = decode<MetadataRequest>(received->body, version);
      ASSERT_TRUE(body) << body.error().to_string();
      EXPECT_EQ(body->topics->at(0).name, "t");
    }
  }
}

TEST(KafkaHeader, TruncatedAnywhereIsMalformed) {
  for (const std::int16_t version : {8, 9}) {
    const Frame frame = encode_request({ApiKey::kMetadata, version, 1, "abc"}, MetadataRequest());
    const std::size_t header = version < 9 ? 13 : 14;
    for (std::size_t n = 0; n < header; ++n) {
      const auto received = decode_request_header(without_length(frame).first(n));
      ASSERT_FALSE(received) << n;
      EXPECT_EQ(received.error().code(), ErrorCode::kMalformed);
    }
    EXPECT_TRUE(decode_request_header(without_length(frame).first(header)));
  }
}

TEST(KafkaHeader, OfUnknownApisAndVersionsIsRead) {
  const std::string unknown_key = "\x03\xe8\0\x01\0\0\0\x09"s;
  const auto by_key = decode_request_header(as_bytes(unknown_key));
  ASSERT_TRUE(by_key) << by_key.error().to_string();
  EXPECT_EQ(static_cast<int>(by_key->header.key), 1000);
  EXPECT_EQ(by_key->header.correlation_id, 9);
  const std::string later_version = "\0\x12\0\x63\0\0\0\x09\0\x01x\0"s;
  const auto by_version = decode_request_header(as_bytes(later_version));
  ASSERT_TRUE(by_version) << by_version.error().to_string();
  EXPECT_EQ(by_version->header.key, ApiKey::kApiVersions);
  EXPECT_EQ(by_version->header.version, 99);
  EXPECT_EQ(by_version->header.correlation_id, 9);
  EXPECT_EQ(by_version->header.client_id, "x");
}

TEST(KafkaHeader, ResponsesHaveTagsInFlexibleVersionsButApiVersionsNever) {
  const auto header_bytes = [](const Frame& frame, std::size_t body) {
    return frame.head.size() - kLengthBytes - body;
  };
  const MetadataResponse metadata;
  EXPECT_EQ(header_bytes(encode_response(1, 8, metadata), encode_body(8, metadata).size()), 4u);
  EXPECT_EQ(header_bytes(encode_response(1, 9, metadata), encode_body(9, metadata).size()), 5u);
  const ApiVersionsResponse versions;
  EXPECT_EQ(header_bytes(encode_response(1, 3, versions), encode_body(3, versions).size()), 4u);
  const Frame frame = encode_response(77, 9, metadata);
  const auto received = decode_response_header(without_length(frame), ApiKey::kMetadata, 9);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->correlation_id, 77);
  EXPECT_TRUE(decode<MetadataResponse>(received->body, 9));
}

/// The frame with every gap filled with 'r'.
std::string filled(const Frame& frame) {
  std::string bytes(as_text(frame.head.bytes()));
  for (auto gap = frame.gaps.rbegin(); gap != frame.gaps.rend(); ++gap) {
    bytes.insert(gap->at, std::string(gap->bytes, 'r'));
  }
  return bytes;
}

TEST(KafkaFetch, GapsAreCountedAndFilledByTheSender) {
  for (std::int16_t version = 4; version <= 18; ++version) {
    SCOPED_TRACE(version);
    FetchResponse response;
    response.topics.resize(2);
    response.topics[0].name = "a";
    response.topics[0].partitions.resize(3);
    response.topics[0].partitions[0].records.gap_bytes = 300;
    response.topics[0].partitions[1].records.bytes = as_bytes("inline");
    response.topics[1].partitions.resize(1);
    response.topics[1].partitions[0].records.gap_bytes = 7;
    const Frame frame = encode_response(5, version, response);
    ASSERT_EQ(frame.gaps.size(), 2u);
    EXPECT_EQ(frame.gaps[0].bytes, 300u);
    EXPECT_EQ(frame.gaps[1].bytes, 7u);
    const std::string bytes = filled(frame);
    EXPECT_EQ(*frame_size(as_bytes(bytes)), bytes.size());
    const auto received =
        decode_response_header(as_bytes(bytes).subspan(kLengthBytes), ApiKey::kFetch, version);
    ASSERT_TRUE(received);
    const auto again = decode<FetchResponse>(received->body, version);
    ASSERT_TRUE(again) << again.error().to_string();
    const auto& partitions = again->topics[0].partitions;
    EXPECT_EQ(as_text(*partitions[0].records.bytes), std::string(300, 'r'));
    EXPECT_EQ(as_text(*partitions[1].records.bytes), "inline");
    EXPECT_EQ(as_text(*partitions[2].records.bytes), "");
    EXPECT_EQ(as_text(*again->topics[1].partitions[0].records.bytes), "rrrrrrr");
  }
}

TEST(KafkaFetch, AnAnswerThatIsTooLargeForAFrameHasNoBytes) {
  FetchResponse response;
  response.topics.resize(1);
  response.topics[0].partitions.resize(2);
  response.topics[0].partitions[0].records.gap_bytes = INT32_MAX;
  EXPECT_TRUE(encode_response(5, 12, response).head.empty());
  response.topics[0].partitions[0].records.gap_bytes -= 200;  // for what stands around it
  EXPECT_FALSE(encode_response(5, 12, response).head.empty());
}

TEST(KafkaProduce, RecordsAndNamesAreViewsOfTheFrame) {
  ProduceRequest request;
  request.topics.resize(1);
  request.topics[0].name = "topic";
  request.topics[0].partitions.resize(1);
  request.topics[0].partitions[0].records = as_bytes("batch");
  const std::string body = encode_body(9, request);
  const auto again = decode<ProduceRequest>(as_bytes(body), 9);
  ASSERT_TRUE(again);
  const auto is_within = [&](const void* p) { return p >= &*body.begin() && p < &*body.end(); };
  EXPECT_TRUE(is_within(again->topics[0].name.data()));
  EXPECT_TRUE(is_within(again->topics[0].partitions[0].records->data()));
}

TEST(KafkaFields, AnyNegativeLengthIsNullWhereNullIsAllowed) {
  for (const std::int32_t length : {-1, -2, INT32_MIN}) {
    const auto all = decode<MetadataRequest>(ByteWriter().be(length).bytes(), 1);
    ASSERT_TRUE(all);
    EXPECT_FALSE(all->topics);
    EXPECT_FALSE(decode<MetadataRequest>(ByteWriter().be(length).bytes(), 0));
  }
  EXPECT_FALSE(decode<FindCoordinatorRequest>(as_bytes("\xff\xff"s), 0));
}

TEST(KafkaFields, NullIsWrittenAsEmptyWhereItIsNotAllowed) {
  MetadataRequest all;
  EXPECT_EQ(encode_body(0, all), "\0\0\0\0"s);
  EXPECT_EQ(encode_body(1, all), "\xff\xff\xff\xff"s);
}

TEST(KafkaFields, LongTextIsCutWhenWrittenAndRefusedWhenRead) {
  for (const std::int16_t version : {2, 3}) {
    FindCoordinatorRequest request;
    request.key = std::string(kMaxTextBytes + 1, 'k');
    const auto again =
        decode<FindCoordinatorRequest>(as_bytes(encode_body(version, request)), version);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(again->key.size(), kMaxTextBytes);
  }
  ByteWriter body;
  body.uvarint(kMaxTextBytes + 2).raw(as_bytes(std::string(kMaxTextBytes + 10, 'k')));
  EXPECT_FALSE(decode<FindCoordinatorRequest>(body.bytes(), 3));
}

TEST(KafkaFields, TaggedFieldsAreThereOnlyIfNotDefault) {
  ProduceResponse response;
  response.topics.resize(1);
  response.topics[0].partitions.resize(1);
  const std::size_t plain = encode_body(10, response).size();
  auto& leader = response.topics[0].partitions[0].current_leader;
  leader.leader_id = 3;
  EXPECT_EQ(encode_body(10, response).size(), plain + 2 + 9) << "tag, size, two numbers and tags";
  EXPECT_EQ(encode_body(9, response).size(), plain) << "version 9 does not know it";
  const auto again = decode<ProduceResponse>(as_bytes(encode_body(10, response)), 10);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->topics[0].partitions[0].current_leader, leader);
}

TEST(KafkaFields, ATaggedFieldMustHaveTheSizeItAnnounces) {
  FetchRequest request;
  request.cluster_id = "abc";
  const std::string body = encode_body(12, request);
  const std::string tag = "\x01\0\x04\x04"s + "abc";
  ASSERT_EQ(body.substr(body.size() - tag.size()), tag);
  std::string longer = body + "d";
  longer[longer.size() - 6] = '\x05';
  const auto read = decode<FetchRequest>(as_bytes(longer), 12);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message().find("longer than what it holds"), std::string::npos);
}

TEST(KafkaFields, StructsThatMayBeNullBeginWithAByte) {
  ConsumerGroupHeartbeatResponse response;
  const std::string absent = encode_body(0, response);
  response.assignment.emplace();
  const std::string present = encode_body(0, response);
  EXPECT_EQ(absent.substr(absent.size() - 2), "\xff\0"s);
  EXPECT_EQ(present.substr(present.size() - 4), "\x01\x01\0\0"s);
}

TEST(KafkaFields, ErrorsSayWhereAndWhy) {
  const auto read = decode<FetchRequest>(as_bytes("\0\0\0\0\0\0\0\0"s), 4);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message(),
            "a Fetch v4 request is malformed at byte 8: it ends within a number; check what the "
            "sender is and which protocol it speaks");
}

// Version 0 of DescribeConfigs and versions 0 and 1 of CreateTopics are no longer in Apache Kafka:
// these are their bytes, field by field.
TEST(KafkaOldVersions, DescribeConfigsZeroSaysWhetherAValueIsTheDefault) {
  DescribeConfigsResponse response;
  auto& resource = response.resources.emplace_back();
  resource.type = ConfigResource::kTopic;
  resource.name = "t";
  auto& config = resource.configs.emplace_back();
  config.name = "k";
  config.value = "v";
  config.is_default = true;
  EXPECT_EQ(encode_body(0, response),
            "\0\0\0\0\0\0\0\1\0\0\xff\xff\x02\0\1t\0\0\0\1\0\1k\0\1v"
            "\0\1\0"s);
}

TEST(KafkaOldVersions, CreateTopicsZeroHasNeitherMessageNorValidateOnly) {
  CreateTopicsRequest request;
  request.topics.emplace_back().name = "t";
  request.timeout_ms = 1;
  const std::string v0 = "\0\0\0\1\0\1t\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\1"s;
  EXPECT_EQ(encode_body(0, request), v0);
  EXPECT_EQ(encode_body(1, request), v0 + "\0"s);
  CreateTopicsResponse response;
  response.topics.emplace_back().name = "t";
  EXPECT_EQ(encode_body(0, response), "\0\0\0\1\0\1t\0\0"s);
  EXPECT_EQ(encode_body(1, response), "\0\0\0\1\0\1t\0\0\xff\xff"s);
}

TEST(KafkaOldVersions, ProduceResponsesGrowByThrottleAndTime) {
  ProduceResponse response;
  auto& topic = response.topics.emplace_back();
  topic.name = "t";
  topic.partitions.emplace_back().error = KafkaError::kUnsupportedForMessageFormat;
  const std::string minus_one(8, '\xff');
  const std::string start = "\0\0\0\1\0\1t\0\0\0\1\0\0\0\0\0\x2b"s + minus_one;
  EXPECT_EQ(encode_body(0, response), start);
  EXPECT_EQ(encode_body(1, response), start + "\0\0\0\0"s);
  EXPECT_EQ(encode_body(2, response), start + minus_one + "\0\0\0\0"s);
}

}  // namespace
}  // namespace runnel::protocol::kafka
