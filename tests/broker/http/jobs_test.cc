// What a topic's producers are, and what takes its time: /producers and /jobs.
#include <gmock/gmock.h>

#include <thread>

#include "protocol/record_batch/record_batch.h"
#include "storage/stats.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using storage::ProducerIdentity;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class HttpProducersTest : public HttpApiTest {
 protected:
  /// One record of the producer, in `partition`.
  void append(std::int32_t partition, const ProducerIdentity& producer, std::int32_t sequence,
              bool transactional = false) {
    protocol::BatchOptions options;
    options.producer_id = producer.id;
    options.producer_epoch = producer.epoch;
    options.base_sequence = sequence;
    options.transactional = transactional;
    protocol::BatchBuilder builder(options);
    builder.add({Timestamp(1'763'701'200'000), std::nullopt, "x", {}});
    storage::CommitRequest request;
    request.appends.push_back({store->partition("orders", PartitionIndex(partition)).value(),
                               builder.finish().value(),
                               {},
                               std::nullopt});
    const auto outcome = store->commit_and_wait(std::move(request));
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
  }
  /// "PARTITION:ID" of each.
  std::vector<std::string> listed(const boost::json::value& page) {
    std::vector<std::string> out;
    for (const auto& p : page.at("producers").as_array()) {
      out.push_back(std::to_string(p.at("partition").as_int64()) + ":" +
                    std::to_string(p.at("producer").as_int64()));
    }
    return out;
  }
  std::string name(std::int32_t partition, const ProducerIdentity& of) {
    return std::to_string(partition) + ":" + std::to_string(of.id.value());
  }

  const std::string producers = "/api/v1/topics/orders/producers";
};

TEST_F(HttpProducersTest, EachHasItsSequenceAndItsOpenTransaction) {
  const ProducerIdentity plain = store->new_producer().value();
  const ProducerIdentity careful = store->new_producer().value();
  append(0, plain, 0);
  append(0, plain, 1);
  append(2, careful, 0, true);
  const auto page = get(producers);
  EXPECT_THAT(listed(page), ElementsAre(name(0, plain), name(2, careful)));
  const auto& first = page.at("producers").at(0);
  EXPECT_EQ(first.at("epoch").as_int64(), 0);
  EXPECT_EQ(first.at("last_sequence").as_int64(), 1);
  EXPECT_TRUE(first.at("transaction").is_null());
  EXPECT_GT(first.at("last_seen").as_int64(), 0);
  EXPECT_EQ(page.at("producers").at(1).at("transaction").as_int64(), 0);
  EXPECT_TRUE(page.at("next").is_null());
  EXPECT_THAT(listed(get(producers + "?partition=2")), ElementsAre(name(2, careful)));
}

TEST_F(HttpProducersTest, PagesFollowEachOther) {
  const ProducerIdentity a = store->new_producer().value();
  const ProducerIdentity b = store->new_producer().value();
  append(0, a, 0);
  append(0, b, 0);
  append(2, a, 0);
  std::vector<std::string> all;
  std::string after;
  for (int pages = 0; pages < 5; ++pages) {
    const auto page = get(producers + "?limit=1" + after);
    for (std::string& one : listed(page)) all.push_back(std::move(one));
    if (page.at("next").is_null()) break;
    after = "&after=" + std::string(page.at("next").as_string());
  }
  EXPECT_THAT(all, ElementsAre(name(0, a), name(0, b), name(2, a)));
}

TEST_F(HttpProducersTest, APageLooksAtSomePartitionsOnly) {
  ASSERT_TRUE(store->create_topic({"wide", 65, {}}));
  const auto page = get("/api/v1/topics/wide/producers");
  ASSERT_TRUE(page.at("next").is_string());
  const std::string next(page.at("next").as_string());
  EXPECT_TRUE(next.starts_with("63:")) << next;
  EXPECT_TRUE(get("/api/v1/topics/wide/producers?after=" + next).at("next").is_null());
}

TEST_F(HttpProducersTest, WhatIsNotThereIsSaid) {
  EXPECT_EQ(client->call("GET", "/api/v1/topics/none/producers").status, 404u);
  EXPECT_EQ(client->call("GET", producers + "?partition=3").status, 404u);
  for (const char* bad : {"1", ":", "1:", "-1:2", "1:2x", "x"}) {
    EXPECT_EQ(client->call("GET", producers + "?after=" + bad).status, 400u) << bad;
  }
}

