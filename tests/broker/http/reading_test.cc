// Records and events: from any place on, in pages, as they come.
#include <gmock/gmock.h>

#include <set>

#include "broker/http/limits.h"
#include "storage/stats.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(HttpApiTest, ReadsFromAnyPlaceToAnyPlace) {
  std::string body = "[";
  for (int i = 0; i < 10; ++i) {
    body += (i > 0 ? "," : "") + std::string(R"({"partition":0,"timestamp":)") +
            std::to_string(1'763'701'200'000 + i * 1000) + R"(,"value":)" + std::to_string(i) + "}";
  }
  post(records, body + "]");
  const auto values = [&](const std::string& query) {
    std::string out;
    const auto page = get(records + "?partition=0&" + query);
    for (const auto& r : page.at("records").as_array()) {
      out += std::to_string(r.at("value").as_int64());
    }
    return out;
  };
  EXPECT_EQ(values("from=7"), "789");
  EXPECT_EQ(values("from=-2"), "89");
  EXPECT_EQ(values("from=%2B8"), "89");
  EXPECT_EQ(values("from=end"), "");
  EXPECT_EQ(values("to=3"), "012");
  EXPECT_EQ(values("from=@1763701205000&to=@1763701207000"), "56");
  EXPECT_EQ(values("from=2025-11-21T05:00:08Z"), "89");
  EXPECT_EQ(values("limit=3"), "012");
  EXPECT_EQ(values("filter=.%3E%3D8"), "89");
  EXPECT_EQ(values("cursor=0:4&limit=2"), "45");
  const auto page = get(records + "?partition=0&limit=4");
  EXPECT_EQ(page.at("next").as_string(), "0:4");
  EXPECT_EQ(page.at("at_end").as_bool(), false);
  EXPECT_EQ(get(records + "?from=99&partition=0", 416).at("retriable").as_bool(), false);
  EXPECT_EQ(client->call("GET", records + "?from=tomorrow").status, 400u);
  EXPECT_EQ(client->call("GET", records + "?filter=%28").status, 400u);
  EXPECT_EQ(client->call("GET", records + "?cursor=x").status, 400u);
  EXPECT_EQ(client->call("GET", records + "?cursor=0:1&from=end").status, 400u);
  EXPECT_EQ(client->call("GET", records + "?partition=9").status, 404u);
}

TEST_F(HttpApiTest, PagesGoThroughAllPartitionsAndMissNothing) {
  std::string body = "[";
  for (int i = 0; i < 300; ++i) {
    body += (i > 0 ? "," : "") + std::string(R"({"partition":)") + std::to_string(i % 3) +
            R"(,"value":)" + std::to_string(i) + "}";
  }
  post(records, body + "]");
  std::set<std::int64_t> seen;
  std::string cursor;
  for (int pages = 0; pages < 100; ++pages) {
    const auto page = get(records + "?limit=7" + (cursor.empty() ? "" : "&cursor=" + cursor));
    for (const auto& r : page.at("records").as_array()) {
      EXPECT_TRUE(seen.insert(r.at("value").as_int64()).second);
    }
    cursor = std::string(page.at("next").as_string());
    if (page.at("at_end").as_bool()) break;
  }
  EXPECT_EQ(seen.size(), 300u);
}

TEST_F(HttpApiTest, LinesForWhoAsksForThem) {
  post(records, R"([{"partition":0,"value":{"a":
1}},{"partition":0,"text":"x"}])");
  const Answered lines =
      client->call("GET", records + "?partition=0", {}, "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(lines.header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(lines.header("Next-Cursor"), "0:2");
  EXPECT_EQ(std::count(lines.body.begin(), lines.body.end(), '\n'), 2);
  EXPECT_THAT(lines.body, HasSubstr(R"("value":{"a": 1})"));
}

TEST_F(HttpApiTest, WaitsForTheFirstRecord) {
  client->feed(HttpClient::request("GET", records + "?from=end&max_wait_ms=60000"));
  ASSERT_TRUE(client->connection.posts->wait());
  client->run_posted();
  EXPECT_EQ(client->connection.sent, "");
  HttpClient other(*http);
  EXPECT_EQ(other.call("POST", records, R"({"text":"news"})").status, 200u);
  EXPECT_THAT(client->await().body, HasSubstr("news"));
}

