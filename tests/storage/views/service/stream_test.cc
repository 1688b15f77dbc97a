// INSERT INTO topic SELECT: each record that passes is there once, in order, whatever crashes.
#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

class StreamTest : public ServiceFixture {
 protected:
  void create_stream(const std::string& into = "big") {
    create(into);
    create_source();
    run("INSERT INTO " + into +
        " SELECT campaign, amount * 2 AS twice FROM donations WHERE amount >= 1");
  }
  void wait_caught_up() { ASSERT_TRUE(applied("big")); }
};

TEST_F(StreamTest, WhatPassesIsWritten) {
  give({donation("sea", 100), donation("sea", 99), "nonsense"});
  create_stream();
  protocol::BatchBuilder builder;
  const std::string sky = donation("sky", 350);
  builder.add({Timestamp(123), "k", sky, {}});
  builder.add({Timestamp(124), "k", std::nullopt, {}});
  ASSERT_TRUE(append("donations", *builder.finish(), 1).result);
  wait_caught_up();
  EXPECT_EQ(values("big"), (std::vector<std::string>{R"({"campaign":"sea","twice":2.00})",
                                                     R"({"campaign":"sky","twice":7.00})"}));
  const ViewStatus now = status("big");
  EXPECT_EQ(now.state, ViewState::kRunning);
  EXPECT_EQ(now.totals.records, 5u);
  EXPECT_EQ(now.totals.applied, 2u);
  EXPECT_EQ(now.totals.filtered, 2u);
  EXPECT_EQ(now.totals.errors, 1u);
  EXPECT_EQ(now.lag, 0u);
  EXPECT_EQ(values("__dlq.big"), std::vector<std::string>{"nonsense"});
  const auto info = store->partition_info(ref("big"));
  const auto fetched = store->fetch_and_wait({{{ref("big"), Offset(1), 1u << 20}}});
  auto reader = protocol::RecordReader::open(fetched[0].batches.bytes());
  const auto last = reader->next();
  EXPECT_EQ((*last)->key, "k");
  EXPECT_EQ((*last)->timestamp, Timestamp(123));
  EXPECT_EQ(info.high_watermark, Offset(2));
}

TEST_F(StreamTest, WhatMakesNoSenseIsRefused) {
  create_source();
  EXPECT_EQ(refused("INSERT INTO bigg SELECT campaign FROM donations"),
            "there is no topic 'bigg'; create it first");
  EXPECT_EQ(refused("INSERT INTO 'donations' SELECT campaign FROM donations"),
            "line 1, column 13: donations is the name of a SOURCE already");
  create("loop");
  run("CREATE SOURCE looped (campaign VARCHAR) ON TOPIC 'loop'");
  run("INSERT INTO loop SELECT campaign FROM donations");
  create("back");
  run("CREATE SOURCE returned (campaign VARCHAR) ON TOPIC 'back'");
  run("INSERT INTO back SELECT campaign FROM looped");
  run("DROP STREAM loop");
  EXPECT_EQ(refused("INSERT INTO loop SELECT campaign FROM returned"),
            "line 1, column 13: what is written to loop would be read from back again, for ever");
}

TEST_F(StreamTest, EachRecordIsThereOnceWhateverCrashes) {
  create_stream();
  std::vector<std::string> expected[2];
  for (int turn = 0; turn < 9; ++turn) {
    for (int i = 0; i < 6; ++i) {
      const std::string name = std::to_string(turn) + "." + std::to_string(i);
      give({donation(name, 100), donation("no", 1), "{"}, i % 2);
      expected[i % 2].push_back("{\"campaign\":\"" + name + "\",\"twice\":2.00}");
      if (i % 3 == turn % 3) wait_caught_up();
    }
    if (turn % 3 == 0) {
      kill();
    } else {
      cut_power(turn % 3 == 1 ? CutMode::kPrefix : CutMode::kDropAll);
    }
    wait_caught_up();
    std::vector<std::string> got[2];
    for (std::string& value : values("big")) {
      got[(value[value.find('.') + 1] - '0') % 2].push_back(std::move(value));
    }
    ASSERT_EQ(got[0], expected[0]) << turn;
    ASSERT_EQ(got[1], expected[1]) << turn;
    ASSERT_EQ(values("__dlq.big").size(), expected[0].size() + expected[1].size());
  }
  run("DROP STREAM big");
  EXPECT_TRUE(store->read_state("view-positions/")->empty());
}

TEST_F(StreamTest, AReplacedSourceGoesOnWhereItIs) {
  create_stream();
  give({donation("sea", 100)});
  wait_caught_up();
  run("CREATE OR REPLACE SOURCE donations (campaign VARCHAR, amount DECIMAL(12,3)) ON TOPIC "
      "'donations'");
  give({donation("sky", 100)});
  wait_caught_up();
  EXPECT_EQ(values("big"), (std::vector<std::string>{R"({"campaign":"sea","twice":2.00})",
                                                     R"({"campaign":"sky","twice":2.000})"}));
}

TEST_F(StreamTest, ItFailsLoudlyAndGoesOn) {
  create_stream();
  run("ALTER STREAM big PAUSE");
  give({donation("sea", 100)});
  give({donation("sky", 100)});
  ASSERT_TRUE(store->delete_records(ref("donations"), Offset(1)));
  run("ALTER STREAM big RESUME");
  const ViewStatus failed = wait_for("big", ViewState::kFailed);
  EXPECT_NE(failed.problem.find("partition 0: the records from offset 0 up to 0 were removed"),
            std::string::npos)
      << failed.problem;
  restart();
  EXPECT_EQ(status("big").state, ViewState::kFailed);
  run("ALTER STREAM big RESUME");
  wait_caught_up();
  EXPECT_EQ(values("big"), std::vector<std::string>{R"({"campaign":"sky","twice":2.00})"});
  ASSERT_TRUE(store->delete_topic("big"));
  give({donation("sky", 100)});
  wait_for("big", ViewState::kFailed);
}

}  // namespace
}  // namespace runnel::storage::views
