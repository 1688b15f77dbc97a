#include <gtest/gtest.h>

#include "runnel/client.h"
#include "tests/client/fake_broker.h"

namespace runnel::client {
namespace {

struct ProducerTest : testing::Test {
  ProducerTest() {
    auto core = std::make_shared<Core>(ClientOptions{}, broker->factory());
    EXPECT_TRUE(core->connect_and_wait());
    client.emplace(std::make_shared<Client::Impl>(Client::Impl{core}));
  }
  static Message message(std::string_view value) {
    Message m;
    m.topic = "t";
    m.value = value;
    m.partition = 0;
    return m;
  }
  static Message keyed(std::string_view value) {
    Message m = message(value);
    m.dedup = DedupKey{"s", "i", value, std::nullopt};
    return m;
  }
  std::shared_ptr<FakeBroker> broker = std::make_shared<FakeBroker>();
  std::optional<Client> client;
};

TEST(Murmur2, GivesKafkasValues) {
  EXPECT_EQ(murmur2("21"), -973932308);
  EXPECT_EQ(murmur2("foobar"), -790332482);
  EXPECT_EQ(murmur2("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(murmur2("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(murmur2("abc"), 479470107);
}

TEST_F(ProducerTest, ALostConnectionRepeatsTheSameSequencesInOrder) {
  auto producer = client->producer();
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  ASSERT_TRUE(a1);
  auto second = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(b1);
  EXPECT_EQ(a1->view().base_sequence(), 0);
  EXPECT_EQ(b1->view().base_sequence(), 1);
  broker->cut();
  const auto a2 = broker->next_append();
  const auto b2 = broker->next_append();
  ASSERT_TRUE(a2 && b2);
  EXPECT_EQ(a2->batch, a1->batch);
  EXPECT_EQ(b2->batch, b1->batch);
  broker->answer_stored(*b2, 8);  // answers may come in any order
  broker->answer_stored(*a2, 7);
  EXPECT_EQ(first.get()->offset, 7);
  EXPECT_EQ(second.get()->offset, 8);
}

TEST_F(ProducerTest, ARefusedBatchIsFollowedByItsSuccessorsAgain) {
  auto producer = client->producer();
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  auto second = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(a1 && b1);
  broker->answer(a1->correlation,
                 native::Failure{ErrorCode::kOverloaded, ErrorAction::kRetry, "full", {}});
  broker->answer(
      b1->correlation,
      native::Failure{ErrorCode::kOutOfOrderSequence, ErrorAction::kPermanent, "gap", {}});
  const auto a2 = broker->next_append();
  const auto b2 = broker->next_append();
  ASSERT_TRUE(a2 && b2);
  EXPECT_EQ(a2->view().base_sequence(), 0);
  EXPECT_EQ(b2->view().base_sequence(), 1);
  broker->answer_stored(*a2, 0);
  broker->answer_stored(*b2, 1);
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
}

TEST_F(ProducerTest, ABatchThatWasNotStoredLeavesNoGap) {
  auto producer = client->producer();
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  auto second = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(a1 && b1);
  broker->answer(a1->correlation,
                 native::Failure{ErrorCode::kRecordTooLarge, ErrorAction::kPermanent, "large", {}});
  broker->answer(
      b1->correlation,
      native::Failure{ErrorCode::kOutOfOrderSequence, ErrorAction::kPermanent, "gap", {}});
  const auto b2 = broker->next_append();
  ASSERT_TRUE(b2);
  EXPECT_EQ(b2->view().base_sequence(), 0);
  broker->answer_stored(*b2, 0);
  EXPECT_EQ(first.get().error().errc(), Errc::record_too_large);
  EXPECT_TRUE(second.get());
}

TEST_F(ProducerTest, DuplicatesAreTakenOutOfABatchAndReported) {
  ProducerOptions options;
  options.linger = std::chrono::milliseconds(50);
  auto producer = client->producer(options);
  auto x = producer.send(keyed("x"));
  auto y = producer.send(keyed("y"));
  const auto both = broker->next_append();
  ASSERT_TRUE(both);
  ASSERT_EQ(both->append.partitions[0].dedup.size(), 2U);
  EXPECT_EQ(both->view().producer_id(), kNoProducer);
  broker->answer(
      both->correlation,
      native::Failure{
          ErrorCode::kPartialDuplicate, ErrorAction::kPermanent, "", {{0, 0, Offset(3)}}});
  const auto rest = broker->next_append();
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->append.partitions[0].dedup.size(), 1U);
  EXPECT_EQ(rest->append.partitions[0].dedup[0].data_id, "y");
  broker->answer_stored(*rest, 9);
  const auto dx = x.get();
  EXPECT_TRUE(dx->duplicate);
  EXPECT_EQ(dx->offset, 3);
  const auto dy = y.get();
  EXPECT_FALSE(dy->duplicate);
  EXPECT_EQ(dy->offset, 9);
}

TEST_F(ProducerTest, AFullBufferRefusesAndThenTakesAgain) {
  ProducerOptions options;
  options.buffer_bytes = 100;
  auto producer = client->producer(options);
  auto first = producer.send(message("a"));
  const auto refused = producer.try_send(message(std::string(100, 'b'))).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::overloaded);
  const auto a = broker->next_append();
  ASSERT_TRUE(a);
  broker->answer_stored(*a, 0);
  EXPECT_TRUE(first.get());
  auto second = producer.try_send(message("c"));
  const auto c = broker->next_append();
  ASSERT_TRUE(c);
  broker->answer_stored(*c, 1);
  EXPECT_TRUE(second.get());
}

TEST_F(ProducerTest, NoAnswerEndsInATimeoutThatSaysItMayBeStored) {
  ProducerOptions options;
  options.delivery_timeout = std::chrono::milliseconds(100);
  auto producer = client->producer(options);
  const auto late = producer.send(message("a")).get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::timeout);
  EXPECT_EQ(late.error().action(), Action::maybe_persisted);
}

TEST_F(ProducerTest, DestructionCancelsWithoutWaiting) {
  std::optional<Pending<Delivery>> pending;
  {
    auto producer = client->producer();
    pending = producer.send(message("a"));
  }
  EXPECT_EQ(pending->get().error().errc(), Errc::cancelled);
}

}  // namespace
}  // namespace runnel::client
