// Views and SQL by HTTP: what is asked comes as JSON, NDJSON or CSV, and what is wrong is said.
#include <gmock/gmock.h>

#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpViewsTest : public HttpApiTest {
 protected:
  HttpViewsTest() {
    sql("CREATE SOURCE gifts (campaign VARCHAR, amount DECIMAL(12,2), at TIMESTAMPTZ, WATERMARK "
        "FOR at AS at - INTERVAL '1 day') ON TOPIC 'orders'");
    sql("CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS gifts, sum(amount) AS "
        "raised FROM gifts GROUP BY campaign");
  }
  boost::json::value sql(const std::string& text, unsigned status = 200,
                         const std::string& query = {}) {
    return post("/api/v1/sql" + query, boost::json::serialize(boost::json::object{{"sql", text}}),
                status);
  }
  /// Stored, and in the views.
  void give(const std::string& campaign, const std::string& amount) {
    const auto stored =
        post(records + "?as=values&partition=0&acks=applied",
             boost::json::serialize(boost::json::object{
                 {"campaign", campaign}, {"amount", amount}, {"at", "2026-03-28T23:15:00Z"}}));
    EXPECT_EQ(stored.at("applied"), true);
  }
  std::string rows = "/api/v1/views/totals/rows";
};

TEST_F(HttpViewsTest, RowsComeAsJsonNdjsonAndCsv) {
  give("sea", "25.00");
  give("owls, \"old\"", "1.50");
  const auto page = get(rows);
  EXPECT_EQ(boost::json::serialize(page.at("rows")),
            R"([{"campaign":"owls, \"old\"","gifts":1,"raised":1.5E0},)"
            R"({"campaign":"sea","gifts":1,"raised":2.5E1}])");
  EXPECT_TRUE(page.at("next").is_null());
  EXPECT_EQ(page.at("positions").at(0).at("offset"), 2);
  EXPECT_THAT(client->call("GET", rows).body, HasSubstr("\"raised\":25.00}"));
  const Answered lines = client->call("GET", rows, {}, "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(lines.header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(lines.body,
            "{\"campaign\":\"owls, \\\"old\\\"\",\"gifts\":1,\"raised\":1.50}\n"
            "{\"campaign\":\"sea\",\"gifts\":1,\"raised\":25.00}\n");
  const Answered csv = client->call("GET", rows + "?format=csv");
  EXPECT_THAT(csv.header("Content-Type"), StartsWith("text/csv"));
  EXPECT_EQ(csv.body, "campaign,gifts,raised\r\n\"owls, \"\"old\"\"\",1,1.50\r\nsea,1,25.00\r\n");
}

TEST_F(HttpViewsTest, PagesGoOnWithTheirCursor) {
  for (const char* campaign : {"a", "b", "c"}) give(campaign, "1");
  const Answered first = client->call("GET", rows + "?limit=2&format=csv&columns=campaign");
  EXPECT_EQ(first.body, "campaign\r\na\r\nb\r\n");
  const std::string next = first.header("Next-Cursor");
  ASSERT_FALSE(next.empty());
  const Answered last =
      client->call("GET", rows + "?limit=2&format=csv&columns=campaign&cursor=" + next);
  EXPECT_EQ(last.body, "campaign\r\nc\r\n");
  EXPECT_EQ(last.header("Next-Cursor"), "");
}

