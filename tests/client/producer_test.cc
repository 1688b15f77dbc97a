#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "client/src/producer_core.h"
#include "runnel/client.h"
#include "tests/client/fake_broker.h"

namespace runnel::client {
namespace {

struct ProducerTest : testing::Test {
  ProducerTest() {
    auto made = make_client(ClientOptions{}, broker->factory());
    EXPECT_TRUE(made);
    client.emplace(*made);
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
  /// The first batch of a numbering is alone in flight; behind it the window is open.
  void establish(Producer& producer) {
    auto sent = producer.send(message("first"));
    const auto first = broker->next_append();
    ASSERT_TRUE(first);
    broker->answer_stored(*first, 0);
    ASSERT_TRUE(sent.get());
  }
  void refuse(const FakeBroker::Asked& asked, ErrorCode code, ErrorAction action) {
    broker->answer(asked.correlation, native::Failure{code, action, "refused", {}});
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
  establish(producer);
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  ASSERT_TRUE(a1);
  auto second = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(b1);
  EXPECT_EQ(a1->view().base_sequence(), 1);
  EXPECT_EQ(b1->view().base_sequence(), 2);
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
  establish(producer);
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  auto second = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(a1 && b1);
  refuse(*a1, ErrorCode::kOverloaded, ErrorAction::kRetry);
  refuse(*b1, ErrorCode::kOutOfOrderSequence, ErrorAction::kPermanent);
  const auto a2 = broker->next_append();
  const auto b2 = broker->next_append();
  ASSERT_TRUE(a2 && b2);
  EXPECT_EQ(a2->view().base_sequence(), 1);
  EXPECT_EQ(b2->view().base_sequence(), 2);
  EXPECT_EQ(b2->view().producer_epoch(), ProducerEpoch(0));
  broker->answer_stored(*a2, 0);
  broker->answer_stored(*b2, 1);
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
}

TEST_F(ProducerTest, BehindABatchThatWasGivenUpANewEpochBegins) {
  auto producer = client->producer();
  establish(producer);
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  auto second = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(a1 && b1);
  refuse(*a1, ErrorCode::kRecordTooLarge, ErrorAction::kPermanent);
  refuse(*b1, ErrorCode::kOutOfOrderSequence, ErrorAction::kPermanent);
  const auto b2 = broker->next_append();
  ASSERT_TRUE(b2);
  EXPECT_EQ(b2->view().base_sequence(), 0);
  EXPECT_EQ(b2->view().producer_id(), b1->view().producer_id());
  EXPECT_EQ(b2->view().producer_epoch(), ProducerEpoch(1));
  broker->answer_stored(*b2, 0);
  EXPECT_EQ(first.get().error().errc(), Errc::record_too_large);
  EXPECT_TRUE(second.get());
}

TEST_F(ProducerTest, UntilTheBrokerKnowsTheProducerOneBatchIsInFlight) {
  auto producer = client->producer();
  auto first = producer.send(message("a"));
  const auto a1 = broker->next_append();
  ASSERT_TRUE(a1);
  auto second = producer.send(message("b"));
  refuse(*a1, ErrorCode::kOverloaded, ErrorAction::kRetry);
  const auto a2 = broker->next_append();
  ASSERT_TRUE(a2);
  EXPECT_EQ(a2->batch, a1->batch) << "b must not overtake a";
  EXPECT_EQ(broker->waiting(), 0U);
  broker->answer_stored(*a2, 0);
  const auto b1 = broker->next_append();
  ASSERT_TRUE(b1);
  broker->answer_stored(*b1, 1);
  EXPECT_EQ(first.get()->offset, 0);
  EXPECT_EQ(second.get()->offset, 1);
}

TEST_F(ProducerTest, AProducerThatWasForgottenDoesNotResendWhatMayBeStored) {
  auto producer = client->producer();
  establish(producer);
  auto a = producer.send(message("a"));
  const auto a1 = broker->next_append();
  auto b = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(a1 && b1);
  broker->cut();  // both outcomes are unknown
  const auto a2 = broker->next_append();
  const auto b2 = broker->next_append();
  ASSERT_TRUE(a2 && b2);
  auto c = producer.send(message("c"));
  const auto c1 = broker->next_append();
  ASSERT_TRUE(c1);
  refuse(*a2, ErrorCode::kUnknownProducer, ErrorAction::kPermanent);
  refuse(*b2, ErrorCode::kUnknownProducer, ErrorAction::kPermanent);
  refuse(*c1, ErrorCode::kUnknownProducer, ErrorAction::kPermanent);
  const auto c2 = broker->next_append();
  ASSERT_TRUE(c2);
  EXPECT_NE(c2->view().producer_id(), a1->view().producer_id());
  EXPECT_EQ(c2->view().base_sequence(), 0);
  EXPECT_EQ(c2->view().record_count(), 1);
  broker->answer_stored(*c2, 5);
  for (auto* doubtful : {&a, &b}) {
    const auto outcome = doubtful->get();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().action(), Action::maybe_persisted);
  }
  EXPECT_EQ(c.get()->offset, 5) << "every attempt of c was refused: it may be sent again";
}

TEST_F(ProducerTest, GivingUpADoubtfulBatchNeverReusesItsNumbers) {
  auto producer = client->producer();
  establish(producer);
  auto a = producer.send(message("a"));
  const auto a1 = broker->next_append();
  ASSERT_TRUE(a1);
  broker->cut();
  const auto a2 = broker->next_append();
  ASSERT_TRUE(a2);
  auto b = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(b1);
  // a was stored by the first attempt, then its topic was deleted and made again.
  refuse(*a2, ErrorCode::kUnknownTopic, ErrorAction::kRefresh);
  refuse(*b1, ErrorCode::kOutOfOrderSequence, ErrorAction::kPermanent);
  const auto b2 = broker->next_append();
  ASSERT_TRUE(b2);
  EXPECT_NE(b2->view().producer_epoch(), a1->view().producer_epoch());
  broker->answer_stored(*b2, 1);
  EXPECT_EQ(a.get().error().action(), Action::maybe_persisted);
  EXPECT_TRUE(b.get());
}

TEST_F(ProducerTest, SequencesGoOnAtZeroBehindTheGreatest) {
  constexpr std::int32_t kLast = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(sequence_after(kLast, 1), 0);
  EXPECT_EQ(sequence_after(kLast - 2, 5), 2);
  EXPECT_EQ(sequence_after(7, 0), 7);
  auto keeper =
      std::make_shared<const Keeper>(std::make_shared<Core>(ClientOptions{}, broker->factory()));
  ASSERT_TRUE(keeper->core->connect_and_wait());
  Producer producer(std::make_shared<Producer::Impl>(
      keeper, std::make_shared<ProducerCore>(keeper->core, ProducerOptions{}, kLast)));
  auto a = producer.send(message("a"));
  const auto a1 = broker->next_append();
  ASSERT_TRUE(a1);
  broker->answer_stored(*a1, 0);
  ASSERT_TRUE(a.get());
  auto b = producer.send(message("b"));
  const auto b1 = broker->next_append();
  ASSERT_TRUE(b1);
  broker->answer_stored(*b1, 1);
  EXPECT_EQ(a1->view().base_sequence(), kLast);
  EXPECT_EQ(b1->view().base_sequence(), 0);
  EXPECT_TRUE(b.get());
}

TEST_F(ProducerTest, SendWaitsForRoomAndGivesUpInTime) {
  ProducerOptions options;
  options.buffer_bytes = 100;
  options.send_timeout = std::chrono::milliseconds(50);
  auto producer = client->producer(options);
  auto first = producer.send(message("a"));
  const auto a = broker->next_append();
  ASSERT_TRUE(a);
  const auto began = std::chrono::steady_clock::now();
  const auto refused = producer.send(message(std::string(100, 'b'))).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::overloaded);
  EXPECT_GE(std::chrono::steady_clock::now() - began, options.send_timeout);
  options.send_timeout = std::chrono::seconds(30);
  auto patient = client->producer(options);
  auto held = patient.send(message("c"));
  const auto c = broker->next_append();
  ASSERT_TRUE(c);
  std::thread answering([&] { broker->answer_stored(*c, 1); });
  auto waited = patient.send(message(std::string(100, 'd')));  // until c has its outcome
  answering.join();
  const auto d = broker->next_append();
  ASSERT_TRUE(d);
  broker->answer_stored(*d, 2);
  EXPECT_EQ(waited.get()->offset, 2);
  EXPECT_TRUE(held.get());
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

TEST_F(ProducerTest, WhatTheBrokerRefusesForIsSaidWhenTheTimeIsOver) {
  ProducerOptions options;
  options.buffer_bytes = 100;
  options.retry_backoff = std::chrono::milliseconds(1);
  options.delivery_timeout = std::chrono::milliseconds(300);
  auto producer = client->producer(options);
  auto first = producer.send(message("a"));
  for (int tries = 0; tries < 2; ++tries) {
    const auto a = broker->next_append();
    ASSERT_TRUE(a);
    broker->answer(
        a->correlation,
        native::Failure{ErrorCode::kLowSpace, ErrorAction::kRetry, "the disk is too full", {}});
  }
  // The second try came after the first refusal was read.
  const auto refused = producer.try_send(message(std::string(100, 'b'))).get();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("the disk is too full"), std::string::npos);
  const auto late = first.get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::timeout);
  EXPECT_NE(late.error().message().find("the disk is too full"), std::string::npos);
}

}  // namespace
}  // namespace runnel::client
