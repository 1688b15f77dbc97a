// One client asks for more than its share, or stops in the middle; the one beside it notices
// nothing.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "storage/env/manual_clock.h"
#include "tests/broker/native/world.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using native::Failure;

struct Misbehaviour : testing::Test {
  explicit Misbehaviour(std::uint64_t memory = 1u << 20) : w(memory, {}, clock) {
    w.client->hello();
  }
  std::unique_ptr<TestClient> another() {
    auto client = std::make_unique<TestClient>(w.service.factory());
    client->hello();
    return client;
  }
  /// An append's frame.
  std::string append_frame(std::uint64_t id, const std::string& batch) {
    return TestClient::frame(id, w.append_to(0, batch.size()), batch);
  }
  static native::ListOffsets lookups(std::size_t count) {
    native::ListOffsets list;
    list.partitions.resize(count);
    for (auto& p : list.partitions) {
      p.target = {"orders", PartitionIndex(0)};
      p.kind = native::OffsetSpec::Kind::kTime;
    }
    return list;
  }
  static native::Subscribe subscription(const std::string& topic, std::int32_t partitions) {
    native::Subscribe subscribe;
    subscribe.credit_bytes = 1u << 20;
    for (std::int32_t i = 0; i < partitions; ++i) {
      subscribe.partitions.push_back({{topic, PartitionIndex(i)}, Offset(0), 1u << 20});
    }
    return subscribe;
  }
  storage::ManualClock clock;
  World w;
};

TEST_F(Misbehaviour, AnnouncedFramesThatDoNotComeCostNothing) {
  const std::string batch = batch_of(200'000);
  std::vector<std::unique_ptr<TestClient>> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.push_back(another());
    slow.back()->feed(append_frame(2, batch).substr(0, 8));
  }
  EXPECT_EQ(w.store.memory().held_bytes(), 0U);
  w.client->feed(append_frame(2, batch));
  w.client->await<native::AppendReply>(2);
}

