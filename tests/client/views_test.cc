// Views through the client, over a broker and over the embedded store.
#include "runnel/views.h"

#include <sys/wait.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

constexpr const char* kSource =
    "CREATE SOURCE gifts (campaign VARCHAR NOT NULL, amount DECIMAL(12,2) NOT NULL) "
    "ON TOPIC 'donations' FORMAT JSON;";
constexpr const char* kTotals =
    "CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS n, sum(amount) AS total "
    "FROM gifts GROUP BY campaign;";

std::string gift(const std::string& campaign, const std::string& amount) {
  return R"({"campaign":")" + campaign + R"(","amount":")" + amount + R"("})";
}

/// What a subscription told, applied.
class Told {
 public:
  void put(Outcome<ViewChange> change) {
    const std::lock_guard lock(mutex_);
    if (!change) {
      failure_ = change.error();
    } else {
      if (change->kind == ViewChange::Kind::reset) {
        ++resets_;
        totals_.clear();
      }
      for (std::size_t i = 0; i < change->marks.size(); ++i) {
        const auto& mark = change->marks[i];
        if (mark.change == RowChange::deleted) {
          totals_.erase(mark.key);
        } else {
          history_.push_back(change->rows[i].scaled("total", 2).value_or(-1));
          totals_[mark.key] = {change->rows[i].get<std::string>("campaign").value_or("NULL"),
                               change->rows[i].scaled("total", 2).value_or(-1)};
        }
      }
      if (!change->more) place_ = ViewSubscribeOptions::After{change->generation, change->sequence};
      ++changes_;
    }
    news_.notify_all();
  }
  using Totals = std::map<std::string, std::int64_t>;
  [[nodiscard]] bool wait_for(const Totals& totals) {
    std::unique_lock lock(mutex_);
    return news_.wait_for(lock, 30s, [&] { return by_name() == totals; });
  }
  [[nodiscard]] std::optional<Failure> wait_for_failure() {
    std::unique_lock lock(mutex_);
    news_.wait_for(lock, 30s, [&] { return failure_.has_value(); });
    return failure_;
  }
  [[nodiscard]] ViewSubscribeOptions::After place() {
    const std::lock_guard lock(mutex_);
    return place_;
  }
  /// Every total that was told, in order.
  [[nodiscard]] std::vector<std::int64_t> history() {
    const std::lock_guard lock(mutex_);
    return history_;
  }
  [[nodiscard]] int resets() {
    const std::lock_guard lock(mutex_);
    return resets_;
  }

 private:
  [[nodiscard]] Totals by_name() const {
    Totals out;
    for (const auto& [key, total] : totals_) out.insert(total);
    return out;
  }
  std::mutex mutex_;
  std::condition_variable news_;
  std::map<std::string, std::pair<std::string, std::int64_t>> totals_;
  std::vector<std::int64_t> history_;
  std::optional<Failure> failure_;
  ViewSubscribeOptions::After place_;
  int resets_ = 0;
  int changes_ = 0;
};

class ViewsTest : public RealTest {
 protected:
  void SetUp() override {
    RealTest::SetUp();
    make_topic("donations", 2);
    const auto made = client->views().sql(std::string(kSource) + kTotals).get();
    ASSERT_TRUE(made) << made.error().to_string();
    ASSERT_EQ(made->size(), 2U);
    EXPECT_EQ(made->back().tag, "CREATE MATERIALIZED VIEW");
  }
  /// Writes and answers when the views have it.
  Committed give(std::vector<std::pair<std::string, std::string>> gifts) {
    Transaction t;
    for (const auto& [campaign, amount] : gifts) {
      const std::string value = gift(campaign, amount);
      t.add(message("donations", value, partition_for_key(campaign, 2)));
    }
    auto done = client->commit(t.wait_applied()).get();
    EXPECT_TRUE(done) << done.error().to_string();
    if (!done) return {};
    EXPECT_TRUE(done->applied);
    return *done;
  }
  ViewSubscription follow(const std::shared_ptr<Told>& told, ViewSubscribeOptions options) {
    auto subscription =
        client->views()
            .subscribe(std::move(options),
                       [told](Outcome<ViewChange> change) { told->put(std::move(change)); })
            .get();
    EXPECT_TRUE(subscription) << subscription.error().to_string();
    return subscription ? *subscription : ViewSubscription();
  }
};
INSTANTIATE_TEST_SUITE_P(Client, ViewsTest, testing::Values(Over::kNetwork, Over::kEmbedded),
                         over_name);

