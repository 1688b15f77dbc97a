// Webhooks that go out, over a real store: what is sent, tried again, buried, and goes on after a
// restart. Only the network is missing: tests/broker/net/outgoing_test.cc has it.
#include <gmock/gmock.h>

#include "broker/hooks/signature.h"
#include "broker/http/webhook_letter.h"
#include "broker/http/webhook_service.h"
#include "storage/views/worker/dead_letters.h"
#include "tests/broker/http/http_world.h"
#include "tests/support/held_file_system.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

class WebhooksTest : public HttpApiTest {
 protected:
  explicit WebhooksTest(storage::FileSystem& files = storage::FileSystem::posix())
      : HttpApiTest(128u << 20, {}, files) {
    EXPECT_TRUE(store->create_topic({"sales", 1, {}}));
  }

  Answered define(const std::string& more = {}, const std::string& name = "out") {
    return client->call(
        "PUT", "/api/v1/webhooks/" + name,
        R"({"topic":"sales","url":"http://shop.example/in","from":"start")" + more + "}");
  }
  void append(const std::string& key, const std::string& value) {
    post("/api/v1/topics/sales/records", "[{\"key\":\"" + key + "\",\"value\":" + value + "}]");
  }
  boost::json::value shown(const std::string& name = "out") {
    return get("/api/v1/webhooks/" + name);
  }
  /// Waits until `what` of the webhook's first partition is this.
  void await_place(const std::string& what, std::int64_t value, const std::string& name = "out") {
    for (;;) {
      const auto places = shown(name).at("places").as_array();
      if (!places.empty() && places[0].at(what).as_int64() == value) return;
      std::this_thread::yield();
    }
  }
  /// Waits until the store has the place.
  void await_stored(std::int64_t next) {
    for (;;) {
      const auto entries = store->read_state("webhook-place/out/0").value();
      if (!entries.empty() && hooks::Progress::decode(entries[0].second)->next == Offset(next)) {
        return;
      }
      std::this_thread::yield();
    }
  }
};

TEST_F(WebhooksTest, ARecordIsSentAndSigned) {
  ASSERT_EQ(define(R"(,"secrets":[")" + std::string(kSecret) + "\"]").status, 201u);
  append("ann", R"({"id":7})");
  const auto sent = receiver.await();
  EXPECT_EQ(sent.request.url.authority() + sent.request.url.target, "shop.example/in");
  EXPECT_THAT(sent.request.body, HasSubstr(R"("key":"ann","value":{"id":7}})"));
  EXPECT_EQ(sent.header("Content-Type"), "application/json");
  const std::vector<std::string> secrets{std::string(kSecret)};
  std::map<std::string, std::string, std::less<>> headers;
  for (const auto& [name, value] : sent.request.headers) headers[name] = value;
  const Status verified = hooks::verify(
      {hooks::Scheme::kStandard, secrets, std::chrono::seconds(300),
       storage::Clock::system().now()},
      [&](std::string_view name) {
        const auto found = headers.find(name);
        return found != headers.end() ? &found->second : nullptr;
      },
      sent.request.body);
  EXPECT_TRUE(verified) << verified.error().message();
  sent.answer(204);
  await_place("next", 1);
  EXPECT_EQ(shown().at("counts").at("delivered"), 1);
  EXPECT_EQ(shown().at("state"), "running");
}

TEST_F(WebhooksTest, WhatFailsIsTriedAgainUnderItsName) {
  ASSERT_EQ(define().status, 201u);
  append("ann", "1");
  append("ann", "2");
  append("bob", "3");
  const auto first = receiver.await();
  const auto other = receiver.await();
  EXPECT_THAT(other.request.body, HasSubstr("\"value\":3")) << "2 has to wait for 1";
  first.answer(500);
  const auto again = receiver.await();
  EXPECT_EQ(again.header("webhook-id"), first.header("webhook-id"));
  EXPECT_THAT(again.request.body, HasSubstr("\"value\":1"));
  again.done(fail(ErrorCode::kDisconnected, "shop.example: connecting: refused"));
  receiver.await().answer(200);
  const auto second = receiver.await();
  EXPECT_THAT(second.request.body, HasSubstr("\"value\":2"));
  EXPECT_NE(second.header("webhook-id"), first.header("webhook-id"));
  second.answer(200);
  other.answer(200);
  await_place("next", 3);
  EXPECT_EQ(shown().at("counts").at("failed_attempts"), 2);
  EXPECT_EQ(shown().at("last_error"), "shop.example: connecting: refused");
}

