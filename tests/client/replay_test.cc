// Filters and replays: over a socket and over the embedded store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ReplayTest : public RealTest {
 protected:
  /// Values {"n":0} and so on; every third one has the key "third".
  void produce_numbers(const std::string& topic, int count, std::int32_t partition = 0) {
    auto producer = client->producer();
    std::vector<Pending<Delivery>> sent;
    for (int i = 0; i < count; ++i) {
      const std::string value = R"({"n":)" + std::to_string(i) + "}";
      Message m = message(topic, value, partition);
      if (i % 3 == 0) m.key = "third";
      sent.push_back(producer.send(m));
    }
    for (auto& s : sent) ASSERT_TRUE(s.get());
  }
  static std::string number(int n) { return R"({"n":)" + std::to_string(n) + "}"; }
  static ReplayOptions replay_of(std::int64_t to) {
    ReplayOptions options;
    options.ranges = {{{"a", 0}, 0, to}};
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Client, ReplayTest, testing::Values(Over::kNetwork, Over::kEmbedded),
                         over_name);

TEST_P(ReplayTest, AConsumerGetsWhatPassesAndItsPositionMovesOn) {
  make_topic("a");
  produce_numbers("a", 1000);
  ConsumerOptions options;
  options.filter = {"key=third", ".n>=990"};
  auto consumer = client->consumer(options);
  ASSERT_TRUE(consumer.assign({{{"a", 0}, Position::earliest()}}).get());
  std::vector<std::string> values;
  ASSERT_TRUE(eventually([&] {
    const auto batch = consumer.poll(100ms).get();
    if (!batch) return false;
    for (const auto& r : *batch) values.emplace_back(*r.value);
    return consumer.position({"a", 0}) == 1000;
  }));
  EXPECT_THAT(values, ElementsAre(number(990), number(993), number(996), number(999)));
}

TEST_P(ReplayTest, ABadFilterIsWhatPollAnswers) {
  make_topic("a");
  ConsumerOptions options;
  options.filter = {"key=third", ".n>=x"};
  auto consumer = client->consumer(options);
  ASSERT_TRUE(consumer.assign({{{"a", 0}, Position::earliest()}}).get());
  const auto batch = consumer.poll(10s).get();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().errc(), Errc::invalid_argument);
  EXPECT_THAT(batch.error().message(), HasSubstr("condition 2: at character 5"));
}

TEST_P(ReplayTest, AFetchSaysWhereToGoOn) {
  make_topic("a");
  produce_numbers("a", 10);
  FetchRequest request;
  request.items = {{{"a", 0}, 4}};
  request.filter = {".n=7"};
  const auto fetched = client->fetch(request).get();
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->front().next, 10);
  EXPECT_TRUE(fetched->front().filtered);
  const auto records = fetched->front().decode(4);
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 1u);
  EXPECT_EQ((*records)[0].offset, 7);
}

TEST_P(ReplayTest, IntoATopicEachRecordComesOnceHoweverOftenItIsCutOff) {
  make_topic("a");
  make_topic("b");
  produce_numbers("a", 3000);
  ReplayOptions options = replay_of(2999);
  options.filter = {"key=third"};
  options.name = "n";
  options.into = ReplayTarget{"b", false, ""};
  options.records_per_second = 5000;
  int runs = 0;
  ASSERT_TRUE(eventually([&] {
    std::uint64_t asked = 0;
    options.go_on = [&] { return ++asked < 6; };
    auto replay = Replay::open(*client, options);
    if (!replay) return false;
    EXPECT_EQ(replay->resumed(), runs > 0);
    ++runs;
    const auto done = replay->run();
    EXPECT_TRUE(done) << done.error().to_string();
    return replay->progress().complete;
  }));
  EXPECT_GT(runs, 1);
  std::vector<std::string> expected;
  for (int i = 0; i < 2999; i += 3) expected.push_back(number(i));
  EXPECT_EQ(read_all("b"), expected);
  auto again = Replay::open(*client, options);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->progress().total, 0u);
  options.plan = "another";
  const auto other = Replay::open(*client, options);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().errc(), Errc::invalid_argument);
}

TEST_P(ReplayTest, ASecondRunOfANameEndsTheFirst) {
  make_topic("a");
  make_topic("b");
  produce_numbers("a", 10);
  ReplayOptions options = replay_of(10);
  options.name = "n";
  options.into = ReplayTarget{"b", false, ""};
  auto first = Replay::open(*client, options);
  ASSERT_TRUE(first);
  auto second = Replay::open(*client, options);
  ASSERT_TRUE(second);
  const auto fenced = first->run();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().errc(), Errc::fenced);
  EXPECT_EQ(first->left().front().from, 0) << "nothing of it was written";
  EXPECT_FALSE(first->run()) << "what was not written is not passed over";
  ASSERT_TRUE(second->run());
  EXPECT_EQ(read_all("b").size(), 10u);
}

TEST_P(ReplayTest, AReceiverThatFailsGetsItsRecordAgain) {
  make_topic("a");
  produce_numbers("a", 5);
  ReplayOptions options = replay_of(5);
  options.name = "n";
  std::vector<std::int64_t> seen;
  bool fails = true;
  const auto receive = [&](std::span<const Record> records) -> Outcome<void> {
    EXPECT_EQ(records.size(), 1u);
    seen.push_back(records.front().offset);
    if (fails && seen.size() == 3) return Failure(Errc::io, "it is full");
    return {};
  };
  auto first = Replay::open(*client, options);
  ASSERT_TRUE(first);
  const auto failed = first->run(receive, Replay::Commit::every_record);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "it is full");
  fails = false;
  auto second = Replay::open(*client, options);
  ASSERT_TRUE(second);
  ASSERT_TRUE(second->run(receive, Replay::Commit::every_record));
  EXPECT_TRUE(second->progress().complete);
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 2, 3, 4));
}

TEST_P(ReplayTest, ARunThatIsToldToEndLeavesWhatItHasNotHandedOn) {
  constexpr int kCount = 2000;
  make_topic("a");
  produce_numbers("a", kCount);
  ReplayOptions options = replay_of(kCount);
  options.records_per_second = 5000;
  for (int nth = 1; nth <= 8; ++nth) {
    int asked = 0;
    options.go_on = [&] { return ++asked != nth; };  // once no, then yes again
    auto replay = Replay::open(*client, options);
    ASSERT_TRUE(replay);
    std::vector<std::int64_t> seen;
    const auto receive = [&](std::span<const Record> records) -> Outcome<void> {
      for (const Record& record : records) seen.push_back(record.offset);
      return {};
    };
    while (!replay->progress().complete) ASSERT_TRUE(replay->run(receive));
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(kCount)) << "no at question " << nth;
    for (int i = 0; i < kCount; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
  }
}

TEST_P(ReplayTest, TargetsThatCannotBeAreRefused) {
  make_topic("a", 2);
  make_topic("b");
  ReplayOptions options;
  options.ranges = {{{"a", 1}, 0, 0}};
  options.name = "n";
  for (const auto& [topic, errc] : {std::pair{"a", Errc::invalid_argument},
                                    {"b", Errc::invalid_argument},
                                    {"none", Errc::unknown_topic}}) {
    options.into = ReplayTarget{topic, false, ""};
    const auto replay = Replay::open(*client, options);
    ASSERT_FALSE(replay) << topic;
    EXPECT_EQ(replay.error().errc(), errc) << topic;
  }
  options.into.reset();
  auto replay = Replay::open(*client, options);
  ASSERT_TRUE(replay);
  EXPECT_FALSE(replay->run());
}

}  // namespace
}  // namespace runnel::client