class HttpJobsTest : public HttpApiTest {
 protected:
  /// The only job of this kind.
  boost::json::value job(const std::string& kind) {
    boost::json::value found;
    const auto all = get("/api/v1/jobs");
    for (const auto& one : all.at("jobs").as_array()) {
      if (one.at("kind").as_string() != kind) continue;
      EXPECT_TRUE(found.is_null()) << kind;
      found = one;
    }
    EXPECT_FALSE(found.is_null()) << "no " << kind;
    return found.is_null() ? boost::json::value(boost::json::object()) : found;
  }
  void commit_place(std::int32_t partition, std::int64_t offset, const std::string& metadata) {
    storage::CommitRequest request;
    request.offsets.push_back({"runnel-replay.nightly", "orders", PartitionIndex(partition),
                               Offset(offset), LeaderEpoch(-1), metadata});
    ASSERT_TRUE(store->commit_and_wait(std::move(request)).result);
  }
};

TEST_F(HttpJobsTest, AReplayTellsWhatIsLeft) {
  commit_place(0, 3, "1 00000000000000aa 10 7");
  commit_place(1, 5, "1 00000000000000aa 5 7");
  const auto open = job("replay");
  EXPECT_EQ(open.at("name").as_string(), "nightly");
  EXPECT_EQ(open.at("topic").as_string(), "orders");
  EXPECT_EQ(open.at("state").as_string(), "open");
  EXPECT_EQ(open.at("left").as_int64(), 7);
  EXPECT_GT(open.at("changed").as_int64(), 0);
  commit_place(0, 10, "1 00000000000000aa 10 7");
  EXPECT_EQ(job("replay").at("state").as_string(), "done");
}

TEST_F(HttpJobsTest, PlacesThatNoReplayWroteAreNotCounted) {
  commit_place(0, 3, "");
  commit_place(1, 3, "2 aa 10 7");
  commit_place(2, 3, "1 aa");
  EXPECT_EQ(job("replay").at("left").as_int64(), 0);
}

TEST_F(HttpJobsTest, AnErasureIsFollowedToItsEnd) {
  post(records, R"([{"key":"ann","value":1},{"key":"bob","value":2}])");
  ASSERT_TRUE(store->erase_key("e-1", "orders", "ann"));
  const auto begun = job("erasure");
  EXPECT_EQ(begun.at("name").as_string(), "e-1");
  EXPECT_EQ(begun.at("topic").as_string(), "orders");
  EXPECT_GT(begun.at("began").as_int64(), 0);
  ASSERT_TRUE(store->run_maintenance());
  while (store->erasure("e-1").value().removed == kNoTimestamp) {
    ASSERT_TRUE(store->run_maintenance());
  }
  const auto removed = job("erasure");
  EXPECT_EQ(removed.at("done").as_int64(), 1);
  EXPECT_EQ(removed.at("state").as_string() == "done", removed.at("problem").is_null());
}

TEST_F(HttpJobsTest, AViewThatFailedSaysWhy) {
  post("/api/v1/sql",
       R"({"sql":"CREATE SOURCE s (a VARCHAR) ON TOPIC 'orders' FORMAT JSON; )"
       R"(CREATE MATERIALIZED VIEW v AS SELECT a, count(*) AS n FROM s GROUP BY a"})");
  ASSERT_TRUE(store->delete_topic("orders"));
  while (views->status().at(0).state != storage::views::ViewState::kFailed) {
    std::this_thread::yield();
  }
  const auto failed = job("view");
  EXPECT_EQ(failed.at("name").as_string(), "v");
  EXPECT_EQ(failed.at("state").as_string(), "failed");
  EXPECT_TRUE(failed.at("problem").is_string());
}

TEST_F(HttpJobsTest, FilesThatABackupHoldsAreTold) {
  EXPECT_THAT(client->call("GET", "/api/v1/jobs").body, Not(HasSubstr("\"backup\"")));
  ASSERT_TRUE(store->take_snapshot());
  EXPECT_EQ(job("backup").at("left").as_int64(), 1);
  EXPECT_EQ(store->stats().snapshots, 1u);
}

TEST_F(HttpJobsTest, TheCleanerIsAlwaysThere) {
  EXPECT_EQ(job("cleaner").at("state").as_string(), "idle");
  EXPECT_EQ(job("cleaner").at("left").as_int64(), 0);
}

}  // namespace
}  // namespace runnel::broker::http