TEST_F(WebhooksTest, ANameWhoseTurnDidNotComeIsNoAttempt) {
  ASSERT_EQ(define(R"(,"max_attempts":1)").status, 201u);
  append("ann", "1");
  receiver.await().done(fail(ErrorCode::kOverloaded, "shop.example: its turn did not come"));
  while (shown().at("last_error").is_null()) std::this_thread::yield();
  EXPECT_EQ(shown().at("counts").at("failed_attempts"), 0);
  EXPECT_EQ(shown().at("counts").at("dead"), 0);
  EXPECT_EQ(shown().at("in_flight"), 0);
}

TEST_F(WebhooksTest, WhatFailsTooOftenIsADeadLetter) {
  ASSERT_EQ(define(R"(,"max_attempts":2)").status, 201u);
  append("ann", "1");
  append("ann", "2");
  receiver.await().answer(500);
  receiver.await().answer(301);  // redirects are not followed
  const auto next = receiver.await();
  EXPECT_THAT(next.request.body, HasSubstr("\"value\":2"));
  next.answer(200);
  await_place("next", 2);
  const auto letters =
      get("/api/v1/topics/__webhook-dlq.out/records?from=start").at("records").as_array();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].at("key"), "ann");
  EXPECT_EQ(letters[0].at("value"), 1);
  const std::string headers = boost::json::serialize(letters[0].at("headers"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.webhook","value":"out"})"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.topic","value":"sales"})"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.offset","value":"0"})"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.error","value":"shop.example answered 301"})"));
  EXPECT_EQ(shown().at("counts").at("dead"), 1);
  EXPECT_FALSE(store->partition(storage::views::dead_letter_topic("out"), PartitionIndex(0)))
      << "those of a view with its name";
}