TEST_P(ViewsTest, OnesOwnWritesAreReadWithTheirTypes) {
  give({{"sea", "12.30"}, {"owls", "5"}, {"sea", "0.01"}});
  const auto answer =
      client->views().query("SELECT campaign, n, total FROM totals ORDER BY campaign").get();
  ASSERT_TRUE(answer) << answer.error().to_string();
  ASSERT_EQ(answer->rows.size(), 2U);
  const auto& columns = answer->rows.columns();
  ASSERT_EQ(columns.size(), 3U);
  EXPECT_EQ(columns[0].role, ColumnRole::dimension);
  EXPECT_EQ(columns[2].role, ColumnRole::measure);
  EXPECT_EQ(columns[2].type, "DECIMAL(38,2)");
  const ViewRow sea = answer->rows[1];
  EXPECT_EQ(sea.get<std::string>("campaign"), "sea");
  EXPECT_EQ(sea.get<std::int64_t>("n"), 2);
  EXPECT_EQ(sea.text("total"), "12.31");
  EXPECT_EQ(sea.scaled("total", 2), 1231);
  EXPECT_EQ(sea.scaled("total", 3), 12310);
  EXPECT_EQ(sea.scaled("total", 1), std::nullopt);  // a cent would be lost
  EXPECT_EQ(sea.get<std::int64_t>("total"), std::nullopt);
  EXPECT_EQ(sea.get<std::int64_t>("nothing"), std::nullopt);
  EXPECT_EQ(sea.get<bool>("n"), std::nullopt);
  EXPECT_FALSE(answer->positions.empty());
  EXPECT_GT(answer->sequence, 0U);
}

TEST_P(ViewsTest, EveryTypeIsRead) {
  const auto answer = client->views()
                          .query(
                              "SELECT TRUE AS b, 1.5e0 AS d, TIMESTAMP '2026-03-29 "
                              "01:30:00.250Z' AS t, DATE '2026-03-29' AS day, NULL AS nil")
                          .get();
  ASSERT_TRUE(answer) << answer.error().to_string();
  const ViewRow row = answer->rows[0];
  EXPECT_EQ(row.get<bool>("b"), true);
  EXPECT_EQ(row.get<double>("d"), 1.5);
  const Time day = std::chrono::sys_days(std::chrono::year(2026) / 3 / 29);
  EXPECT_EQ(row.get<Time>("day"), day);
  EXPECT_EQ(row.get<Time>("t"), day + 90min + 250ms);
  EXPECT_EQ(row.text("nil"), std::nullopt);
  EXPECT_EQ(row.get<Time>("b"), std::nullopt);
}

TEST_P(ViewsTest, OneGroupIsFoundByItsKey) {
  give({{"sea", "12.30"}});
  auto views = client->views();
  const auto sea = views.get("totals", {"sea"}).get();
  ASSERT_TRUE(sea) << sea.error().to_string();
  ASSERT_EQ(sea->rows.size(), 1U);
  EXPECT_EQ(sea->rows[0].text("total"), "12.30");
  const auto none = views.get("totals", {"bees"}).get();
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->rows.empty());
  EXPECT_TRUE(views.get("totals", {std::nullopt}).get());
  const auto wrong = views.get("totals", {"a", "b"}).get();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().errc(), Errc::invalid_argument);
  const auto nowhere = views.get("total", {"a"}).get();
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().errc(), Errc::not_found);
}

TEST_P(ViewsTest, ManyPointQueriesAtOnceAreEachAnsweredWithTheirOwn) {
  std::vector<std::pair<std::string, std::string>> gifts;
  for (int i = 0; i < 100; ++i) gifts.emplace_back("c" + std::to_string(i), std::to_string(i));
  give(std::move(gifts));
  std::vector<Pending<ViewAnswer>> asked;
  for (int i = 0; i < 3000; ++i) {
    asked.push_back(client->views().get("totals", {"c" + std::to_string(i % 100)}));
  }
  for (int i = 0; i < 3000; ++i) {
    const auto answer = asked[static_cast<std::size_t>(i)].get();
    ASSERT_TRUE(answer) << answer.error().to_string();
    ASSERT_EQ(answer->rows.size(), 1U);
    EXPECT_EQ(answer->rows[0].scaled("total", 0), i % 100);
  }
}

TEST_P(ViewsTest, WaitsEndWhenTheViewIsThereOrInTime) {
  const auto done = give({{"sea", "1"}});
  const auto& at = done.deliveries.front();
  auto views = client->views();
  EXPECT_TRUE(views.wait_applied({{at.target, at.offset + 1}}, "totals").get());
  const auto late = views.wait_applied({{at.target, at.offset + 2}}, "totals", 50ms).get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().errc(), Errc::timeout);
  ViewQueryOptions options;
  options.wait = {{at.target, at.offset + 2}};
  options.timeout = 30s;
  auto waiting = views.query("SELECT total FROM totals", options);
  EXPECT_FALSE(waiting.get_for(50ms));
  EXPECT_FALSE(waiting.ready());
  auto producer = client->producer();
  const std::string value = gift("sea", "2");
  EXPECT_TRUE(producer.send(message("donations", value, at.target.partition)).get());
  const auto answer = waiting.get();
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->rows[0].text("total"), "3.00");
  EXPECT_FALSE(views.wait_applied({}, "totals").get());
}