TEST_F(HttpViewsTest, AnUnchangedViewIsNotSentAgain) {
  give("sea", "25.00");
  const std::string one = rows + "?key=sea";
  const Answered first = client->call("GET", one);
  const std::string etag = first.header("ETag");
  ASSERT_THAT(etag, StartsWith("W/\""));
  EXPECT_EQ(first.header("Cache-Control"), "no-cache");
  const auto again = [&](const std::string& known) {
    return client->call("GET", one, {}, "If-None-Match: " + known + "\r\n");
  };
  const Answered unchanged = again("\"x\", " + etag);
  EXPECT_EQ(unchanged.status, 304u);
  EXPECT_EQ(unchanged.body, "");
  EXPECT_EQ(unchanged.header("Content-Length"), "");
  EXPECT_EQ(unchanged.header("ETag"), etag);
  EXPECT_EQ(again("\"other\"").status, 200u);
  give("sea", "1.00");
  const Answered changed = again(etag);
  EXPECT_EQ(changed.status, 200u);
  EXPECT_THAT(changed.body, HasSubstr("26.00"));
  EXPECT_NE(changed.header("ETag"), etag);
  // Another form is another answer, and what depends on the time has no version.
  EXPECT_NE(client->call("GET", one + "&format=csv").header("ETag"), changed.header("ETag"));
  sql("CREATE MATERIALIZED VIEW hourly AS SELECT window_start, count(*) AS n FROM TUMBLE(gifts, "
      "at, INTERVAL '1 hour') GROUP BY window_start");
  const std::string hourly = "/api/v1/views/hourly/rows";
  EXPECT_NE(client->call("GET", hourly).header("ETag"), "");
  EXPECT_EQ(client->call("GET", hourly + "?from=-2h").header("ETag"), "");
  EXPECT_EQ(client->call("GET", hourly + "?columns=n,_final").header("ETag"), "");
  // Another view of the name is another version, whatever its sequence.
  client->call("DELETE", "/api/v1/views/totals");
  sql("CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS gifts FROM gifts GROUP BY "
      "campaign");
  EXPECT_EQ(again(changed.header("ETag")).status, 200u);
}

TEST_F(HttpViewsTest, WhoHasNeitherStreamNorSocketWaitsForAChange) {
  give("sea", "25.00");
  const std::string one = rows + "?key=sea";
  const std::string known = "If-None-Match: " + client->call("GET", one).header("ETag") + "\r\n";
  EXPECT_EQ(client->call("GET", one + "&wait=1ms", {}, known).status, 304u);
  HttpClient waits(*http);
  waits.feed(HttpClient::request("GET", one + "&wait=60s", {}, known));
  waits.run_posted();
  EXPECT_EQ(waits.connection.sent, "");
  give("sea", "1.00");
  const Answered changed = waits.await();
  EXPECT_EQ(changed.status, 200u);
  EXPECT_THAT(changed.body, HasSubstr("26.00"));
  // What has changed already is not waited for, and neither is what nothing is known of.
  EXPECT_EQ(client->call("GET", one + "&wait=60s", {}, known).status, 200u);
  EXPECT_EQ(client->call("GET", one + "&wait=60s").status, 200u);
  get(one + "&wait=61s", 400);
  get(one + "&wait=soon", 400);
  // A view that goes is told at once.
  const std::string last = "If-None-Match: " + changed.header("ETag") + "\r\n";
  waits.feed(HttpClient::request("GET", one + "&wait=60s", {}, last));
  EXPECT_EQ(client->call("DELETE", "/api/v1/views/totals").status, 204u);
  EXPECT_EQ(waits.await().status, 404u);
  EXPECT_EQ(http->memory().has_waiters(), false);
}

TEST_F(HttpViewsTest, AReaderSeesWhatItNames) {
  for (int i = 0; i < 20; ++i) {
    const auto stored = post(records + "?as=values&partition=1", R"({"campaign":"x","amount":1})");
    const auto offset = stored.at("records").at(0).at("offset").as_int64();
    const auto page = get(rows + "?key=x&min_pos=orders/1:" + std::to_string(offset + 1));
    EXPECT_EQ(page.at("rows").at(0).at("gifts"), i + 1);
  }
  EXPECT_EQ(type_of(get(rows + "?min_pos=orders/1:1000&timeout_ms=1", 504)),
            "urn:runnel:problem:timeout");
  get(rows + "?min_pos=orders", 400);
}