TEST_F(WebhooksTest, WhatItsLettersTopicDoesNotTakeIsALetterWithoutIt) {
  ASSERT_TRUE(store->create_topic({"__webhook-dlq.out", 1, {{"max.message.bytes", "2000"}}}));
  ASSERT_EQ(define(R"(,"max_attempts":1)").status, 201u);
  const std::string large = "\"" + std::string(3000, 'x') + "\"";
  append("ann", large);
  append("ann", "2");
  append(std::string(20'000, 'k'), large);
  receiver.await().answer(500);
  receiver.await().answer(500);
  receiver.await().answer(500);
  await_place("next", 3);
  const auto letters =
      get("/api/v1/topics/__webhook-dlq.out/records?from=start").at("records").as_array();
  ASSERT_EQ(letters.size(), 3u);
  std::map<std::string, boost::json::value> by_offset;
  for (const auto& letter : letters) {
    for (const auto& header : letter.at("headers").as_array()) {
      if (header.at("name") != "runnel.offset") continue;
      by_offset[std::string(header.at("value").as_string())] = letter;
    }
  }
  const auto& first = by_offset["0"];
  EXPECT_EQ(first.at("key"), "ann");
  EXPECT_TRUE(first.at("value").is_null());
  const std::string headers = boost::json::serialize(first.at("headers"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.value","value":"too large"})"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.value-bytes","value":"3002"})"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.error","value":"shop.example answered 500"})"));
  EXPECT_EQ(by_offset["1"].at("value"), 2) << "what fits is whole";
  EXPECT_TRUE(by_offset["2"].at("key").is_null());
  EXPECT_THAT(boost::json::serialize(by_offset["2"].at("headers")),
              HasSubstr(R"({"name":"runnel.key-bytes","value":"20000"})"));
  EXPECT_EQ(shown().at("state"), "running");
}

TEST_F(WebhooksTest, WhereNoKeyFitsTheLetterHasNone) {
  const std::string least = std::to_string(kMinLettersTopicBytes);
  ASSERT_TRUE(store->create_topic({"__webhook-dlq.out", 1, {{"max.message.bytes", least}}}));
  ASSERT_EQ(define(R"(,"max_attempts":1)").status, 201u);
  append(std::string(2000, 'k'), "1");
  receiver.await().done(fail(ErrorCode::kDisconnected, std::string(3000, 'e')));
  await_place("next", 1);
  const auto letter =
      get("/api/v1/topics/__webhook-dlq.out/records?from=start").at("records").at(0);
  EXPECT_TRUE(letter.at("key").is_null());
  EXPECT_THAT(boost::json::serialize(letter.at("headers")),
              HasSubstr(R"({"name":"runnel.key-bytes","value":"2000"})"));
}

/// Of a value: its length in the batch, 14, and its beginning.
constexpr const char* kDamagedSoon = "\x1c\"damaged soon";

TEST_F(WebhooksTest, ADamagedRecordHasALetterToo) {
  ASSERT_EQ(define(R"(,"max_attempts":1)").status, 201u);
  append("ann", "\"damaged soon\"");
  const auto sent = receiver.await();
  damage(kDamagedSoon);
  sent.answer(500);
  await_place("next", 1);
  const auto letter =
      get("/api/v1/topics/__webhook-dlq.out/records?from=start").at("records").at(0);
  EXPECT_TRUE(letter.at("key").is_null());
  const std::string headers = boost::json::serialize(letter.at("headers"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.record","value":"damaged"})"));
  EXPECT_THAT(headers, HasSubstr(R"({"name":"runnel.offset","value":"0"})"));
}

TEST_F(WebhooksTest, ADamagedPartitionStopsNoOther) {
  ASSERT_TRUE(store->create_topic({"wide", 2, {}}));
  const auto put = [&](int partition, const std::string& value) {
    post("/api/v1/topics/wide/records",
         R"([{"partition":)" + std::to_string(partition) + ",\"value\":" + value + "}]");
  };
  put(0, "\"damaged soon\"");
  put(1, "1");
  damage(kDamagedSoon);
  ASSERT_EQ(client
                ->call("PUT", "/api/v1/webhooks/out",
                       R"({"topic":"wide","url":"http://shop.example/in","from":"start"})")
                .status,
            201u);
  for (const char* value : {"1", "2"}) {
    const auto sent = receiver.await();
    EXPECT_THAT(sent.request.body, HasSubstr(std::string("\"value\":") + value));
    sent.answer(200);
    if (*value == '1') put(1, "2");
  }
  EXPECT_EQ(shown().at("state"), "failing");
  EXPECT_FALSE(shown().at("problem").is_null());
}

TEST_F(WebhooksTest, ALetterThatIsRefusedStopsNoOtherRecord) {
  ASSERT_TRUE(store->create_topic({"__webhook-dlq.out", 1, {{"max.message.bytes", "100"}}}));
  ASSERT_EQ(define(R"(,"max_attempts":1)").status, 201u);
  append("ann", "1");
  receiver.await().answer(500);
  while (shown().at("state") != "failing") std::this_thread::yield();
  append("bob", "2");
  const auto other = receiver.await();
  EXPECT_THAT(other.request.body, HasSubstr("\"value\":2"));
  other.answer(200);
  while (shown().at("counts").at("delivered") != 1) std::this_thread::yield();
  EXPECT_EQ(shown().at("state"), "failing") << "the first one waits";
}

TEST_F(WebhooksTest, ARestartGoesOnExactly) {
  ASSERT_EQ(define().status, 201u);
  append("ann", "1");
  append("bob", "2");
  append("cid", "3");
  receiver.await().answer(200);
  const auto lost = receiver.await();  // it was received, and nobody here knows
  receiver.await().answer(200);
  await_place("next", 1);
  for (;;) {  // until the store knows of the third
    const auto entries = store->read_state("webhook-place/out/0").value();
    if (!entries.empty() && hooks::Progress::decode(entries[0].second)->done.size() == 1) break;
    std::this_thread::yield();
  }
  restart_webhooks();
  lost.answer(200);  // for a broker that is gone
  const auto again = receiver.await();
  EXPECT_THAT(again.request.body, HasSubstr("\"value\":2"));
  again.answer(200);
  await_stored(3);
  EXPECT_EQ(receiver.waiting(), 0u) << "neither 1 nor 3 comes again";
}

TEST_F(WebhooksTest, PauseResumeReplayDelete) {
  ASSERT_EQ(define().status, 201u);
  append("ann", "1");
  receiver.await().answer(200);
  await_place("next", 1);
  EXPECT_EQ(client->call("POST", "/api/v1/webhooks/out/pause").status, 200u);
  append("ann", "2");
  EXPECT_EQ(shown().at("state"), "paused");
  restart_webhooks();
  EXPECT_EQ(shown().at("state"), "paused") << "after a restart, too";
  EXPECT_EQ(receiver.waiting(), 0u);
  EXPECT_EQ(client->call("POST", "/api/v1/webhooks/out/resume").status, 200u);
  const auto second = receiver.await();
  EXPECT_THAT(second.request.body, HasSubstr("\"value\":2"));
  second.answer(200);
  await_place("next", 2);
  post("/api/v1/webhooks/out/replay", R"({"from":"start"})");
  const auto again = receiver.await();
  EXPECT_THAT(again.request.body, HasSubstr("\"value\":1"));
  again.answer(200);
  receiver.await().answer(200);
  await_place("next", 2);
  post("/api/v1/webhooks/out/replay", R"({"from":"99"})", 416);
  post("/api/v1/webhooks/out/replay", "{}", 400);
  EXPECT_EQ(client->call("DELETE", "/api/v1/webhooks/out").status, 204u);
  EXPECT_TRUE(store->read_state("webhook")->empty());
  for (const char* target : {"", "/pause", "/resume"}) {
    const std::string method = *target == '\0' ? "GET" : "POST";
    EXPECT_EQ(client->call(method, std::string("/api/v1/webhooks/out") + target).status, 404u);
  }
}

TEST_F(WebhooksTest, FilterAndTemplate) {
  ASSERT_EQ(define(R"(,"filter":[".amount>=10"],"content_type":"text/plain",)"
                   R"("template":"${key} of ${topic}: ${/who/name} gave ${.amount} ${/none}")")
                .status,
            201u);
  append("small", R"({"amount":9.99,"who":{"name":"Bob"}})");
  append("large", R"({"amount":10.50,"who":{"name":"Ann \"A\""}})");
  const auto sent = receiver.await();
  EXPECT_EQ(sent.request.body, R"(large of sales: Ann \"A\" gave 10.50 null)");
  EXPECT_EQ(sent.header("Content-Type"), "text/plain");
  EXPECT_EQ(sent.header("webhook-signature"), "");
  sent.answer(200);
  await_place("next", 2);
  ASSERT_EQ(define(R"(,"body":"value")").status, 200u) << "it goes on where it is";
  append("a", R"({"as" : "it stands"})");
  const auto value = receiver.await();
  EXPECT_EQ(value.request.body, R"({"as" : "it stands"})");
  value.answer(200);
}

TEST_F(WebhooksTest, ChangesOfAViewComeFromItsTopic) {
  const auto sql = [&](const std::string& text) {
    post("/api/v1/sql", boost::json::serialize(boost::json::object{{"sql", text}}));
  };
  const auto put = [&](const std::string& source) {
    return client->call("PUT", "/api/v1/webhooks/out",
                        "{" + source + R"(,"url":"http://shop.example/in","from":"start"})");
  };
  sql("CREATE SOURCE facts (campaign VARCHAR) ON TOPIC 'sales'");
  const std::string select = " AS SELECT campaign, count(*) AS gifts FROM facts GROUP BY campaign";
  sql("CREATE MATERIALIZED VIEW quiet" + select);
  sql("CREATE MATERIALIZED VIEW totals WITH (changelog_topic = 'totals-changes')" + select);
  EXPECT_EQ(put(R"("view":"none")").status, 404u);
  const Answered no_topic = put(R"("view":"quiet")");
  EXPECT_EQ(no_topic.status, 400u);
  EXPECT_THAT(no_topic.body, HasSubstr("changelog_topic"));
  EXPECT_EQ(put(R"("view":"totals","topic":"sales")").status, 400u);
  ASSERT_EQ(put(R"("view":"totals")").status, 201u);
  EXPECT_EQ(shown().at("topic"), "totals-changes");
  append("k", R"({"campaign":"sea"})");
  const auto first = receiver.await();
  EXPECT_THAT(first.request.body, HasSubstr(R"("value":{"campaign":"sea","gifts":1})"));
  append("k", R"({"campaign":"sea"})");
  append("k", R"({"campaign":"owls"})");
  const auto other = receiver.await();
  EXPECT_THAT(other.request.body, HasSubstr(R"("campaign":"owls")")) << "its row goes on";
  other.answer(200);
  first.answer(503);
  const auto again = receiver.await();
  EXPECT_EQ(again.request.body, first.request.body) << "the changes of a row in their order";
  again.answer(200);
  const auto second = receiver.await();
  EXPECT_THAT(second.request.body, HasSubstr(R"("value":{"campaign":"sea","gifts":2})"));
  second.answer(200);
  // Another generation: what it has no row of is gone, then come all rows.
  sql("CREATE OR REPLACE MATERIALIZED VIEW totals WITH (changelog_topic = 'totals-changes') AS "
      "SELECT campaign, count(*) AS gifts FROM facts WHERE campaign = 'sea' GROUP BY campaign");
  const auto gone = receiver.await();
  EXPECT_THAT(gone.request.body, HasSubstr("owls"));
  EXPECT_THAT(gone.request.body, HasSubstr(R"("value":null)"));
  gone.answer(200);
}

TEST_F(WebhooksTest, WhatMayNotBeDefined) {
  const auto refused = [&](const std::string& body) {
    return client->call("PUT", "/api/v1/webhooks/a", body).status;
  };
  EXPECT_EQ(refused(R"({"topic":"sales"})"), 400u);
  EXPECT_EQ(refused(R"({"topic":"__webhook-dlq.a","url":"http://127.0.0.1:1/"})"), 400u);
  EXPECT_EQ(refused(R"({"topic":"none","url":"http://a/"})"), 404u);
  for (const char* url : {"ftp://a/", "http://", "http://u:p@a/", "http://a:0/", "http://a/#b",
                          "http://a b/", "http://[::1/"}) {
    EXPECT_EQ(refused(R"({"topic":"sales","url":")" + std::string(url) + "\"}"), 400u) << url;
  }
  const std::string good = R"({"topic":"sales","url":"http://a/")";
  for (const char* more :
       {R"(,"secrets":["short"])", R"(,"filter":["?"])", R"(,"body":"all")",
        R"(,"body":"template")", R"(,"template":"${nothing}")", R"(,"template":"${key")",
        R"(,"max_attempts":0)", R"(,"max_attempts":101)", R"(,"timeout_ms":0)",
        R"(,"from":"never")", R"(,"content_type":"a\r\nb")", R"(,"colour":"red")"}) {
    EXPECT_EQ(refused(good + more + "}"), 400u) << more;
  }
  EXPECT_TRUE(get("/api/v1/webhooks").at("webhooks").as_array().empty());
}

TEST_F(WebhooksTest, SecretsAreNeverAnswered) {
  const Answered made = define(R"(,"secrets":[")" + std::string(kSecret) + "\"]");
  EXPECT_THAT(made.body, HasSubstr("\"secret_count\":1"));
  EXPECT_THAT(made.body, Not(HasSubstr("whsec_")));
  EXPECT_THAT(client->call("GET", "/api/v1/webhooks").body, Not(HasSubstr("whsec_")));
}

TEST_F(WebhooksTest, ATopicThatIsGoneIsTold) {
  ASSERT_EQ(define().status, 201u);
  append("ann", "1");
  receiver.await().answer(200);
  await_stored(1);
  ASSERT_TRUE(store->delete_topic("sales"));
  restart_webhooks();
  while (shown().at("state") != "failing") std::this_thread::yield();
  EXPECT_THAT(std::string(shown().at("problem").as_string()), HasSubstr("sales"));
}

TEST_F(WebhooksTest, WhatWaitsIsCountedAndBounded) {
  ASSERT_EQ(define(R"(,"body":"value")").status, 201u);
  const auto held = [&] { return store->memory().held_bytes(); };
  const auto before = held();
  for (int i = 0; i < 400;) {
    std::string rows;
    for (const int end = i + 50; i < end; ++i) {
      rows += (rows.empty() ? "[" : ",") + (R"({"key":")" + std::string(10'000, 'k')) +
              std::to_string(i % 50) + R"(","value":")" + std::string(20'000, 'v') + "\"}";
    }
    post("/api/v1/topics/sales/records", rows + "]");
  }
  const auto memory = [&] { return shown().at("memory_bytes").as_int64(); };
  while (memory() < (4 << 20)) std::this_thread::yield();
  EXPECT_LT(memory(), (4 << 20) + (1 << 20)) << "of a key its hash is kept";
  EXPECT_GE(held(), (4u << 20) - (256u << 10)) << "paid in steps, before more is read";
  EXPECT_THAT(client->call("GET", "/metrics").body, HasSubstr("runnel_webhooks_memory_bytes 4"));
  for (int i = 0; i < 400; ++i) receiver.await().answer(200);
  await_place("next", 400);
  while (memory() > 0 || held() > before) std::this_thread::yield();
}

TEST_F(WebhooksTest, WhatIsDoneIsPaidForNoMore) {
  ASSERT_EQ(define(R"(,"body":"value")").status, 201u);
  const auto before = store->memory().held_bytes();
  const std::string value = '"' + std::string(50'000, 'v') + '"';
  for (int i = 0; i < 60; ++i) append(std::to_string(i), value);
  const auto slow = receiver.await();
  for (int i = 1; i < 60; ++i) receiver.await().answer(200);
  while (shown().at("counts").at("delivered") != 59) std::this_thread::yield();
  EXPECT_LT(store->memory().held_bytes(), before + (1u << 20)) << "one record waits, of 3 MB";
  slow.answer(200);
}

/// Begins before the store and ends after it.
struct HeldDisk {
  storage::HeldFileSystem disk{storage::FileSystem::posix()};
};
struct WebhooksOnASlowDisk : HeldDisk, WebhooksTest {
  WebhooksOnASlowDisk() : WebhooksTest(disk) {}
  void TearDown() override { disk.release(); }  // whatever failed
};

TEST_F(WebhooksOnASlowDisk, WhoAsksDoesNotWaitForIt) {
  ASSERT_EQ(define(R"(,"max_attempts":1)").status, 201u);
  append("ann", "1");
  const auto sent = receiver.await();
  disk.hold();
  sent.answer(500);
  disk.await_held();  // the dead letter
  EXPECT_EQ(shown().at("counts").at("dead"), 0);
  EXPECT_EQ(get("/api/v1/webhooks").at("webhooks").as_array().size(), 1u);
  EXPECT_THAT(client->call("GET", "/metrics").body, HasSubstr("runnel_webhooks_dead_total 0"));
  disk.release();
  await_place("next", 1);
  EXPECT_EQ(shown().at("counts").at("dead"), 1);
}

}  // namespace
}  // namespace runnel::broker::http
