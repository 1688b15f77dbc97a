// Producing, consuming, seeking, subscribing: over a socket and over the embedded store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

using testing::ElementsAre;

INSTANTIATE_TEST_SUITE_P(Client, RealTest, testing::Values(Over::kNetwork, Over::kEmbedded),
                         over_name);

TEST_P(RealTest, WhatIsProducedIsConsumedWithEverythingInIt) {
  make_topic("t");
  auto producer = client->producer();
  const std::vector<Header> headers{{"kind", "gift"}, {"note", std::nullopt}};
  Message m = message("t", "hello");
  m.key = "k";
  m.headers = headers;
  m.timestamp = Time(1'700'000'000'123ms);
  const auto sent = producer.send(m).get();
  ASSERT_TRUE(sent) << sent.error().to_string();
  EXPECT_EQ(sent->offset, 0);
  EXPECT_EQ(sent->durability, Durability::synced);
  Message tombstone = message("t", "");
  tombstone.value = std::nullopt;
  ASSERT_TRUE(producer.send(tombstone).get());

  auto consumer = client->consumer();
  ASSERT_TRUE(consumer.assign({{{"t", 0}, Position::earliest()}}).get());
  std::vector<Batch> batches;
  std::vector<Record> records;
  ASSERT_TRUE(eventually([&] {
    auto batch = consumer.poll(1s).get();
    if (!batch) return false;
    batches.push_back(*batch);
    records.insert(records.end(), batch->begin(), batch->end());
    return records.size() == 2;
  }));
  EXPECT_EQ(records[0].topic, "t");
  EXPECT_EQ(records[0].key, "k");
  EXPECT_EQ(records[0].value, "hello");
  EXPECT_EQ(records[0].timestamp, *m.timestamp);
  ASSERT_EQ(records[0].headers.size(), 2U);
  EXPECT_EQ(records[0].headers[0].key, "kind");
  EXPECT_EQ(records[0].headers[0].value, "gift");
  EXPECT_FALSE(records[0].headers[1].value.has_value());
  EXPECT_EQ(records[1].offset, 1);
  EXPECT_FALSE(records[1].value.has_value());
}

TEST_P(RealTest, EveryCodecAndDurabilityArrives) {
  make_topic("t");
  int n = 0;
  for (const auto codec : {Compression::none, Compression::gzip, Compression::snappy,
                           Compression::lz4, Compression::zstd}) {
    for (const auto level : {Durability::none, Durability::written, Durability::synced}) {
      ProducerOptions options;
      options.compression = codec;
      options.durability = level;
      auto producer = client->producer(options);
      const auto sent = producer.send(message("t", std::to_string(n++))).get();
      ASSERT_TRUE(sent) << sent.error().to_string();
      EXPECT_EQ(sent->durability, level);
    }
  }
  EXPECT_EQ(read_all("t"), numbers(n));
}

TEST_P(RealTest, ThousandsOfRecordsKeepTheirOrderAndFlushWaitsForThem) {
  make_topic("t");
  ProducerOptions options;
  options.batch_bytes = 4096;
  auto producer = client->producer(options);
  std::atomic<int> answered = 0;
  constexpr int kCount = 5000;
  for (int i = 0; i < kCount; ++i) {
    producer.send(message("t", std::to_string(i)), [&](Outcome<Delivery> d) {
      if (d) ++answered;
    });
  }
  ASSERT_TRUE(producer.flush());
  EXPECT_EQ(answered, kCount);
  EXPECT_EQ(producer.stats().records_sent, static_cast<std::uint64_t>(kCount));
  EXPECT_EQ(producer.stats().buffered_bytes, 0U);
  EXPECT_EQ(read_all("t"), numbers(kCount));
}

TEST_P(RealTest, KeysGoWhereKafkasClientsPutThem) {
  make_topic("t", 4);
  auto producer = client->producer();
  for (const std::string key : {"21", "foobar", "abc", "donor-7"}) {
    Message m = message("t", "v");
    m.partition = std::nullopt;
    m.key = key;
    const auto sent = producer.send(m).get();
    ASSERT_TRUE(sent) << sent.error().to_string();
    EXPECT_EQ(sent->target.partition, partition_for_key(key, 4));
  }
}

