// Fetches with a filter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/native/filtered_fetch.h"
#include "tests/broker/native/world.h"

namespace runnel::broker {
namespace {

using native::Failure;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A batch of records with values {"n":FROM} and so on, keys "even" and "odd".
std::string numbers(int from, int count, protocol::Codec codec = protocol::Codec::kNone) {
  protocol::BatchOptions options;
  options.codec = codec;
  protocol::BatchBuilder builder(options);
  for (int i = from; i < from + count; ++i) {
    const std::string value = R"({"n":)" + std::to_string(i) + "}";
    builder.add({Timestamp(1000 + i), i % 2 == 0 ? "even" : "odd", value});
  }
  return std::string(as_text(builder.finish().value().bytes()));
}

native::Fetch filtered(std::vector<std::string> conditions, Offset from = Offset(0)) {
  native::Fetch fetch = fetch_of(0, from);
  fetch.filter = std::move(conditions);
  return fetch;
}

/// Offsets and values of what came.
std::vector<std::pair<std::int64_t, std::string>> records_of(const Buffer& batches) {
  std::vector<std::pair<std::int64_t, std::string>> out;
  for (Bytes rest = batches.bytes(); !rest.empty();) {
    const auto size =
        protocol::validate_batch(rest, protocol::Depth::kRecords, protocol::Gaps::kAllowed);
    EXPECT_TRUE(size) << size.error().to_string();
    if (!size) break;
    auto reader = protocol::RecordReader::open(rest.first(*size));
    for (auto record = reader->next(); *record; record = reader->next()) {
      out.emplace_back((*record)->offset.value(), (*record)->value.value_or("<null>"));
    }
    rest = rest.subspan(*size);
  }
  return out;
}

TEST(Filter, WhatPassesKeepsItsOffsetAndTheRestIsPassed) {
  for (const auto codec : {protocol::Codec::kNone, protocol::Codec::kZstd}) {
    World w;
    w.client->hello();
    w.append(2, 0, numbers(0, 5, codec) + numbers(5, 5, codec));
    w.append(3, 0, numbers(10, 3, codec));
    const auto reply =
        w.client->call<native::FetchReply>(4, filtered({"key=odd", ".n>=3", ".n!=7"}));
    ASSERT_EQ(reply.partitions.size(), 1u);
    EXPECT_EQ(reply.partitions[0].error, ErrorCode::kOk);
    EXPECT_TRUE(reply.partitions[0].filtered);
    EXPECT_EQ(reply.partitions[0].next, Offset(13));
    EXPECT_EQ(reply.partitions[0].unreadable, 0u);
    using Pair = std::pair<std::int64_t, std::string>;
    EXPECT_THAT(records_of(w.client->attachment),
                ElementsAre(Pair{3, R"({"n":3})"}, Pair{5, R"({"n":5})"}, Pair{9, R"({"n":9})"},
                            Pair{11, R"({"n":11})"}));
    w.client.reset();  // what its jobs hold goes with them, a moment after the answer
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (w.store.memory().held_bytes() != 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(w.store.memory().held_bytes(), 0u);
  }
}

TEST(Filter, NothingBeforeTheOffsetThatWasAskedForComes) {
  World w;
  w.client->hello();
  w.append(2, 0, numbers(0, 10));
  w.client->call<native::FetchReply>(3, filtered({"key=odd"}, Offset(6)));
  EXPECT_EQ(records_of(w.client->attachment).size(), 2u);
  const auto none = w.client->call<native::FetchReply>(4, filtered({"key=none"}, Offset(6)));
  EXPECT_EQ(none.partitions[0].bytes, 0u);
  EXPECT_EQ(none.partitions[0].next, Offset(10));
  const auto end = w.client->call<native::FetchReply>(5, filtered({"key=odd"}, Offset(10)));
  EXPECT_EQ(end.partitions[0].next, Offset(10));
}

TEST(Filter, WhatIsNoJsonIsCounted) {
  World w;
  w.client->hello();
  w.append(2, 0, batch_of(10, 3) + numbers(0, 2));
  const auto reply = w.client->call<native::FetchReply>(3, filtered({".n>=0"}));
  EXPECT_EQ(reply.partitions[0].unreadable, 3u);
  EXPECT_EQ(records_of(w.client->attachment).size(), 2u);
}

TEST(Filter, ABadConditionIsRefusedWithItsPlace) {
  World w;
  w.client->hello();
  const auto bad = w.client->call<Failure>(2, filtered({"key=a", ".n>=x"}));
  EXPECT_EQ(bad.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(bad.action, ErrorAction::kPermanent);
  EXPECT_THAT(bad.message, HasSubstr("the filter: condition 2: at character 5: 'x' is no number"));
  const auto many = w.client->call<Failure>(3, filtered(std::vector<std::string>(1000, "key=a")));
  EXPECT_THAT(many.message, HasSubstr("may have 16 conditions"));
  w.append(4, 0, numbers(0, 2));  // the connection stands
}

TEST(Filter, OneAnswerReadsSoMuchAndTheNextGoesOn) {
  World w(256u << 20);
  w.client->hello();
  constexpr int kBatches = 20;
  constexpr std::size_t kValueBytes = 1u << 20;
  for (int i = 0; i < kBatches; ++i) {
    w.append(10 + static_cast<std::uint64_t>(i), 0, batch_of(kValueBytes));
  }
  w.append(99, 0, numbers(0, 1));
  Offset at(0);
  std::vector<std::int64_t> passed;
  std::vector<std::pair<std::int64_t, std::string>> found;
  for (std::uint64_t id = 100; at < Offset(kBatches + 1); ++id) {
    const auto reply = w.client->call<native::FetchReply>(id, filtered({"key=even"}, at));
    ASSERT_GT(reply.partitions[0].next, at);
    passed.push_back(reply.partitions[0].next - at);
    at = reply.partitions[0].next;
    for (auto& record : records_of(w.client->attachment)) found.push_back(std::move(record));
  }
  EXPECT_GE(passed.size(), kBatches * kValueBytes / kMaxFilterScanBytes);
  for (const std::int64_t n : passed) {
    EXPECT_LE(n, static_cast<std::int64_t>(kMaxFilterScanBytes / kValueBytes) + 1);
  }
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].first, kBatches);
}

TEST(Filter, AHighlyCompressedLogIsLookedAtInBoundedSteps) {
  World w(256u << 20);
  w.client->hello();
  // Each batch is small, and large when it is decompressed.
  constexpr std::size_t kUnpacked = 24u << 20;
  protocol::BatchOptions options;
  options.codec = protocol::Codec::kZstd;
  for (std::uint64_t i = 0; i < 8; ++i) {
    protocol::BatchBuilder builder(options);
    const std::string value(kUnpacked, 'v');
    builder.add({Timestamp(1000), "key", value});
    w.append(10 + i, 0, std::string(as_text(builder.finish().value().bytes())));
  }
  const auto reply = w.client->call<native::FetchReply>(100, filtered({"key=none"}));
  EXPECT_EQ(reply.partitions[0].next, Offset(kMaxFilterWorkBytes / kUnpacked + 1));
}

/// Each question takes as long as it is told to.
class SlowClock final : public storage::Clock {
 public:
  Timestamp now() override { return storage::Clock::system().now(); }
  std::chrono::nanoseconds monotonic() override { return at_ += step; }