TEST_F(HttpApiTest, WaitingEndsWhenTheBrokerDoes) {
  client->feed(HttpClient::request("GET", records + "?from=end&max_wait_ms=60000"));
  while (store->stats().waiting_fetches == 0) {
    ASSERT_TRUE(client->connection.posts->wait());
    client->run_posted();
  }
  client->session->shutting_down();
  EXPECT_EQ(client->await().status, 200u);
  EXPECT_TRUE(client->connection.closed);
}

// ---------------------------------------------------------------- events
TEST_F(HttpApiTest, EventsComeAndGoOnWhereTheyEnded) {
  post(records, R"([{"partition":0,"value":1},{"partition":1,"value":2}])");
  client->feed(HttpClient::request("GET", "/api/v1/topics/orders/events?from=start"));
  ASSERT_TRUE(client->await_text("\"value\":2"));
  EXPECT_THAT(client->connection.sent, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(client->connection.sent, HasSubstr("id: 0:1,1:1,2:0\ndata: {"));
  HttpClient other(*http);
  other.call("POST", records, R"({"partition":0,"value":33})");
  ASSERT_TRUE(client->await_text("\"value\":33"));
  EXPECT_THAT(client->connection.sent, HasSubstr("id: 0:2,1:1,2:0\ndata: {"));
  client->session->shutting_down();
  EXPECT_THAT(client->connection.sent, HasSubstr("event: end\ndata: {\"type\":"));
  EXPECT_THAT(client->connection.sent, ::testing::EndsWith("0\r\n\r\n"));
  EXPECT_TRUE(client->connection.closed);

  HttpClient again(*http);
  again.feed(HttpClient::request("GET", "/api/v1/topics/orders/events", {},
                                 "Last-Event-ID: 0:1,1:1,2:0\r\n"));
  ASSERT_TRUE(again.await_text("\"value\":33"));
  EXPECT_THAT(again.connection.sent, Not(HasSubstr("\"value\":1")));
}

TEST_F(HttpApiTest, EventsOfAFilter) {
  post(records, R"([{"key":"a","value":1},{"key":"b","value":2},{"key":"a","value":3}])");
  client->feed(
      HttpClient::request("GET", "/api/v1/topics/orders/events?from=start&filter=key%3Da"));
  ASSERT_TRUE(client->await_text("\"value\":3"));
  EXPECT_THAT(client->connection.sent, Not(HasSubstr("\"value\":2")));
}

TEST_F(HttpApiTest, EventsWaitForASlowReader) {
  const std::string text(100'000, 'x');
  for (int i = 0; i < 100; ++i) {
    post(records, R"({"partition":0,"text":")" + text + "\"}");
  }
  HttpClient slow(*http);
  slow.connection.reads = false;
  slow.feed(HttpClient::request("GET", "/api/v1/topics/orders/events?from=start&partition=0"));
  while (slow.connection.unsent <= kOutputLowMark) {
    ASSERT_TRUE(slow.connection.posts->wait());
    slow.run_posted();
  }
  slow.run_posted();
  EXPECT_LT(slow.connection.most_unsent, 3 * kOutputLowMark);
  const auto now = std::chrono::steady_clock::now();
  EXPECT_EQ(slow.session->overdue(now), "");
  EXPECT_THAT(std::string(slow.session->overdue(now + kMaxStreamStall + std::chrono::seconds(1))),
              HasSubstr("not read"));
  while (slow.connection.sent.find("id: 0:100\n") == std::string::npos) {
    slow.connection.take_output(*slow.session);
    if (slow.connection.sent.find("id: 0:100\n") != std::string::npos) break;
    ASSERT_TRUE(slow.connection.posts->wait());
    slow.run_posted();
  }
}

TEST_F(HttpApiTest, EventsOfNothing) {
  EXPECT_EQ(client->call("GET", "/api/v1/topics/none/events").status, 404u);
  EXPECT_EQ(client->call("HEAD", "/api/v1/topics/orders/events").status, 200u);
  client->feed(HttpClient::request("GET", "/api/v1/topics/orders/events"));
  ASSERT_TRUE(client->await_text(": begins"));
  EXPECT_EQ(http->counters().streams.load(), 1u);
  while (store->stats().waiting_fetches == 0) {
    ASSERT_TRUE(client->connection.posts->wait());
    client->run_posted();
  }
  ASSERT_TRUE(store->delete_topic("orders"));
  ASSERT_TRUE(client->await_text("urn:runnel:problem:unknown_topic"));
  EXPECT_EQ(http->counters().streams.load(), 0u);
}

}  // namespace
}  // namespace runnel::broker::http