TEST_P(RealTest, AnUnknownTopicIsSaidSo) {
  auto producer = client->producer();
  Message m = message("nowhere", "v");
  const auto sent = producer.send(m).get();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().errc(), Errc::unknown_topic);
  m.partition = std::nullopt;
  const auto routed = producer.send(m).get();
  ASSERT_FALSE(routed);
  EXPECT_EQ(routed.error().errc(), Errc::unknown_topic);
}

TEST_P(RealTest, SeekGoesBackForwardToTimesAndToTheEnd) {
  make_topic("t");
  auto producer = client->producer();
  for (int i = 0; i < 10; ++i) {
    const std::string value = std::to_string(i);
    Message m = message("t", value);
    m.timestamp = Time(std::chrono::milliseconds(1'000'000 + i * 1000));
    ASSERT_TRUE(producer.send(m).get());
  }
  auto consumer = client->consumer();
  const TopicPartition tp{"t", 0};
  ASSERT_TRUE(consumer.assign({{tp, Position::earliest()}}).get());
  const auto next = [&]() -> std::int64_t {
    auto batch = consumer.poll(10s).get();
    return batch && !batch->empty() ? (*batch)[0].offset : -1;
  };
  EXPECT_EQ(next(), 0);
  ASSERT_TRUE(consumer.seek(tp, Position::at(7)).get());
  EXPECT_EQ(consumer.position(tp), 7);
  EXPECT_EQ(next(), 7);
  ASSERT_TRUE(consumer.seek(tp, Position::since(Time(1'003'500ms))).get());
  EXPECT_EQ(next(), 4);
  ASSERT_TRUE(consumer.seek(tp, Position::since(Time(9'000'000ms))).get());
  EXPECT_EQ(consumer.position(tp), 10) << "every record is older: the end";
  ASSERT_TRUE(consumer.seek(tp, Position::latest()).get());
  auto pending = consumer.poll(10s);
  ASSERT_TRUE(producer.send(message("t", "new")).get());
  auto batch = pending.get();
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->size(), 1U);
  EXPECT_EQ((*batch)[0].offset, 10);
  const auto missing = consumer.seek({"t", 9}, Position::earliest()).get();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().errc(), Errc::not_found);
}

TEST_P(RealTest, APausedPartitionWaitsWhileTheOthersGoOn) {
  make_topic("t", 2);
  auto producer = client->producer();
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(producer.send(message("t", std::to_string(i), i % 2)).get());
  auto consumer = client->consumer();
  const TopicPartition zero{"t", 0};
  ASSERT_TRUE(consumer.assign({{zero, Position::at(3)}, {{"t", 1}, Position::earliest()}}).get());
  consumer.pause({zero});
  std::map<std::int32_t, std::vector<std::int64_t>> seen;
  const auto take = [&](std::size_t all) {
    return eventually([&] {
      auto batch = consumer.poll(100ms).get();
      if (!batch) return false;
      for (const auto& r : *batch) seen[r.partition].push_back(r.offset);
      return seen[0].size() + seen[1].size() >= all;
    });
  };
  ASSERT_TRUE(take(10));
  EXPECT_EQ(seen[1].size(), 10U);
  consumer.resume({zero});
  ASSERT_TRUE(take(17));
  EXPECT_THAT(seen[0], ElementsAre(3, 4, 5, 6, 7, 8, 9));
}

