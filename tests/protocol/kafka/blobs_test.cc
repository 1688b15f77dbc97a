// The consumer protocol's blobs.
#include <gtest/gtest.h>

#include "protocol/kafka/codec.h"
#include "protocol/kafka/consumer_protocol.h"

namespace runnel::protocol::kafka {
namespace {

using namespace std::string_literals;

ConsumerSubscription subscription() {
  ConsumerSubscription s;
  s.topics = {"a", "b"};
  s.user_data = as_bytes("u");
  s.owned = {{"a", {PartitionIndex(0), PartitionIndex(2)}}};
  s.generation_id = 4;
  s.rack_id = "r";
  return s;
}

TEST(KafkaConsumerProtocol, SubscriptionRoundTrips) {
  const ConsumerSubscription s = subscription();
  for (std::int16_t version = 0; version <= kConsumerProtocolVersion; ++version) {
    const std::string blob = encode(s, version);
    const auto again = decode_consumer_subscription(as_bytes(blob));
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(again->topics, s.topics);
    EXPECT_EQ(as_text(*again->user_data), "u");
    EXPECT_EQ(again->owned, version >= 1 ? s.owned : std::vector<ConsumerPartitions>());
    EXPECT_EQ(again->generation_id, version >= 2 ? 4 : -1);
    EXPECT_EQ(again->rack_id, version >= 3 ? s.rack_id : std::nullopt);
    for (std::size_t n = 0; n < blob.size(); ++n) {
      EXPECT_FALSE(decode_consumer_subscription(as_bytes(blob).first(n))) << n;
    }
  }
}

TEST(KafkaConsumerProtocol, LaterVersionsAreReadAsTheNewestKnown) {
  std::string blob = encode(subscription());
  blob[1] = '\x09';
  const auto again = decode_consumer_subscription(as_bytes(blob + "more"));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->rack_id, "r");
  blob[0] = '\xff';
  EXPECT_FALSE(decode_consumer_subscription(as_bytes(blob)));
}

TEST(KafkaConsumerProtocol, AssignmentIsTheseBytes) {
  ConsumerAssignment assignment;
  assignment.partitions = {{"t", {PartitionIndex(1)}}};
  const std::string blob = "\0\0\0\0\0\1\0\1t\0\0\0\1\0\0\0\1\xff\xff\xff\xff"s;
  EXPECT_EQ(encode(assignment, 0), blob);
  const auto again = decode_consumer_assignment(as_bytes(blob));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->partitions, assignment.partitions);
  EXPECT_FALSE(again->user_data);
  for (std::size_t n = 0; n < blob.size(); ++n) {
    EXPECT_FALSE(decode_consumer_assignment(as_bytes(blob).first(n))) << n;
  }
}

}  // namespace
}  // namespace runnel::protocol::kafka