TEST_F(Misbehaviour, AFrameThatDoesNotGoOnIsCutInTime) {
  const std::string batch = batch_of(200'000);
  const std::string frame = append_frame(2, batch);
  const auto start = std::chrono::steady_clock::now();
  auto& session = *w.client->session;
  EXPECT_TRUE(session.overdue(start).empty());
  EXPECT_TRUE(session.overdue(start + 1h).empty()) << "idle is not slow";
  w.client->feed(frame.substr(0, 5));
  EXPECT_TRUE(session.overdue(start + 1h).empty()) << "seen for the first time";
  EXPECT_TRUE(session.overdue(start + 1h + kFrameGrace).empty());
  w.client->feed(frame.substr(5, 20));
  EXPECT_FALSE(session.overdue(start + 1h + kFrameGrace + 1s).empty()) << "a trickle is no rate";
  w.client->feed(frame.substr(25));
  EXPECT_TRUE(session.overdue(start + 2h).empty());
  w.client->await<native::AppendReply>(2);
}

TEST_F(Misbehaviour, AFrameThatHoldsWhatOthersWaitForIsCutSooner) {
  const std::string batch = batch_of(240'000);
  std::vector<std::unique_ptr<TestClient>> slow;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 8; ++i) {
    slow.push_back(another());
    slow.back()->feed(append_frame(2, batch).substr(0, 239'000));
    EXPECT_TRUE(slow.back()->session->overdue(start).empty());
  }
  EXPECT_TRUE(slow.front()->session->overdue(start + kFrameGraceWhenShort).empty());
  EXPECT_FALSE(slow.front()->session->overdue(start + kFrameGraceWhenShort + 1s).empty());
}

TEST_F(Misbehaviour, HalfFramesCannotShutOthersOut) {
  const std::string batch = batch_of(240'000);
  std::vector<std::unique_ptr<TestClient>> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(another());
    slow.back()->feed(append_frame(2, batch).substr(0, 239'000));
  }
  EXPECT_LE(w.store.memory().held_bytes(), (w.store.memory().limit_bytes() * 5) / 8);
  EXPECT_EQ(w.client->call<Failure>(2, native::DescribeGroup{"none"}).code,
            ErrorCode::kUnknownGroup)
      << "small requests get through";
  auto newcomer = another();
  newcomer->call<native::FetchReply>(2, fetch_of(0, Offset(0)));
  w.client->feed(append_frame(3, batch));
  EXPECT_EQ(w.client->connection.pauses, 1) << "a large one waits";
  slow.clear();  // cut for being slow
  w.client->await<native::AppendReply>(3);
  EXPECT_EQ(w.store.memory().held_bytes(), 0U);
}

TEST_F(Misbehaviour, FramesThatGrowTogetherAllBecomeComplete) {
  const std::string batch = batch_of(240'000);
  const std::string frame = append_frame(2, batch);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(another());
  for (std::size_t at = 0; at < frame.size(); at += 10'000) {
    for (auto& c : clients) c->feed_copied(frame.substr(at, 10'000));
  }
  for (auto& c : clients) c->await<native::AppendReply>(2);
  EXPECT_EQ(w.store.memory().held_bytes(), 0U);
}

TEST_F(Misbehaviour, OneConnectionHoldsAQuarterAtMost) {
  w.store.hold_commits(true);
  const std::string batch = batch_of(100'000);
  auto greedy = another();
  for (std::uint64_t id = 2; id < 20; ++id) greedy->feed(append_frame(id, batch));
  EXPECT_EQ(greedy->connection.pauses, 1);
  EXPECT_LE(w.store.memory().held_bytes(), w.store.memory().limit_bytes() / 4);
  w.client->feed(append_frame(2, batch));
  EXPECT_EQ(w.client->connection.pauses, 0);
  w.store.hold_commits(false);
  w.store.release_commits();
  for (std::uint64_t id = 2; id < 20; ++id) greedy->await<native::AppendReply>(id);
}

TEST_F(Misbehaviour, APartitionIsNamedOnce) {
  native::Fetch fetch = fetch_of(0, Offset(0), 60'000);
  fetch.partitions.push_back(fetch.partitions[0]);
  EXPECT_EQ(w.client->call<Failure>(2, fetch).code, ErrorCode::kInvalidArgument);
  native::Subscribe subscribe;
  subscribe.partitions = fetch.partitions;
  EXPECT_EQ(w.client->call<Failure>(3, subscribe).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(w.store.waiting_fetches(), 0U);
  EXPECT_EQ(w.store.memory().held_bytes(), 0U);
}

TEST_F(Misbehaviour, SubscriptionsArePaidForAndLeaveRoom) {
  ASSERT_TRUE(w.store.create_topic({"wide", 400, {}}));
  auto greedy = another();
  std::uint64_t id = 2;
  std::optional<Failure> refused;
  for (; id < 100 && !refused; ++id) {
    greedy->feed(TestClient::frame(id, subscription("wide", 400)));
    greedy->run_posted();
    if (const auto* failure = greedy->find<Failure>(id)) refused = *failure;
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::kOverloaded);
  EXPECT_EQ(refused->action, ErrorAction::kRetry);
  const std::uint64_t held = w.store.memory().held_bytes();
  EXPECT_GT(held, 0U);
  EXPECT_LE(held, w.store.memory().limit_bytes() / 4);
  w.client->call<native::SubscribeReply>(2, subscription("orders", 4));
  w.append(3, 1, batch_of());
  w.client->await<native::Delivery>(2);
  greedy.reset();
  w.client.reset();
  EXPECT_EQ(w.store.memory().held_bytes(), 0U);
}

struct Patient : Misbehaviour {
  Patient() : Misbehaviour(1u << 30) {}
};

TEST_F(Patient, AConnectionHasALimitOfPartitions) {
  ASSERT_TRUE(w.store.create_topic({"wide", 10'000, {}}));
  std::uint64_t id = 2;
  for (; id < 12; ++id) w.client->call<native::SubscribeReply>(id, subscription("wide", 10'000));
  EXPECT_EQ(w.client->call<Failure>(id, subscription("orders", 4)).code,
            ErrorCode::kTooManyPartitions);
}

/// Time for another connection's turn after each lookup, whatever one's share of time is.
constexpr auto kLong = 1s;

TEST_F(Patient, LongLookUpsLetOthersPass) {
  constexpr int kShare = 100;  // far more than a turn of each connection
  std::promise<void> asked;
  std::promise<void> answered;
  std::atomic<int> done = 0;
  w.store.set_find_offset(
      [&, is_asked = asked.get_future().share(), is_answered = answered.get_future().share()] {
        is_asked.wait();
        clock.advance(kLong);
        if (++done > kShare) is_answered.wait();
      });
  std::vector<std::unique_ptr<TestClient>> greedy;
  for (int i = 0; i < 5; ++i) {
    greedy.push_back(another());
    for (std::uint64_t id = 2; id < 5; ++id) {
      greedy.back()->feed(TestClient::frame(id, lookups(2'000)));
    }
  }
  w.client->feed(TestClient::frame(2, native::InitProducer{}));
  asked.set_value();
  w.client->await<native::InitProducerReply>(2);
  const std::uint64_t held = w.store.memory().held_bytes();
  EXPECT_GE(held, 5 * 3 * 2'000 * kPartitionCharge) << "queued jobs are paid for";
  greedy.clear();  // nobody wants the answers any more
  answered.set_value();
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (w.store.memory().held_bytes() > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_EQ(w.store.memory().held_bytes(), 0U);
  EXPECT_LT(done, 2 * kShare) << "dropped, not finished";
}

TEST_F(Patient, AConnectionsJobsStayInOrder) {
  w.store.set_find_offset([&] { clock.advance(kLong); });
  w.client->feed(TestClient::frame(2, lookups(20)) +
                 TestClient::frame(3, native::CreateTopic{"later", 1, {}, false}) +
                 TestClient::frame(4, native::DeleteTopic{"later"}));
  w.client->await<native::Done>(4);
  EXPECT_NE(w.client->find<native::ListOffsetsReply>(2), nullptr);
  EXPECT_NE(w.client->find<native::TopicsReply>(3), nullptr);
}

TEST_F(Patient, BusyPartitionsOfASubscriptionDoNotStarveTheOthers) {
  ASSERT_TRUE(w.store.create_topic({"wide", 600, {}}));
  native::Append append = w.append_to(0, 0);
  const std::string large = batch_of(500'000);
  append.partitions[0].target.topic = "wide";
  append.partitions[0].bytes = static_cast<std::uint32_t>(large.size());
  std::uint64_t id = 10;
  for (int round = 0; round < 4; ++round) {
    for (std::int32_t i = 0; i < 3; ++i) {
      append.partitions[0].target.partition = PartitionIndex(i);
      w.client->call<native::AppendReply>(++id, append, large);
    }
  }
  const std::string small = batch_of();
  append.partitions[0].target.partition = PartitionIndex(599);
  append.partitions[0].bytes = static_cast<std::uint32_t>(small.size());
  w.client->call<native::AppendReply>(++id, append, small);
  auto reader = another();
  native::Subscribe subscribe = subscription("wide", 600);
  subscribe.credit_bytes = 100u << 20;
  reader->call<native::SubscribeReply>(2, subscribe);
  std::map<std::int32_t, std::size_t> got;
  bool late = false;
  while (got[599] == 0) {
    const auto delivery = reader->await<native::Delivery>(2);
    ASSERT_FALSE(delivery.partitions.empty());
    for (const auto& p : delivery.partitions) got[p.target.partition.value()] += p.bytes;
    late = got[0] >= 4 * large.size();
  }
  EXPECT_FALSE(late) << "the quiet one came before all of the busy one";
  while (got[0] + got[1] + got[2] < 12 * large.size()) {
    for (const auto& p : reader->await<native::Delivery>(2).partitions) {
      got[p.target.partition.value()] += p.bytes;
    }
  }
}

}  // namespace
}  // namespace runnel::broker
