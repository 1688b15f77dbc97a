// The session: where requests begin and end, in which order they are answered, what is refused.
#include <gmock/gmock.h>

#include "broker/http/limits.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpSessionTest : public HttpWorld {};

TEST_F(HttpSessionTest, AnswersWhereverTheBytesAreSplit) {
  const std::string body = R"({"key":"k","value":{"a":1}})";
  const std::string request = HttpClient::request(
      "POST", "/api/v1/topics/orders/records?partition=0", body, "X-Request-Id: abc\r\n");
  for (std::size_t at = 1; at < request.size(); ++at) {
    HttpClient one(*http);
    one.feed(request.substr(0, at));
    one.feed(request.substr(at));
    const Answered answered = one.await();
    ASSERT_EQ(answered.status, 200u) << at << answered.body;
    EXPECT_EQ(answered.header("X-Request-Id"), "abc");
    EXPECT_THAT(answered.body, HasSubstr("\"offset\":" + std::to_string(at - 1) + ","));
  }
}

TEST_F(HttpSessionTest, TakesChunksByteByByte) {
  const std::string request =
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\n[{\"te\r\nB;x=y\r\nxt\":\"hallo\"\r\n2\r\n}]\r\n0\r\nTrailer: x\r\n\r\n"
      "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const char c : request) client->feed(std::string(1, c));
  EXPECT_EQ(client->await().status, 200u);
  EXPECT_THAT(client->await().body, HasSubstr("alive"));
}

TEST_F(HttpSessionTest, AnswersPipelinedRequestsInOrder) {
  std::string all;
  for (int i = 0; i < 20; ++i) {
    const std::string id = "X-Request-Id: r" + std::to_string(i) + "\r\n";
    all += i % 3 == 0 ? HttpClient::request("GET", "/readyz", {}, id)
                      : HttpClient::request("GET", "/livez", {}, id);
    if (i % 5 == 4) {
      all += HttpClient::request("POST", "/api/v1/topics/orders/records", R"({"text":"x"})",
                                 "X-Request-Id: w\r\n");
    }
  }
  client->feed(all);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client->await().header("X-Request-Id"), "r" + std::to_string(i));
    if (i % 5 == 4) {
      EXPECT_EQ(client->await().header("X-Request-Id"), "w");
    }
  }
}

TEST_F(HttpSessionTest, StopsReadingWhileManyAreUnanswered) {
  const std::string one = HttpClient::request("GET", "/readyz");
  for (std::size_t i = 0; i < 3 * kMaxPipelined; ++i) client->feed(one);
  EXPECT_GT(client->connection.pauses, 0);
  for (std::size_t i = 0; i < 3 * kMaxPipelined; ++i) EXPECT_EQ(client->await().status, 200u);
  EXPECT_EQ(client->connection.pauses, 0);
}

TEST_F(HttpSessionTest, WhatAppendedIsThereForTheNextRequest) {
  client->feed(
      HttpClient::request("POST", "/api/v1/topics/orders/records?partition=1", R"({"text":"x"})") +
      HttpClient::request("GET", "/api/v1/topics/orders/records?partition=1"));
  EXPECT_EQ(client->await().status, 200u);
  EXPECT_THAT(client->await().body, HasSubstr("\"text\":\"x\""));
}

TEST_F(HttpSessionTest, HeadHasTheLengthAndNoBody) {
  const Answered get = client->call("GET", "/livez");
  const Answered head = client->call("HEAD", "/livez");
  EXPECT_EQ(head.status, 200u);
  EXPECT_EQ(head.header("Content-Length"), std::to_string(get.body.size()));
  EXPECT_EQ(client->connection.sent, "");
  EXPECT_EQ(client->call("GET", "/livez").status, 200u);
}

TEST_F(HttpSessionTest, ContinuesWhoAsksForIt) {
  const std::string body = R"({"text":"x"})";
  const std::string request = HttpClient::request("POST", "/api/v1/topics/orders/records", body,
                                                  "Expect: 100-continue\r\n");
  client->feed(request.substr(0, request.size() - body.size()));
  EXPECT_EQ(client->connection.sent, "HTTP/1.1 100 Continue\r\n\r\n");
  client->connection.sent.clear();
  client->feed(body);
  EXPECT_EQ(client->await().status, 200u);
}

