// What holds for every message in every version.
#include <gtest/gtest.h>

#include "tests/protocol/kafka/any_message.h"

namespace runnel::protocol::kafka {
namespace {

using storage::for_each_seed;
using storage::SeededRandom;

TEST(KafkaMessages, EveryApiHasItsMessages) {
  ASSERT_EQ(all_messages().size(), 2 * apis().size());
  for (const ApiInfo& api : apis()) {
    const auto has = [&](Side side) {
      return std::any_of(all_messages().begin(), all_messages().end(),
                         [&](const AnyMessage& m) { return m.api == api.key && m.side == side; });
    };
    EXPECT_TRUE(has(Side::kRequest) && has(Side::kResponse)) << api.name;
  }
}

TEST(KafkaMessages, RoundTrip) {
  for_each_seed(1, 20, [](std::uint64_t seed) {
    SeededRandom random(seed);
    for_each_message([&](const AnyMessage& message, std::int16_t version) {
      const std::string body = message.fill(random, version);
      const auto again = message.recode(as_bytes(body), version);
      ASSERT_TRUE(again) << again.error().to_string();
      ASSERT_EQ(*again, body);
    });
  });
}

TEST(KafkaMessages, PlainOnesRoundTrip) {
  for_each_message([](const AnyMessage& message, std::int16_t version) {
    const std::string body = message.plain(version);
    const auto again = message.recode(as_bytes(body), version);
    ASSERT_TRUE(again) << again.error().to_string();
    ASSERT_EQ(*again, body);
  });
}

TEST(KafkaMessages, TruncatedAnywhereIsMalformed) {
  for_each_seed(1, 3, [](std::uint64_t seed) {
    SeededRandom random(seed);
    for_each_message([&](const AnyMessage& message, std::int16_t version) {
      const std::string body = message.fill(random, version);
      for (std::size_t size = 0; size < body.size(); ++size) {
        // Bytes of its own, so that reading behind them is found.
        const std::vector<char> part(body.begin(),
                                     body.begin() + static_cast<std::ptrdiff_t>(size));
        const Status status = message.check(as_bytes({part.data(), part.size()}), version);
        ASSERT_FALSE(status) << "cut to " << size << " of " << body.size();
        ASSERT_EQ(status.error().code(), ErrorCode::kMalformed);
      }
    });
  });
}

TEST(KafkaMessages, BytesBehindTheMessageArePassedOver) {
  SeededRandom random(1);
  for_each_message([&](const AnyMessage& message, std::int16_t version) {
    const std::string body = message.fill(random, version);
    const auto again = message.recode(as_bytes(body + "more"), version);
    ASSERT_TRUE(again) << again.error().to_string();
    ASSERT_EQ(*again, body);
  });
}

TEST(KafkaMessages, UnknownTaggedFieldsArePassedOver) {
  for_each_message([](const AnyMessage& message, std::int16_t version) {
    if (!message.info().is_flexible(version)) return;
    const std::string body = message.plain(version);
    ASSERT_EQ(body.back(), '\0') << "no tagged fields";
    ByteWriter more;
    more.raw(as_bytes(body).first(body.size() - 1)).uvarint(3);
    more.uvarint(900).text("abc").uvarint(1000).text("").uvarint(1'000'000).text("x");
    const auto again = message.recode(more.bytes(), version);
    ASSERT_TRUE(again) << again.error().to_string();
    ASSERT_EQ(*again, body);
  });
}

TEST(KafkaMessages, VersionsThatAreNotKnownAreUnsupported) {
  for (const AnyMessage& message : all_messages()) {
    for (const int version : {message.info().min_version - 1, message.info().max_version + 1}) {
      const Status status = message.check({}, static_cast<std::int16_t>(version));
      ASSERT_FALSE(status) << message.name();
      EXPECT_EQ(status.error().code(), ErrorCode::kUnsupported) << message.name();
    }
  }
}

}  // namespace
}  // namespace runnel::protocol::kafka