  std::atomic<std::chrono::nanoseconds> step{std::chrono::nanoseconds(0)};

 private:
  class Counter {
   public:
    std::chrono::nanoseconds operator+=(std::chrono::nanoseconds by) {
      return std::chrono::nanoseconds(nanos_.fetch_add(by.count()) + by.count());
    }

   private:
    std::atomic<std::int64_t> nanos_{0};
  };
  Counter at_;
};

TEST(Filter, AnAnswerThatTakesLongEndsWithinABatchAndTheNextGoesOn) {
  SlowClock clock;
  World w(256u << 20, {}, clock);
  w.client->hello();
  constexpr int kRecords = 20;
  w.append(2, 0, batch_of(300'000, kRecords));
  clock.step = kMaxFilterTime / 2;
  std::vector<std::int64_t> found;
  int answers = 0;
  for (Offset at(0); at < Offset(kRecords); ++answers) {
    native::Fetch fetch = filtered({"key!=none"}, at);
    const auto reply = w.client->call<native::FetchReply>(100 + static_cast<std::uint64_t>(answers),
                                                          std::move(fetch));
    ASSERT_GT(reply.partitions[0].next, at);
    at = reply.partitions[0].next;
    for (const auto& [offset, value] : records_of(w.client->attachment)) found.push_back(offset);
  }
  EXPECT_GT(answers, 3);
  ASSERT_EQ(found.size(), static_cast<std::size_t>(kRecords));
  for (int i = 0; i < kRecords; ++i) EXPECT_EQ(found[static_cast<std::size_t>(i)], i);
}

TEST(Filter, WhatABatchUnpacksToIsTakenFromTheMemoryBudget) {
  World w(64u << 20);
  w.client->hello();
  protocol::BatchOptions options;
  options.codec = protocol::Codec::kZstd;
  protocol::BatchBuilder builder(options);
  const std::string value(24u << 20, 'v');
  builder.add({Timestamp(1000), "odd", value});
  w.append(2, 0, std::string(as_text(builder.finish().value().bytes())));
  // A whole batch is let through where nothing else is held, and waits where something is.
  ASSERT_TRUE(w.store.memory().try_take(1u << 20));
  const auto refused = w.client->call<native::FetchReply>(3, filtered({"key=odd"}));
  EXPECT_EQ(refused.partitions[0].error, ErrorCode::kOverloaded);
  EXPECT_EQ(refused.partitions[0].next, Offset(0));
  w.store.memory().give_back(1u << 20);
}

TEST(Filter, AnErrorInOnePartitionLeavesTheOthers) {
  World w;
  w.client->hello();
  w.append(2, 0, numbers(0, 4));
  native::Fetch fetch = filtered({"key=odd"});
  fetch.partitions.push_back({{"nowhere", PartitionIndex(0)}, Offset(0), 1u << 20});
  const auto reply = w.client->call<native::FetchReply>(3, fetch);
  ASSERT_EQ(reply.partitions.size(), 2u);
  EXPECT_EQ(reply.partitions[1].error, ErrorCode::kUnknownTopic);
  EXPECT_EQ(records_of(w.client->attachment).size(), 2u);
}

TEST(Filter, WithoutMemoryTheClientIsToldToTryAgain) {
  World w(1u << 20);
  w.client->hello();
  w.append(2, 0, numbers(0, 4));
  ASSERT_TRUE(w.store.memory().try_take(w.store.memory().limit_bytes()));
  const auto failed = w.client->call<Failure>(3, filtered({"key=odd"}));
  EXPECT_EQ(failed.code, ErrorCode::kOverloaded);
  EXPECT_EQ(failed.action, ErrorAction::kRetry);
  w.store.memory().give_back(w.store.memory().limit_bytes());
  w.client->call<native::FetchReply>(4, filtered({"key=odd"}));
  EXPECT_EQ(records_of(w.client->attachment).size(), 2u);
}

}  // namespace
}  // namespace runnel::broker