TEST_F(HttpSessionTest, DoesNotContinueWhatItRefuses) {
  client->feed(
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nContent-Length: 99999999999\r\n"
      "Expect: 100-continue\r\n\r\n");
  const Answered answered = client->await();
  EXPECT_EQ(answered.status, 413u);
  EXPECT_EQ(answered.header("Connection"), "close");
  EXPECT_TRUE(client->connection.closed);
}

TEST_F(HttpSessionTest, ARefusedBodyIsReadOverAndTheConnectionGoesOn) {
  EXPECT_EQ(client->call("POST", "/api/v1/nothing", std::string(1000, 'x')).status, 404u);
  EXPECT_EQ(client->call("GET", "/livez").status, 200u);
}

TEST_F(HttpSessionTest, EndsAsTheClientWishes) {
  const Answered last = client->call("GET", "/livez", {}, "Connection: close\r\n");
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(client->connection.closed);
  HttpClient old(*http);
  old.feed("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.await().status, 200u);
  EXPECT_TRUE(old.connection.closed);
  HttpClient kept(*http);
  kept.feed("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(kept.await().header("Connection"), "keep-alive");
  EXPECT_FALSE(kept.connection.closed);
}

TEST_F(HttpSessionTest, FinishesWhatWasAskedWhenItShutsDown) {
  client->feed(HttpClient::request("GET", "/readyz") + HttpClient::request("GET", "/livez"));
  client->session->shutting_down();
  EXPECT_EQ(client->await().status, 200u);
  const Answered last = client->await();
  EXPECT_THAT(last.body, HasSubstr("alive"));
  EXPECT_TRUE(client->connection.closed);
}

TEST_F(HttpSessionTest, ARequestThatDoesNotGoOnIsCutWithAnAnswer) {
  const auto begin = std::chrono::steady_clock::now();
  client->feed("GET /livez HTTP/1.1\r\nHost: loc");
  EXPECT_EQ(client->session->overdue(begin), "");
  client->feed("a");
  EXPECT_EQ(client->session->overdue(begin + kFrameGrace), "");
  EXPECT_EQ(client->connection.sent, "");
  EXPECT_EQ(client->session->overdue(begin + kFrameGrace + std::chrono::seconds(1)), "");
  EXPECT_EQ(client->await().status, 408u);
  EXPECT_TRUE(client->connection.closed);
}

struct Bad {
  const char* what;
  std::string request;
  unsigned status;
};

TEST_F(HttpSessionTest, RefusesWhatServersDisagreeAbout) {
  const std::string post =
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\n";
  const std::vector<Bad> all = {
      {"both lengths", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"both, the other way",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
      {"the same length twice", post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n1", 400},
      {"a list of lengths", post + "Content-Length: 1, 2\r\n\r\n1", 400},
      {"a signed length", post + "Content-Length: +1\r\n\r\n1", 400},
      {"another coding", post + "Transfer-Encoding: gzip\r\n\r\n", 400},
      {"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
      {"two codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
      {"chunked of 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"bare LF", "GET /livez HTTP/1.1\nHost: localhost\n\n\r\n\r\n", 400},
      {"bare LF in a header", "GET /livez HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400},
      {"bare CR", "GET /livez HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n", 400},
      {"folding", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400},
      {"blank before the colon", "GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400},
      {"no host", "GET /livez HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400},
      {"no version", "GET /livez\r\n\r\n", 400},
      {"version 2", "GET /livez HTTP/2.0\r\n\r\n", 400},
      {"a bad chunk", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"a chunk with a long name",
       post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(2 * kMaxHeaderBytes, 'x'), 431},
      {"long headers", "GET /livez HTTP/1.1\r\nX: " + std::string(kMaxHeaderBytes, 'x'), 431},
      {"a long target", "GET /" + std::string(kMaxTargetBytes + 1, 'x') + " HTTP/1.1\r\n\r\n", 414},
  };
  for (const Bad& bad : all) {
    HttpClient one(*http);
    one.feed(bad.request);
    const Answered answered = one.await();
    EXPECT_EQ(answered.status, bad.status) << bad.what << answered.body;
    EXPECT_EQ(answered.header("Content-Type"), "application/problem+json") << bad.what;
  }
}

TEST_F(HttpSessionTest, RefusesTooManyHeaders) {
  std::string request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n";
  for (std::size_t i = 0; i < kMaxHeaders; ++i) request += "X: y\r\n";
  client->feed(request + "\r\n");
  EXPECT_EQ(client->await().status, 431u);
  EXPECT_TRUE(client->connection.closed);
}

TEST_F(HttpSessionTest, NothingBehindARefusedLengthIsARequest) {
  client->feed(
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client->await().status, 400u);
  EXPECT_EQ(client->connection.sent, "");
  EXPECT_TRUE(client->connection.closed);
}

TEST_F(HttpSessionTest, TellsWhatCanBeAsked) {
  const Answered wrong = client->call("PUT", "/api/v1/topics");
  EXPECT_EQ(wrong.status, 405u);
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, POST, OPTIONS");
  const Answered options = client->call("OPTIONS", "/api/v1/topics");
  EXPECT_EQ(options.status, 204u);
  EXPECT_EQ(options.header("Allow"), "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(client->call("BREW", "/api/v1/topics").status, 405u);
  EXPECT_EQ(client->call("GET", "/api/v1/topics?prefx=a").status, 400u);
  EXPECT_THAT(client->call("GET", "/api/v1/topics?prefx=a").body, HasSubstr("did you mean prefix"));
  EXPECT_EQ(client->call("GET", "/api/v1/topics?limit=0").status, 400u);
  EXPECT_EQ(client->call("GET", "/api/v1/topics?limit=1&limit=2").status, 400u);
  EXPECT_EQ(client->call("GET", "/api/v1/topics/%ff").status, 400u);
  EXPECT_EQ(client->call("GET", "/livez", {}, "Accept: text/html\r\n").status, 406u);
  EXPECT_EQ(client->call("GET", "/livez", {}, "Accept: text/html, */*;q=0.1\r\n").status, 200u);
  EXPECT_EQ(client
                ->call("POST", "/api/v1/topics", "a=b",
                       "Content-Type: application/x-www-form-urlencoded\r\n")
                .status,
            415u);
  EXPECT_EQ(client->call("POST", "/api/v1/topics").status, 400u);
  EXPECT_EQ(client->call("GET", "/livez", "{}").status, 400u);
}

TEST_F(HttpSessionTest, TakesTheAbsoluteForm) {
  client->feed("GET http://localhost:9092/livez HTTP/1.1\r\nHost: other\r\n\r\n");
  EXPECT_EQ(client->await().status, 200u);
  client->feed("GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client->await().status, 421u);
}

TEST_F(HttpSessionTest, PagesOfOtherSitesGetNothing) {
  for (const char* host : {"localhost", "localhost:9092", "127.0.0.1:9092", "[::1]:9092",
                           "192.168.1.7", "LOCALHOST.", "a.localhost"}) {
    client->feed("GET /livez HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_EQ(client->await().status, 200u) << host;
  }
  for (const char* host : {"evil.example", "evil.example:9092", "localhost.evil.example",
                           "127.0.0.1.evil.example", "", "a b", "localhost:x", "[::1"}) {
    HttpClient one(*http);
    one.feed("GET /livez HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_EQ(one.await().status, 421u) << host;
  }
  const std::string body = R"({"text":"x"})";
  for (const char* origin : {"http://evil.example", "null", "http://localhost:3000"}) {
    EXPECT_EQ(client
                  ->call("POST", "/api/v1/topics/orders/records", body,
                         "Origin: " + std::string(origin) + "\r\n")
                  .status,
              403u);
  }
  const Answered same = client->call("GET", "/livez", {}, "Origin: http://localhost\r\n");
  EXPECT_EQ(same.status, 200u);
  EXPECT_EQ(same.header("Access-Control-Allow-Origin"), "");
}

class AllowedHttpTest : public HttpWorld {
 protected:
  static HttpOptions options() {
    HttpOptions out;
    out.hosts = {"broker.example"};
    out.origins = {"https://reports.example"};
    return out;
  }
  AllowedHttpTest() : HttpWorld(128u << 20, options()) {}
};

TEST_F(AllowedHttpTest, PagesThatAreAllowedMayReadAndWrite) {
  client->feed("GET /livez HTTP/1.1\r\nHost: broker.example:9092\r\n\r\n");
  EXPECT_EQ(client->await().status, 200u);
  const std::string origin = "Origin: https://reports.example\r\n";
  const Answered read = client->call("GET", "/livez", {}, origin);
  EXPECT_EQ(read.header("Access-Control-Allow-Origin"), "https://reports.example");
  EXPECT_EQ(read.header("Vary"), "Origin");
  const Answered preflight = client->call("OPTIONS", "/api/v1/topics", {}, origin);
  EXPECT_EQ(preflight.status, 204u);
  EXPECT_THAT(preflight.header("Access-Control-Allow-Methods"), HasSubstr("POST"));
  EXPECT_EQ(client->call("GET", "/livez", {}, "Origin: https://other.example\r\n").status, 403u);
}

class SmallHttpTest : public HttpWorld {
 protected:
  SmallHttpTest() : HttpWorld(16u << 20) {}
};

TEST_F(SmallHttpTest, BodiesArePaidForAsTheyCome) {
  const std::uint64_t before = store->memory().held_bytes();
  std::vector<std::unique_ptr<HttpClient>> clients;
  const std::string head =
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: text/csv\r\nContent-Length: 900000\r\n\r\n";
  const std::string half = "a\n" + std::string(449'998, 'x');
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<HttpClient>(*http));
    clients.back()->feed(head);
  }
  EXPECT_LT(store->memory().held_bytes() - before, 1u << 20);
  int paused = 0;
  for (auto& one : clients) {
    one->feed(half);
    if (one->connection.pauses > 0) ++paused;
  }
  EXPECT_GT(paused, 0);
  EXPECT_LE(store->memory().held_bytes(), store->memory().limit_bytes());
  // Who goes makes place: in the end each of those that stay is answered.
  for (int i = 0; i < 30; ++i) clients.erase(clients.begin());
  for (auto& one : clients) {
    one->feed(half);
    EXPECT_EQ(one->await().status, 200u);
  }
}

TEST_F(SmallHttpTest, StreamsHaveABoundInAll) {
  std::vector<std::unique_ptr<HttpClient>> clients;
  unsigned status = 200;
  while (status == 200 && clients.size() < 10'000) {
    clients.push_back(std::make_unique<HttpClient>(*http));
    clients.back()->feed(HttpClient::request("GET", "/api/v1/topics/orders/events"));
    ASSERT_TRUE(clients.back()->await_text("\r\n\r\n"));
    status = static_cast<unsigned>(std::stoul(clients.back()->connection.sent.substr(9, 3)));
    EXPECT_EQ(clients.back()->connection.sent.find("event: end"), std::string::npos);
  }
  EXPECT_EQ(status, 503u);
  EXPECT_GT(clients.size(), 50u);
  clients.pop_back();
  clients.pop_back();
  HttpClient next(*http);
  next.feed(HttpClient::request("GET", "/api/v1/topics/orders/events"));
  EXPECT_TRUE(next.await_text(": begins"));
}

TEST_F(SmallHttpTest, ABodyWithoutEndIsRefused) {
  client->feed(
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (int i = 0; i < 300 && client->connection.sent.empty(); ++i) {
    client->feed(chunk);
    client->run_posted();
  }
  EXPECT_EQ(client->await().status, 413u);
  EXPECT_TRUE(client->connection.closed);
}

TEST_F(HttpSessionTest, WhoDoesNotReadGetsNoMoreAnswers) {
  client->connection.reads = false;
  const std::string one = HttpClient::request("GET", "/api/v1/openapi.json");
  for (int i = 0; i < 500; ++i) client->feed(one);
  client->run_posted();
  EXPECT_LT(client->connection.most_unsent, 4 * kOutputLowMark);
  EXPECT_GT(client->connection.pauses, 0);
  client->connection.reads = true;
  int answered = 0;
  while (answered < 500) {
    Answered out;
    while (take_answer(client->connection.sent, false, out)) ++answered;
    client->connection.take_output(*client->session);
    client->run_posted();
    if (client->connection.sent.empty() && answered < 500) break;
  }
  EXPECT_EQ(answered, 500);
}

}  // namespace
}  // namespace runnel::broker::http