TEST_P(ViewsTest, AProducersRecordsAreAppliedWhenItIsTold) {
  ProducerOptions options;
  options.applied_timeout = 20s;
  auto producer = client->producer(options);
  for (int i = 1; i <= 5; ++i) {
    const std::string value = gift("sea", "1");
    const auto sent = producer.send(message("donations", value)).get();
    ASSERT_TRUE(sent) << sent.error().to_string();
    EXPECT_TRUE(sent->applied);
    const auto now = client->views().get("totals", {"sea"}).get();
    ASSERT_TRUE(now);
    ASSERT_EQ(now->rows.size(), 1U);
    EXPECT_EQ(now->rows[0].get<std::int64_t>("n"), i);
  }
}

TEST_P(ViewsTest, APausedViewIsNotWaitedForUnlessItIsNamed) {
  ASSERT_TRUE(client->views().sql("ALTER MATERIALIZED VIEW totals PAUSE").get());
  const auto done = give({{"sea", "1"}});
  const auto& at = done.deliveries.front();
  const auto named = client->views().wait_applied({{at.target, at.offset + 1}}, "totals", 5s).get();
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().errc(), Errc::timeout) << named.error().to_string();
}

TEST_P(ViewsTest, AQueryMayNotChangeAnything) {
  const auto refused = client->views().query("DROP MATERIALIZED VIEW totals").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc(), Errc::invalid_argument);
  EXPECT_TRUE(client->views().query("SELECT * FROM totals").get());
  const auto two = client->views().query("SELECT 1; SELECT 2").get();
  EXPECT_FALSE(two);
}

TEST_P(ViewsTest, ErrorsNameThePlaceAndTheConnectionGoesOn) {
  auto views = client->views();
  const auto wrong = views.query("SELECT campain\nFROM totals").get();
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message().find("line 1, column 8"), std::string::npos)
      << wrong.error().message();
  EXPECT_FALSE(views.sql(std::string(200'000, 'x')).get());
  EXPECT_FALSE(views.sql("").get() && views.sql("").get()->size() > 0);
  EXPECT_FALSE(views.subscribe({}, [](Outcome<ViewChange>) {}).get());
  EXPECT_TRUE(views.query("SELECT 1").get());
}

TEST_P(ViewsTest, TheListTellsStateAndCounters) {
  give({{"sea", "1"}, {"sea", "2"}});
  const auto list = client->views().list().get();
  ASSERT_TRUE(list) << list.error().to_string();
  ASSERT_EQ(list->size(), 1U);
  const ViewState& totals = list->front();
  EXPECT_EQ(totals.kind, ViewState::Kind::view);
  EXPECT_EQ(totals.name, "totals");
  EXPECT_EQ(totals.state, ViewState::State::running);
  EXPECT_EQ(totals.lag, 0U);
  ASSERT_FALSE(totals.counters.empty());
  EXPECT_EQ(totals.counters[0].name, "records");
  EXPECT_EQ(totals.counters[0].value, 2U);
}

TEST_P(ViewsTest, ASubscriberHasTheRowsAndThenEveryChange) {
  give({{"sea", "1"}, {"owls", "2"}});
  const auto told = std::make_shared<Told>();
  auto subscription = follow(told, {.view = "totals", .where = "", .statement = "", .after = {}});
  EXPECT_TRUE(told->wait_for({{"sea", 100}, {"owls", 200}}));
  give({{"sea", "0.50"}, {"bees", "7"}});
  EXPECT_TRUE(told->wait_for({{"sea", 150}, {"owls", 200}, {"bees", 700}}));
  subscription.stop();
  const auto place = told->place();
  give({{"sea", "1"}});
  // Another one goes on there: it is told of nothing else.
  const auto more = std::make_shared<Told>();
  ViewSubscribeOptions options;
  options.view = "totals";
  options.after = place;
  auto again = follow(more, options);
  EXPECT_TRUE(more->wait_for({{"sea", 250}}));
  EXPECT_EQ(more->resets(), 0);
}

TEST_P(ViewsTest, WhoWantsEveryChangeMissesNone) {
  give({{"sea", "1"}});
  ViewSubscribeOptions options;
  options.view = "totals";
  options.mode = ViewSubscribeOptions::Mode::changes;
  const auto told = std::make_shared<Told>();
  auto subscription = follow(told, options);
  EXPECT_TRUE(told->wait_for({{"sea", 100}}));
  subscription.stop();
  for (int i = 0; i < 5; ++i) give({{"sea", "1"}});
  const auto more = std::make_shared<Told>();
  options.after = told->place();
  auto again = follow(more, options);
  EXPECT_TRUE(more->wait_for({{"sea", 600}}));
  EXPECT_EQ(more->history(), (std::vector<std::int64_t>{200, 300, 400, 500, 600}));
  EXPECT_EQ(more->resets(), 0);
}

TEST_P(ViewsTest, ASubscriptionWithLittleCreditGetsEverythingAllTheSame) {
  std::vector<std::pair<std::string, std::string>> gifts;
  Told::Totals totals;
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "campaign number " + std::to_string(i);
    gifts.emplace_back(name, "1.5");
    totals[name] = 150;
  }
  give(std::move(gifts));
  const auto told = std::make_shared<Told>();
  ViewSubscribeOptions options;
  options.view = "totals";
  options.credit_bytes = 1;
  auto subscription = follow(told, options);
  EXPECT_TRUE(told->wait_for(totals));
  give({{"campaign number 7", "1"}});
  totals["campaign number 7"] = 250;
  EXPECT_TRUE(told->wait_for(totals));
}

TEST_P(ViewsTest, AReplacedViewResetsAndADroppedOneEnds) {
  give({{"sea", "1"}});
  const auto told = std::make_shared<Told>();
  ViewSubscribeOptions options;
  options.statement = "SUBSCRIBE TO totals";
  auto subscription = follow(told, options);
  EXPECT_TRUE(told->wait_for({{"sea", 100}}));
  std::string twice = kTotals;
  twice.replace(0, 6, "CREATE OR REPLACE");
  twice.replace(twice.find("sum(amount)"), 11, "2 * sum(amount)");
  const auto replaced = client->views().sql(twice).get();
  ASSERT_TRUE(replaced) << replaced.error().to_string();
  EXPECT_TRUE(told->wait_for({{"sea", 200}}));
  EXPECT_EQ(told->resets(), 1);
  ASSERT_TRUE(client->views().sql("DROP MATERIALIZED VIEW totals").get());
  const auto end = told->wait_for_failure();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->errc(), Errc::not_found);
}

