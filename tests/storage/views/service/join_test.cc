// Facts joined with a table: the same rows live, after a restart and when built anew.
#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

class JoinTest : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceFixture::SetUp();
    create("campaigns", 1);
    run("CREATE SOURCE donations (campaign VARCHAR NOT NULL, amount DECIMAL(12,2), at TIMESTAMPTZ, "
        "WATERMARK FOR at AS at - INTERVAL '1 minute') ON TOPIC 'donations'");
    run("CREATE TABLE campaigns (campaign VARCHAR, country VARCHAR, PRIMARY KEY (campaign)) "
        "ON TOPIC 'campaigns'");
  }
  void create_view(const std::string& name, const std::string& join = "JOIN") {
    run("CREATE OR REPLACE MATERIALIZED VIEW " + name +
        " AS SELECT c.country, COUNT(*) AS n, SUM(d.amount) AS total FROM donations d " + join +
        " campaigns c ON d.campaign = c.campaign GROUP BY c.country");
  }
  void put_campaign(const std::string& campaign, const std::string& country, std::int64_t millis) {
    const std::string value =
        R"({"campaign":")" + campaign + R"(","country":")" + country + R"("})";
    protocol::NewRecord record;
    record.timestamp = Timestamp(millis);
    record.key = campaign;
    if (!country.empty()) record.value = value;
    protocol::BatchBuilder builder;
    builder.add(record);
    const auto outcome = append("campaigns", *builder.finish(), 0);
    ASSERT_TRUE(outcome.result) << outcome.result.error().to_string();
  }
  /// At a second of 1970.
  static std::string at(const std::string& campaign, int cents, int second) {
    std::string event = donation(campaign, cents);
    event.pop_back();
    return event + R"(,"at":"1970-01-01T00:00:)" + (second < 10 ? "0" : "") +
           std::to_string(second) + R"(Z"})";
  }
};

