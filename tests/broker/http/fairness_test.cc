// One client must not stop the others: what requests, answers and waiting take is within the bound.
#include <gmock/gmock.h>

#include "broker/http/limits.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kLittle = 64u << 10;
constexpr const char* kRecords = "/api/v1/topics/orders/records";

class HttpFairnessTest : public HttpWorld {
 protected:
  HttpFairnessTest() : HttpWorld(64u << 20) {}

  [[nodiscard]] std::uint64_t held() const { return store->memory().held_bytes(); }
  /// Runs what is posted to `one` until `done`; fails the test if nothing is posted any more.
  template <class Done>
  static void run_until(HttpClient& one, Done done) {
    one.run_posted();
    while (!done()) {
      ASSERT_TRUE(one.connection.posts->wait()) << one.connection.sent;
      one.run_posted();
    }
  }
  /// A body that is one record of about so many bytes.
  static std::string record_of(std::size_t bytes) {
    return R"({"partition":0,"text":")" + std::string(bytes, 'x') + "\"}";
  }
  /// Fills partition 0 with so many records of 500 kB.
  void fill(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(client->call("POST", kRecords, record_of(500'000)).status, 200u);
    }
  }
};

TEST_F(HttpFairnessTest, ALongPollHoldsNoMemoryForReadingWhileItWaits) {
  std::vector<std::unique_ptr<HttpClient>> polls;
  for (int i = 0; i < 8; ++i) {  // each takes more than an eighth of the bound while it reads
    polls.push_back(std::make_unique<HttpClient>(*http));
    polls.back()->feed(HttpClient::request("GET", std::string(kRecords) + "?max_wait_ms=60000"));
    run_until(*polls.back(), [&] { return held() < (i + 1) * kLittle; });
  }
  EXPECT_EQ(client->call("POST", kRecords, record_of(2'000'000 / 4)).status, 200u);
  for (auto& poll : polls) {
    const Answered answered = poll->await();
    EXPECT_EQ(answered.status, 200u);
    EXPECT_THAT(answered.body.substr(0, 40), HasSubstr("\"partition\":0"));
  }
}

TEST_F(HttpFairnessTest, WhatComesBehindAnEventStreamIsNotTakenIn) {
  client->feed(HttpClient::request("GET", "/api/v1/topics/orders/events"));
  ASSERT_TRUE(client->await_text(": begins"));
  const std::uint64_t before = held();
  const std::string post = HttpClient::request("POST", kRecords, record_of(1'000'000));
  client->feed(post.substr(0, 500'000));
  EXPECT_EQ(client->connection.pauses, 1) << "the kernel's buffer is the bound";
  client->feed(post.substr(500'000));  // what was received before the pause
  EXPECT_LT(held(), before + kLittle);
}

TEST_F(HttpFairnessTest, ABodyBehindALongPollIsTakenInWhenThatIsAnswered) {
  client->feed(
      HttpClient::request("GET", std::string(kRecords) + "?partition=0&max_wait_ms=60000") +
      HttpClient::request("POST", kRecords, record_of(900'000)));
  run_until(*client, [&] { return held() < kLittle; });
  EXPECT_EQ(client->connection.pauses, 1);
  HttpClient other(*http);
  EXPECT_EQ(other.call("POST", kRecords, record_of(10)).status, 200u);
  EXPECT_THAT(client->await().body, HasSubstr("xxx"));
  EXPECT_EQ(client->await().status, 200u);
  EXPECT_EQ(client->connection.pauses, 0);
}

TEST_F(HttpFairnessTest, AChunkedBodyAboveTheLimitIsRefusedAndGivesItsMemoryBack) {
  client->feed(
      "POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" +
      std::string(4096, ' ') + "\r\n");
  const std::string piece = "3e8\r\n" + std::string(1000, ' ') + "\r\n";
  const std::uint64_t most = store->memory().limit_bytes() / 8 + kMaxHeaderBytes;
  for (std::uint64_t sent = 4096; sent <= most && client->connection.sent.empty(); sent += 1000) {
    client->feed(piece);
  }
  const Answered answered = client->await();
  EXPECT_EQ(answered.status, 413u);
  EXPECT_THAT(answered.body, HasSubstr("body_too_large"));
  EXPECT_LT(held(), kLittle);
}

TEST_F(HttpFairnessTest, TheNamesOfACsvHeaderDoNotMultiplyWithoutBound) {
  std::string body = std::string(20'000, 'n') + "\n";
  for (int i = 0; i < 9999; ++i) body += "1\n";
  const Answered answered = client->call("POST", kRecords, body, "Content-Type: text/csv\r\n");
  EXPECT_EQ(answered.status, 413u);
  EXPECT_THAT(answered.body, HasSubstr("CSV header"));
  std::string usual = "amount,currency,customer\n";
  for (int i = 0; i < 5000; ++i) usual += "1,EUR,7\n";
  EXPECT_EQ(client->call("POST", kRecords, usual, "Content-Type: text/csv\r\n").status, 200u);
}

TEST_F(HttpFairnessTest, ManyMembersAreComparedInReasonableTime) {
  std::string body = R"({"value":1,"headers":{)";
  for (int i = 0; i < 150'000; ++i) body += "\"" + std::to_string(i) + "\":\"\",";
  const Answered answered = client->call("POST", kRecords, body + "\"0\":\"\"}}");
  EXPECT_EQ(answered.status, 400u) << "the first name again; waited for ten seconds at most";
  EXPECT_THAT(answered.body, HasSubstr("twice"));
}

TEST_F(HttpFairnessTest, AnAnswerThatIsNotReadHoldsItsMemory) {
  fill(6);
  client->connection.reads = false;
  client->feed(HttpClient::request("GET", std::string(kRecords) + "?partition=0"));
  run_until(*client, [&] { return client->connection.unsent > 2'000'000; });
  EXPECT_GE(held(), client->connection.unsent - kLittle);
  EXPECT_LE(held(), client->connection.unsent + kLittle) << "and no more than it is";
  client->connection.reads = true;
  client->connection.take_output(*client->session);
  EXPECT_LT(held(), kLittle);
}

TEST_F(HttpFairnessTest, AnswersToOneConnectionStayWithinTheBound) {
  fill(8);
  client->connection.reads = false;
  std::string all;
  for (std::size_t i = 0; i < kMaxPipelined; ++i) {
    all += HttpClient::request("GET", std::string(kRecords) + "?partition=0");
  }
  client->feed(all);
  run_until(*client, [&] { return client->connection.unsent > kOutputLowMark; });
  while (client->connection.unsent > 0) {
    EXPECT_LE(client->connection.unsent, store->memory().limit_bytes() + kLittle);
    EXPECT_LE(client->connection.unsent, held() + 1'000'000);
    client->connection.take_output(*client->session);
    client->run_posted();
  }
}

TEST_F(HttpFairnessTest, WhoHasSentAHeadHasShownWhatItIs) {
  const std::string post = HttpClient::request("POST", kRecords, record_of(1'000));
  client->feed(post.substr(0, 40));
  EXPECT_EQ(client->connection.sends, 0);
  client->feed(post.substr(40, post.size() - 200));
  EXPECT_EQ(client->connection.sends, 1) << "the time for a handshake is over, not for the body";
  client->feed(post.substr(post.size() - 160));
  EXPECT_EQ(client->await().status, 200u);
}

}  // namespace
}  // namespace runnel::broker::http