TEST_P(ViewsTest, AFilterThatDoesNotFitEndsTheSubscription) {
  const auto told = std::make_shared<Told>();
  ViewSubscribeOptions options;
  options.view = "totals";
  options.where = "campain = 'sea'";
  auto subscription = follow(told, options);
  const auto end = told->wait_for_failure();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->errc(), Errc::invalid_argument);
  EXPECT_NE(end->message().find("campaign"), std::string::npos) << end->message();
}

class ViewsOverNetworkTest : public RealFixture {
 protected:
  void SetUp() override {
    connect_client();
    make_topic("donations", 1);
    ASSERT_TRUE(client->views().sql(std::string(kSource) + kTotals).get());
  }
  void give(const std::string& campaign, const std::string& amount) {
    Transaction t;
    const std::string value = gift(campaign, amount);
    t.add(message("donations", value));
    const auto done = client->commit(t.wait_applied()).get();
    ASSERT_TRUE(done) << done.error().to_string();
  }
};

TEST_F(ViewsOverNetworkTest, ASubscriptionOutlivesItsConnectionWithoutAReset) {
  give("sea", "1");
  const auto told = std::make_shared<Told>();
  auto subscription = client->views()
                          .subscribe({.view = "totals", .where = "", .statement = "", .after = {}},
                                     [told](Outcome<ViewChange> c) { told->put(std::move(c)); })
                          .get();
  ASSERT_TRUE(subscription);
  EXPECT_TRUE(told->wait_for({{"sea", 100}}));
  broker->cut_connections();
  give("sea", "1");
  EXPECT_TRUE(told->wait_for({{"sea", 200}}));
  EXPECT_EQ(told->resets(), 0);
  broker->stop();
  broker->start();
  give("owls", "1");
  EXPECT_TRUE(told->wait_for({{"sea", 200}, {"owls", 100}}));
}

TEST_F(ViewsOverNetworkTest, TheTickerOfTheExamplesShowsTheHighest) {
  for (const auto& [campaign, amount] :
       {std::pair("sea", "10"), {"owls", "20.05"}, {"bees", "5"}, {"ants", "1"}}) {
    give(campaign, amount);
  }
  const std::string out = directory.path() + "/ticker.out";
  const std::string command = std::string(RUNNEL_TICKER) + " " + broker->address() +
                              " totals campaign total 1 > " + out + " 2>&1";
  const int code = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(code) && WEXITSTATUS(code) == 0);
  std::ifstream file(out);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "owls 20.05  sea 10.00  bees 5.00");
}

}  // namespace
}  // namespace runnel::client
