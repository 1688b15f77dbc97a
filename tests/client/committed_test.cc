// Kafka's producers may write in transactions. Native consumers get what was committed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "protocol/record_batch/control_record.h"
#include "protocol/record_batch/record_batch.h"
#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

using testing::ElementsAre;

class CommittedTest : public RealFixture {
 protected:
  void SetUp() override {
    connect_client();
    make_topic("t");
    producer = broker->store().new_producer().value();
  }
  storage::PartitionRef partition() {
    return broker->store().partition("t", PartitionIndex(0)).value();
  }
  /// A record of the producer's transaction.
  void write(std::string_view value) {
    protocol::BatchOptions options;
    options.producer_id = producer.id;
    options.producer_epoch = producer.epoch;
    options.base_sequence = sequence++;
    options.transactional = true;
    protocol::BatchBuilder builder(options);
    builder.add({Timestamp(1), std::nullopt, value});
    storage::CommitRequest request;
    request.appends.push_back({partition(), *builder.finish(), {}, std::nullopt});
    ASSERT_TRUE(broker->store().commit_and_wait(std::move(request)).result);
  }
  void end(bool commit) {
    storage::CommitRequest request;
    request.markers.push_back({partition(), producer, commit, 0});
    ASSERT_TRUE(broker->store().commit_and_wait(std::move(request)).result);
  }

  storage::ProducerIdentity producer;
  std::int32_t sequence = 0;
};

TEST_F(CommittedTest, ConsumersGetCommittedRecordsOnly) {
  write("a");  // 0
  end(true);   // 1
  write("b");  // 2
  produce("t", 1);
  end(false);  // 4
  write("c");  // 5
  produce("t", 1, 7);
  EXPECT_THAT(read_all("t"), ElementsAre("a", "0")) << "what is open waits, and all behind it";
  end(true);  // 7
  EXPECT_THAT(read_all("t"), ElementsAre("a", "0", "c", "7"));
  const auto state = client->admin().describe_topics({"t"}).get();
  ASSERT_TRUE(state);
  EXPECT_EQ((*state)[0].partitions[0].high_watermark, 8);
}

TEST_F(CommittedTest, TheEndIsWhatCanBeRead) {
  write("a");
  end(true);
  write("b");
  const auto state = client->admin().describe_topics({"t"}).get();
  ASSERT_TRUE(state);
  EXPECT_EQ((*state)[0].partitions[0].high_watermark, 2);
  const auto latest = client->admin().list_offsets({{{"t", 0}}}).get();
  ASSERT_TRUE(latest);
  EXPECT_EQ((*latest)[0].offset, 2);
  FetchRequest request;
  request.items = {{{"t", 0}, 0}};
  const auto fetched = client->fetch(request).get();
  ASSERT_TRUE(fetched);
  EXPECT_EQ((*fetched)[0].high_watermark, 2);
}

TEST_F(CommittedTest, AFetchOfOnesOwnTellsWhatWasAborted) {
  write("a");
  end(false);
  write("b");
  end(true);
  FetchRequest request;
  request.items = {{{"t", 0}, 0}};
  const auto fetched = client->fetch(request).get();
  ASSERT_TRUE(fetched);
  ASSERT_EQ((*fetched)[0].aborted.size(), 1U);
  EXPECT_EQ((*fetched)[0].aborted[0].producer, producer.id.value());
  EXPECT_EQ((*fetched)[0].aborted[0].first, 0);
  const auto batch = (*fetched)[0].decode(0);
  ASSERT_TRUE(batch) << batch.error().to_string();
  ASSERT_EQ(batch->size(), 1U);
  EXPECT_EQ((*batch)[0].value, "b");
  EXPECT_EQ((*batch)[0].offset, 2);
}

TEST_F(CommittedTest, SubscriptionsAreToldWhenATransactionIsCommitted) {
  SubscribeOptions options;
  options.partitions = {{{"t", 0}, Position::at(0)}};
  std::promise<void> ended;
  std::vector<std::string> values;  // of the client's loop until `ended`
  auto subscribed = client->subscribe(options, [&](Outcome<Batch> batch) {
    ASSERT_TRUE(batch) << batch.error().to_string();
    for (const auto& r : *batch) values.emplace_back(r.value.value_or(""));
    if (!values.empty() && values.back() == "last") ended.set_value();
  });
  auto subscription = subscribed.get();
  ASSERT_TRUE(subscription) << subscription.error().to_string();
  write("a");
  write("b");
  end(true);
  write("aborted");
  end(false);
  write("last");
  end(true);
  ended.get_future().get();
  EXPECT_THAT(values, ElementsAre("a", "b", "last"));
}

}  // namespace
}  // namespace runnel::client
