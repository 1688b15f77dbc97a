// A client asks for a lot and reads nothing: what it costs does not grow with what it asked for,
// and when it reads on, every answer comes, in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "tests/broker/native/world.h"

namespace runnel::broker {
namespace {

constexpr std::uint64_t kFirst = 2;
constexpr std::uint64_t kRequests = 40;
constexpr std::uint64_t kLast = kFirst + kRequests - 1;

/// Any answer here is smaller, and several are larger than the mark.
constexpr std::uint64_t kLargestAnswer = 1u << 20;

struct UnreadAnswers : testing::Test {
  UnreadAnswers() {
    w.client->hello();
    EXPECT_TRUE(w.store.create_topic({"wide", 10'000, {}}));
    c().connection.reads = false;
  }
  TestClient& c() { return *w.client; }
  /// Answered at once, by a message for each partition: there are none such.
  static native::Fetch fetch_of_nothing() {
    native::Fetch fetch;
    for (std::int32_t i = 0; i < 5'000; ++i) {
      fetch.partitions.push_back({{"nowhere", PartitionIndex(i)}, Offset(0), 1u << 20});
    }
    return fetch;
  }
  /// Everything is asked for with one receive.
  void ask(const native::Request& request) {
    std::string all;
    for (std::uint64_t id = kFirst; id <= kLast; ++id) all += TestClient::frame(id, request);
    c().feed_copied(all);
  }
  /// Takes what is queued, again and again, until all is answered, with a T each.
  template <class T>
  void read_all() {
    while (c().answered.size() < 1 + kRequests) {
      if (c().connection.unsent <= kOutputLowMark) {
        ASSERT_TRUE(c().connection.posts->wait()) << c().answered.size() << " answers";
      }
      c().connection.take_output(*c().session);
      c().run_posted();
    }
    c().connection.take_output(*c().session);
    EXPECT_TRUE(std::is_sorted(c().answered.begin(), c().answered.end()));
    for (std::uint64_t id = kFirst; id <= kLast; ++id) EXPECT_NE(c().find<T>(id), nullptr) << id;
    EXPECT_EQ(c().connection.pauses, c().connection.closed ? 1 : 0);
    EXPECT_LE(c().connection.most_unsent, kOutputLowMark + kLargestAnswer);
    // The worker that answered last may still be giving back what its request held. What is never
    // given back ends with this test's time.
    while (w.store.memory().held_bytes() != 0) std::this_thread::yield();
  }
  World w{1u << 30};
};

TEST_F(UnreadAnswers, WhatIsAnsweredAtOnceWaits) {
  ask(fetch_of_nothing());
  EXPECT_GT(c().connection.unsent, kOutputLowMark);
  EXPECT_LE(c().connection.unsent, kOutputLowMark + kLargestAnswer);
  EXPECT_EQ(c().connection.pauses, 1);
  read_all<native::FetchReply>();
}

TEST_F(UnreadAnswers, JobsAreNotBegun) {
  ask(native::DescribeTopics{});
  // Another connection's jobs take turns with this one's; when those are done, this one's would be.
  TestClient other(w.service.factory());
  other.hello();
  const auto ask_other = [&](std::uint64_t id) {
    other.call<native::TopicsReply>(id, native::DescribeTopics{});
    c().run_posted();
  };
  std::uint64_t id = kFirst;
  while (c().connection.unsent <= kOutputLowMark && id < 10 * kRequests) ask_other(id++);
  ASSERT_GT(c().connection.unsent, kOutputLowMark);
  for (std::uint64_t more = 0; more < kRequests; ++more) ask_other(id++);
  EXPECT_LE(c().connection.unsent, kOutputLowMark + kLargestAnswer);
  EXPECT_EQ(c().connection.pauses, 1);
  read_all<native::TopicsReply>();
}

TEST_F(UnreadAnswers, WhatWasAskedBeforeTheEndOfTheStreamIsStillAnswered) {
  ask(fetch_of_nothing());
  c().session->shutting_down();
  EXPECT_FALSE(c().connection.closed);
  read_all<native::FetchReply>();
  EXPECT_TRUE(c().connection.closed);
}

TEST(RequestsInFlight, AreNoMoreThanTheLimitEvenInOneReceive) {
  NativeOptions options;
  options.max_in_flight = 4;
  World w(64u << 20, options);
  w.client->hello();
  w.store.hold_commits(true);
  const std::string batch = batch_of();
  std::string all;
  for (std::uint64_t id = kFirst; id <= kLast; ++id) {
    all += TestClient::frame(id, w.append_to(0, batch.size()), batch);
  }
  w.client->feed_copied(all);
  EXPECT_EQ(w.service.counters().appends.load(), 4U);
  w.store.hold_commits(false);
  w.store.release_commits();
  Offset next(0);
  for (std::uint64_t id = kFirst; id <= kLast; ++id) {
    const auto reply = w.client->await<native::AppendReply>(id);
    ASSERT_EQ(reply.partitions.size(), 1U);
    EXPECT_EQ(reply.partitions[0].base_offset, next) << "the order asked for";
    next = Offset(next.value() + 1);
  }
  EXPECT_EQ(w.client->connection.pauses, 0);
}

}  // namespace
}  // namespace runnel::broker