TEST_F(HttpViewsTest, ViewsAreListedToldOfAndDropped) {
  const Answered made = client->call(
      "POST", "/api/v1/views",
      "CREATE MATERIALIZED VIEW \"a/b\" WITH (time_zone = 'Europe/Paris') AS SELECT window_start, "
      "count(*) AS n FROM TUMBLE(gifts, at, INTERVAL '1 day') GROUP BY window_start",
      "Content-Type: application/sql\r\n");
  EXPECT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.header("Location"), "/api/v1/views/a%2Fb");
  give("sea", "25.00");
  const auto list = get("/api/v1/views?limit=1");
  EXPECT_EQ(list.at("views").at(0).at("name"), "a/b");
  EXPECT_EQ(list.at("next"), "a/b");
  EXPECT_EQ(get("/api/v1/views?after=a/b").at("views").at(0).at("name"), "totals");
  const auto told = get("/api/v1/views/a%2Fb");
  EXPECT_EQ(told.at("state"), "running");
  EXPECT_EQ(told.at("window").at("time_zone"), "Europe/Paris");
  EXPECT_EQ(told.at("key").at(0).at("type"), "TIMESTAMPTZ");
  EXPECT_EQ(told.at("columns").at(1).at("role"), "measure");
  EXPECT_EQ(told.at("counters").at("applied"), 1);
  EXPECT_EQ(told.at("applied").at(0).at("offset"), 1);
  EXPECT_EQ(client->call("DELETE", "/api/v1/views/a%2Fb").status, 204u);
  EXPECT_EQ(type_of(get("/api/v1/views/a%2Fb", 404)), "urn:runnel:problem:not_found");
  EXPECT_EQ(client->call("DELETE", "/api/v1/views/gifts").status, 400u);
  EXPECT_EQ(client->call("DELETE", "/api/v1/views/none").status, 404u);
  post(
      "/api/v1/views",
      R"({"sql":"CREATE MATERIALIZED VIEW IF NOT EXISTS totals AS SELECT campaign, count(*) AS n FROM gifts GROUP BY campaign"})",
      200);
  post("/api/v1/views", R"({"sql":"SELECT 1"})", 400);
  post("/api/v1/views", R"({"sql":"DROP MATERIALIZED VIEW totals"})", 400);
  get("/api/v1/views/totals");
}

TEST_F(HttpViewsTest, StatementsAreAnswered) {
  give("sea", "25.00");
  const auto answers =
      sql("SELECT campaign, raised * 2 AS twice FROM totals; SHOW VIEWS").at("answers");
  ASSERT_EQ(answers.as_array().size(), 2u);
  EXPECT_EQ(answers.at(0).at("tag"), "SELECT");
  EXPECT_EQ(answers.at(0).at("columns").at(0).at("role"), "dimension");
  EXPECT_EQ(answers.at(0).at("rows").at(0).at("campaign"), "sea");
  EXPECT_EQ(answers.at(1).at("rows").at(0).at("name"), "totals");
  const Answered csv =
      client->call("POST", "/api/v1/sql?format=csv", "SELECT 1 AS a, 'x,y' AS b, NULL AS c",
                   "Content-Type: application/sql\r\n");
  EXPECT_EQ(csv.body, "a,b,c\r\n1,\"x,y\",\r\n");
  EXPECT_THAT(std::string(sql("SELECT 1; SELECT 2", 400, "?format=csv").at("detail").as_string()),
              HasSubstr("several statements"));
}

TEST_F(HttpViewsTest, WrongStatementsHaveALineAndAColumn) {
  const auto problem = sql("SELECT campaign\nFROM totls", 400);
  EXPECT_EQ(problem.at("line"), 2);
  EXPECT_EQ(problem.at("column"), 6);
  EXPECT_THAT(std::string(problem.at("detail").as_string()), HasSubstr("did you mean 'totals'?"));
  EXPECT_EQ(get(rows + "?where=1%20=", 400).at("column"), 4);
  for (const char* text : {"", ";", "DROP", "SELECT", "SUBSCRIBE totals", "SELECT 1 / 0"}) {
    sql(text, 400);
  }
  sql("SELECT campaign FROM gifts", 400, "?max_rows=0");
  sql("DROP MATERIALIZED VIEW totals", 400, "?read_only=true");
  get("/api/v1/views/totals");
  sql("SELECT 1", 200, "?read_only=true");
  post("/api/v1/sql", R"({"sql":"SELECT 1","limit":1})", 400);
  post("/api/v1/sql", R"({"sql":7})", 400);
}

}  // namespace
}  // namespace runnel::broker::http