TEST_F(JoinTest, FactsMeetTheRowOfTheirTime) {
  put_campaign("sea", "AU", 10'000);
  create_view("by_country");
  give({at("sea", 100, 5), at("sea", 200, 15), at("sky", 1, 15)});
  catch_up();
  EXPECT_EQ(rows("by_country"), Rows{"AU | 2 | 3.00"}) << "before its first row, that row";
  put_campaign("sea", "NZ", 20'000);
  give({at("sea", 1000, 19), at("sea", 3000, 20)}, 1);
  catch_up();
  EXPECT_EQ(rows("by_country"), (Rows{"AU | 3 | 13.00", "NZ | 1 | 30.00"}));
  const ViewStatus now = status("by_country");
  EXPECT_EQ(now.totals.filtered, 1u) << "sky has no row";
  EXPECT_EQ(now.totals.records, now.totals.applied + now.totals.filtered);
}

TEST_F(JoinTest, BuiltAnewAndAfterARestartItIsTheSame) {
  put_campaign("sea", "AU", 10'000);
  create_view("live");
  give({at("sea", 100, 15)});
  catch_up();
  put_campaign("sea", "NZ", 20'000);
  put_campaign("sky", "US", 25'000);
  give({at("sea", 200, 21), at("sky", 300, 30)}, 1);
  catch_up();
  put_campaign("sky", "", 40'000);
  restart();
  give({at("sky", 5, 39), at("sky", 7, 41), at("sea", 11, 50)});
  catch_up();
  const Rows expected{"AU | 1 | 1.00", "NZ | 2 | 2.11", "US | 2 | 3.05"};
  EXPECT_EQ(rows("live"), expected);
  create_view("anew");
  catch_up();
  EXPECT_EQ(rows("anew"), expected);
}

TEST_F(JoinTest, ALeftJoinKeepsFactsWithoutARow) {
  put_campaign("sea", "AU", 0);
  create_view("by_country", "LEFT JOIN");
  give({at("sea", 100, 1), at("sky", 5, 1)});
  catch_up();
  EXPECT_EQ(rows("by_country"), (Rows{"AU | 1 | 1.00", "NULL | 1 | 0.05"}));
}

TEST_F(JoinTest, WhatIsCommittedBeforeAFactIsInTheTable) {
  create_view("by_country");
  for (int i = 0; i < 50; ++i) {
    const std::string name = "c" + std::to_string(i);
    put_campaign(name, "AU", i);
    give({at(name, 1, 1)}, i % 2);
  }
  catch_up();
  EXPECT_EQ(rows("by_country"), Rows{"AU | 50 | 0.50"});
}

TEST_F(JoinTest, VerifyAndExplainKnowOfIt) {
  put_campaign("sea", "AU", 0);
  create_view("by_country");
  give({at("sea", 100, 1), at("sky", 5, 1)});
  catch_up();
  const Answer verified = run("VERIFY by_country");
  ASSERT_EQ(verified.rows.size(), 1u);
  EXPECT_EQ(verified.rows[0][2].as_bigint(), 0) << "rows that differ";
  EXPECT_TRUE(verified.notices.empty());
  // A later row changes nothing for records of an earlier time ...
  put_campaign("sea", "NZ", 20'000);
  EXPECT_EQ(run("VERIFY by_country").rows[0][2].as_bigint(), 0);
  // ... but one that comes late, for a time when records met another.
  put_campaign("dry", "AU", 0);
  give({at("dry", 100, 30)});
  catch_up();
  put_campaign("dry", "NZ", 25'000);
  const Answer late = run("VERIFY by_country");
  EXPECT_EQ(late.rows[0][2].as_bigint(), 3) << "two rows, and how many groups there are";
  ASSERT_FALSE(late.notices.empty());
  EXPECT_NE(late.notices.back().find("a row that came later"), std::string::npos);
  const Answer shown = run("SHOW MATERIALIZED VIEWS");
  EXPECT_EQ(to_string(shown.rows[0][2]), "source donations, table campaigns");
  const Answer explained =
      run("EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT c.country, COUNT(*) FROM donations d "
          "JOIN campaigns c ON d.campaign = c.campaign GROUP BY c.country");
  std::string text;
  for (std::size_t i = 0; i < explained.rows.size(); ++i) {
    text += to_string(explained.rows[i][0]) + "\n";
  }
  EXPECT_NE(text.find("as of its event time"), std::string::npos) << text;
}

TEST_F(JoinTest, AStreamEnrichesRecordsByTheRowOfTheirTime) {
  create("enriched", 2);
  put_campaign("sea", "AU", 10'000);
  give({at("sea", 100, 5), at("sky", 1, 15)});
  const std::string statement =
      "INSERT INTO enriched SELECT d.campaign, c.country, d.amount FROM donations d JOIN "
      "campaigns c ON d.campaign = c.campaign WHERE c.country <> 'XX'";
  const Answer explained = run("EXPLAIN " + statement);
  std::string text;
  for (std::size_t i = 0; i < explained.rows.size(); ++i) {
    text += to_string(explained.rows[i][0]) + "\n";
  }
  EXPECT_NE(text.find("as of its event time"), std::string::npos) << text;
  run(statement);
  catch_up("enriched");
  put_campaign("sea", "NZ", 20'000);
  put_campaign("off", "XX", 20'000);
  kill();
  give({at("sea", 300, 19), at("off", 1, 25), at("sea", 400, 21)});
  catch_up("enriched");
  EXPECT_EQ(values("enriched"),
            (std::vector<std::string>{R"({"campaign":"sea","country":"AU","amount":1.00})",
                                      R"({"campaign":"sea","country":"AU","amount":3.00})",
                                      R"({"campaign":"sea","country":"NZ","amount":4.00})"}));
  const ViewStatus now = status("enriched");
  EXPECT_EQ(now.totals.filtered, 2u) << "without a row, and what WHERE leaves out";
  EXPECT_EQ(now.totals.records, now.totals.applied + now.totals.filtered);
  EXPECT_NE(refused("INSERT INTO campaigns SELECT d.campaign, c.country FROM donations d LEFT JOIN "
                    "campaigns c ON d.campaign = c.campaign")
                .find("campaigns"),
            std::string::npos)
      << "what it writes would change what it reads";
  ASSERT_TRUE(store->delete_topic("campaigns"));
  give({at("sea", 400, 21)});
  wait_for("enriched", ViewState::kFailed);
}

TEST_F(JoinTest, AViewWhoseTableIsGoneFails) {
  put_campaign("sea", "AU", 0);
  create_view("by_country");
  ASSERT_TRUE(store->delete_topic("campaigns"));
  give({at("sea", 100, 1)});
  const Status applied_now = applied("by_country");
  ASSERT_FALSE(applied_now);
  EXPECT_NE(applied_now.error().message().find("campaigns"), std::string::npos)
      << applied_now.error().message();
}

TEST_F(JoinTest, ATableThatIsReplacedBuildsItsViewsAnew) {
  put_campaign("sea", "AU", 0);
  create_view("by_country");
  give({at("sea", 100, 1)});
  catch_up();
  run("CREATE OR REPLACE TABLE campaigns (campaign VARCHAR, country VARCHAR PATH '$.campaign', "
      "PRIMARY KEY (campaign)) ON TOPIC 'campaigns'");
  wait_until([&] { return rows("by_country") == Rows{"sea | 1 | 1.00"}; });
}

}  // namespace
}  // namespace runnel::storage::views
