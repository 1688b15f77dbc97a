// What a broker refuses for a moment: clients go on by themselves, and do not press it.
#include <gtest/gtest.h>

#include <atomic>

#include "runnel/client.h"
#include "tests/client/fake_broker.h"

namespace runnel::client {
namespace {

struct HeldUpTest : testing::Test {
  void connect() {
    auto made = make_client(ClientOptions{}, broker->factory());
    ASSERT_TRUE(made);
    client.emplace(*made);
  }
  static native::Failure overloaded() {
    return {ErrorCode::kOverloaded, ErrorAction::kRetry, "no memory", {}};
  }
  std::shared_ptr<FakeBroker> broker = std::make_shared<FakeBroker>();
  std::optional<Client> client;
};

TEST_F(HeldUpTest, WhereToBeginIsAskedAgain) {
  auto listed = std::make_shared<std::atomic<int>>(0);
  auto fetches = std::make_shared<std::atomic<int>>(0);
  broker->serve_other =
      [listed, fetches](const native::Request& request) -> std::optional<native::Response> {
    if (std::holds_alternative<native::FetchGroupOffsets>(request)) {
      return native::GroupOffsetsReply{};
    }
    if (std::holds_alternative<native::ListOffsets>(request)) {
      if (++*listed <= 2) return overloaded();
      native::OffsetFound found;
      found.offset = Offset(7);
      return native::ListOffsetsReply{{found}};
    }
    const auto* fetch = std::get_if<native::Fetch>(&request);
    if (fetch == nullptr) return std::nullopt;
    EXPECT_EQ(fetch->partitions.front().offset, Offset(7));
    ++*fetches;
    return std::nullopt;
  };
  connect();
  ConsumerOptions options;
  options.group = "g";
  auto consumer = client->consumer(options);
  ASSERT_TRUE(consumer.assign_committed({{"t", 0}}).get());
  EXPECT_EQ(*listed, 3);
  EXPECT_EQ(consumer.position({"t", 0}), 7);
  static_cast<void>(consumer.poll(std::chrono::milliseconds(0)).get());
  EXPECT_EQ(*fetches, 1);
}

TEST_F(HeldUpTest, APartitionThatFailsForAMomentIsNotFetchedAllTheTime) {
  auto fetches = std::make_shared<std::atomic<int>>(0);
  broker->serve_other =
      [fetches](const native::Request& request) -> std::optional<native::Response> {
    const auto* fetch = std::get_if<native::Fetch>(&request);
    if (fetch == nullptr) return std::nullopt;
    ++*fetches;
    native::FetchedPartition p;
    p.target = fetch->partitions.front().target;
    p.error = ErrorCode::kOverloaded;
    return native::FetchReply{{p}};
  };
  connect();
  auto consumer = client->consumer({});
  ASSERT_TRUE(consumer.assign({{{"t", 0}, Position::at(0)}}).get());
  const auto batch = consumer.poll(std::chrono::milliseconds(350)).get();
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->empty());
  EXPECT_GE(*fetches, 1);
  EXPECT_LE(*fetches, 8) << "one each 100 ms, not one after the other";
}

TEST_F(HeldUpTest, ACommitGoesOnWhenTheBrokerHasForgottenItsNumbers) {
  connect();
  const auto commit = [&] {
    Transaction transaction;
    Message message;
    message.topic = "t";
    message.partition = 0;
    message.value = "v";
    transaction.add(message);
    return client->commit(transaction);
  };
  auto first = commit();
  const auto a1 = broker->next_append();
  ASSERT_TRUE(a1);
  broker->answer_stored(*a1, 0);
  ASSERT_TRUE(first.get());
  auto second = commit();
  const auto a2 = broker->next_append();
  ASSERT_TRUE(a2);
  EXPECT_EQ(a2->view().producer_id(), a1->view().producer_id());
  EXPECT_EQ(a2->view().base_sequence(), 1);
  broker->answer(
      a2->correlation,
      native::Failure{ErrorCode::kOutOfOrderSequence, ErrorAction::kPermanent, "behind", {}});
  const auto a3 = broker->next_append();
  ASSERT_TRUE(a3);
  EXPECT_NE(a3->view().producer_id(), a1->view().producer_id());
  EXPECT_EQ(a3->view().base_sequence(), 0);
  broker->answer_stored(*a3, 1);
  EXPECT_TRUE(second.get());
}

}  // namespace
}  // namespace runnel::client