TEST_P(RealTest, PositionsThatNoLongerExistFollowTheResetPolicy) {
  make_topic("t");
  produce("t", 10);
  const TopicPartition tp{"t", 0};
  ASSERT_EQ(*client->admin().delete_records(tp, 6).get(), 6);
  for (const auto& [reset, expected] : std::vector<std::pair<Reset, std::vector<std::int64_t>>>{
           {Reset::earliest, {6, 7, 8, 9}}, {Reset::latest, {}}}) {
    ConsumerOptions options;
    options.reset = reset;
    auto consumer = client->consumer(options);
    ASSERT_TRUE(consumer.assign({{tp, Position::at(2)}}).get());
    std::vector<std::int64_t> seen;
    ASSERT_TRUE(eventually([&] {
      const auto batch = consumer.poll(10ms).get();
      if (!batch) return false;
      for (const auto& r : *batch) seen.push_back(r.offset);
      return consumer.position(tp) == 10;
    }));
    EXPECT_EQ(seen, expected);
  }
  ConsumerOptions strict;
  strict.reset = Reset::fail;
  auto consumer = client->consumer(strict);
  ASSERT_TRUE(consumer.assign({{tp, Position::at(2)}}).get());
  const auto refused = consumer.poll(10s).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::offset_out_of_range);
}

TEST_P(RealTest, ASubscriptionGetsEverythingOnceThoughItsCreditIsSmall) {
  make_topic("t", 2);
  std::mutex mutex;
  std::map<std::int32_t, std::vector<std::int64_t>> seen;
  std::size_t count = 0;
  std::condition_variable changed;
  SubscribeOptions options;
  options.credit_bytes = 300;
  options.partitions = {{{"t", 0}, Position::earliest()}, {{"t", 1}, Position::earliest()}};
  auto subscription = client
                          ->subscribe(options,
                                      [&](Outcome<Batch> batch) {
                                        ASSERT_TRUE(batch) << batch.error().to_string();
                                        const std::lock_guard lock(mutex);
                                        for (const auto& r : *batch)
                                          seen[r.partition].push_back(r.offset);
                                        count += batch->size();
                                        changed.notify_all();
                                      })
                          .get();
  ASSERT_TRUE(subscription) << subscription.error().to_string();
  auto producer = client->producer();
  for (int i = 0; i < 200; ++i) {
    auto sent = producer.send(message("t", std::string(100, 'x'), i % 2));
    if (i % 10 == 0) {
      ASSERT_TRUE(sent.get());
    }
  }
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 30s, [&] { return count >= 200; }));
    EXPECT_EQ(count, 200U);
    for (std::int32_t p : {0, 1}) {
      for (std::size_t i = 0; i < seen[p].size(); ++i)
        EXPECT_EQ(seen[p][i], static_cast<std::int64_t>(i));
    }
  }
  subscription->stop();
  ASSERT_TRUE(producer.send(message("t", "after")).get());
  ASSERT_TRUE(client->admin().statistics().get());  // a round trip behind it
  const std::lock_guard lock(mutex);
  EXPECT_EQ(count, 200U);
}

TEST_P(RealTest, ASubscriptionToAnUnknownTopicIsRefused) {
  SubscribeOptions options;
  options.partitions = {{{"nowhere", 0}, Position::at(0)}};
  std::atomic<int> calls = 0;
  const auto refused = client->subscribe(options, [&](Outcome<Batch>) { ++calls; }).get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::unknown_topic);
  EXPECT_EQ(calls, 0);
}

TEST_P(RealTest, AFetchOfOnesOwnGivesWholeBatchesAndDecodesThem) {
  make_topic("t");
  produce("t", 5);
  FetchRequest request;
  request.items = {{{"t", 0}, 2}, {{"none", 0}, 0}};
  const auto fetched = client->fetch(request).get();
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  ASSERT_EQ(fetched->size(), 2U);
  EXPECT_EQ((*fetched)[0].high_watermark, 5);
  const auto batch = (*fetched)[0].decode(2);
  ASSERT_TRUE(batch);
  ASSERT_FALSE(batch->empty());
  EXPECT_EQ((*batch)[0].offset, 2);
  ASSERT_TRUE((*fetched)[1].error);
  EXPECT_EQ((*fetched)[1].error->errc(), Errc::unknown_topic);
}

}  // namespace
}  // namespace runnel::client
