// Webhooks that come in, over HTTP: definitions, signatures, repeats, and what becomes of a
// request.
#include <gmock/gmock.h>

#include "broker/hooks/digest.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HooksTest : public HttpApiTest {
 protected:
  Answered define(const std::string& name, const std::string& body) {
    return client->call("PUT", "/api/v1/hooks/" + name, body);
  }
  void define_stripe(const std::string& more = {}) {
    const Answered answered =
        define("pay", R"({"topic":"orders","signature":"stripe","secrets":["whsec_test_secret"],)"
                      R"("key":"/customer","time":"/created","time_unit":"s","dedup":"/id",)"
                      R"("headers":["User-Agent"])" +
                          more + "}");
    ASSERT_EQ(answered.status, 201u) << answered.body;
  }
  /// Signed as Stripe does it, `age` seconds ago.
  static std::string stripe_header(const std::string& body, std::int64_t age = 0,
                                   std::string_view secret = "whsec_test_secret") {
    const std::string time = std::to_string(storage::Clock::system().now().value() / 1000 - age);
    return "Stripe-Signature: t=" + time +
           ",v1=" + hooks::hex_of(hooks::hmac_sha256(secret, {time, ".", body})) + "\r\n";
  }
  Answered send(const std::string& hook, const std::string& body, const std::string& headers) {
    return client->call("POST", "/hooks/" + hook, body, headers);
  }
  Answered send_stripe(const std::string& body) { return send("pay", body, stripe_header(body)); }
  std::int64_t count(const std::string& what, const std::string& hook = "pay") {
    return get("/api/v1/hooks/" + hook).at("counts").at(what).as_int64();
  }
  std::size_t stored() { return get(records + "?from=start").at("records").as_array().size(); }
};

const std::string kEvent = R"({"id":"evt_1", "created":1750000000,"customer":"ann"})";

TEST_F(HooksTest, ARequestBecomesARecord) {
  define_stripe();
  const Answered answered =
      send("pay", kEvent, stripe_header(kEvent) + "User-Agent: Stripe/1.0\r\n");
  ASSERT_EQ(answered.status, 200u) << answered.body;
  EXPECT_THAT(answered.body, HasSubstr("\"duplicate\":false"));
  const auto record = get(records + "?from=start").at("records").at(0);
  EXPECT_EQ(record.at("key"), "ann");
  EXPECT_EQ(record.at("timestamp"), 1'750'000'000'000);
  EXPECT_EQ(record.at("value").at("id"), "evt_1");
  EXPECT_EQ(record.at("headers"), boost::json::parse(R"([
    {"name":"content-type","value":"application/json"},
    {"name":"User-Agent","value":"Stripe/1.0"}])"));
  const Answered raw =
      client->call("GET", records + "?from=start", {}, "Accept: application/x-ndjson\r\n");
  EXPECT_THAT(raw.body, HasSubstr(kEvent)) << "byte by byte";
  EXPECT_EQ(count("stored"), 1);
}

TEST_F(HooksTest, ARepeatIsAnsweredAndStoredOnce) {
  define_stripe();
  const auto first = boost::json::parse(send_stripe(kEvent).body);
  // Some senders change their bodies a little when they try again.
  const auto again = boost::json::parse(
      send_stripe(R"({"id":"evt_1","created":1750000000,"customer":"ann","tries":2})").body);
  EXPECT_EQ(again.at("duplicate"), true);
  EXPECT_EQ(again.at("offset"), first.at("offset"));
  EXPECT_EQ(again.at("partition"), first.at("partition"));
  send_stripe(R"({"id":"evt_2","created":1750000000,"customer":"ann"})");
  EXPECT_EQ(stored(), 2u);
  EXPECT_EQ(count("stored"), 2);
  EXPECT_EQ(count("duplicates"), 1);
}

TEST_F(HooksTest, WhoCannotSignIsRefused) {
  define_stripe();
  for (const std::string& headers :
       {std::string(), stripe_header(kEvent, 0, "another secret"), stripe_header(kEvent + " "),
        stripe_header(kEvent, 301), stripe_header(kEvent, -301)}) {
    const Answered answered = send("pay", kEvent, headers);
    EXPECT_EQ(answered.status, 403u) << headers;
    EXPECT_EQ(answered.header("Content-Type"), "application/problem+json");
    EXPECT_THAT(answered.body, HasSubstr("urn:runnel:problem:unauthorized"));
    EXPECT_THAT(answered.body, Not(HasSubstr("whsec_test_secret")));
  }
  EXPECT_EQ(send("none", kEvent, stripe_header(kEvent)).status, 404u);
  EXPECT_EQ(stored(), 0u);
  EXPECT_EQ(count("refused"), 5);
}

TEST_F(HooksTest, GithubAndWhateverBody) {
  ASSERT_EQ(define("gh", R"({"topic":"orders","signature":"github","secrets":["not this one",)"
                         R"("It's a Secret to Everybody"],"dedup":"header:X-GitHub-Delivery"})")
                .status,
            201u);
  const std::string headers =
      "Content-Type: text/plain; charset=latin1\r\nX-GitHub-Delivery: 7f\r\nX-Hub-Signature-256: "
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n";
  EXPECT_EQ(send("gh", "Hello, World!", headers).status, 200u);
  EXPECT_EQ(send("gh", "Hello, World?", headers).status, 403u);
  EXPECT_EQ(get(records + "?from=start").at("records").at(0).at("text"), "Hello, World!");
  EXPECT_EQ(send("gh", "", "Content-Length: 0\r\n").status, 400u);
}

TEST_F(HooksTest, LargeBodiesAreWorkedOnElsewhere) {
  ASSERT_EQ(define("any", R"({"topic":"orders","signature":"none","key":".id"})").status, 201u);
  const std::string body = R"({"id":"a","text":")" + std::string(700'000, 'x') + "\"}";
  EXPECT_EQ(send("any", body, "").status, 200u);
  EXPECT_EQ(send("any", R"({"text":")" + std::string(700'000, 'x') + "\"}", "").status, 400u);
  const std::string larger = R"({"id":"a","text":")" + std::string(1'100'000, 'x') + "\"}";
  EXPECT_EQ(send("any", larger, "").status, 413u);
  EXPECT_EQ(stored(), 1u);
}

TEST_F(HooksTest, WhatIsMissing) {
  define_stripe();
  const Answered refused = send_stripe(R"({"id":"evt_1","created":1750000000})");
  EXPECT_EQ(refused.status, 400u);
  EXPECT_THAT(refused.body, HasSubstr("/customer"));
  EXPECT_EQ(count("failed"), 1);
  ASSERT_EQ(define("pay", R"({"topic":"orders","signature":"stripe","key":"/customer",)"
                          R"("dedup":"/id","on_missing":"keep"})")
                .status,
            200u)
      << "the secrets stay";
  EXPECT_EQ(send_stripe(R"({"id":"evt_1","created":1750000000})").status, 200u);
  EXPECT_EQ(send_stripe("no json").status, 200u);
  EXPECT_EQ(stored(), 2u);
  EXPECT_EQ(count("failed"), 1) << "counts go on when it is defined anew";
}

TEST_F(HooksTest, SecretsAreNeverAnswered) {
  define_stripe();
  for (const char* target : {"/api/v1/hooks", "/api/v1/hooks/pay"}) {
    const Answered shown = client->call("GET", target);
    EXPECT_THAT(shown.body, HasSubstr("\"secret_count\":1"));
    EXPECT_THAT(shown.body, Not(HasSubstr("whsec_test_secret")));
  }
  EXPECT_EQ(client->call("DELETE", "/api/v1/hooks/pay").status, 204u);
  EXPECT_EQ(client->call("DELETE", "/api/v1/hooks/pay").status, 404u);
  EXPECT_EQ(send_stripe(kEvent).status, 404u);
  EXPECT_TRUE(store->read_state("hook/")->empty());
}

TEST_F(HooksTest, DefinitionsOutliveTheBroker) {
  define_stripe();
  const hooks::Hooks again(*store, storage::Clock::system(), nullptr);
  const auto found = again.find("pay");
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)->hook.secrets.front(), "whsec_test_secret");
  storage::CommitRequest damage;
  damage.state.push_back({"hook/pay", std::string("\x01", 1)});
  ASSERT_TRUE(store->commit_and_wait(std::move(damage)).result);
  std::string warned;
  const hooks::Hooks damaged(*store, storage::Clock::system(),
                             [&](std::string_view line) { warned = line; });
  EXPECT_EQ(damaged.find("pay").error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(warned, HasSubstr("'pay'"));
}

TEST_F(HooksTest, WhatMayNotBeDefined) {
  const auto status = [&](const std::string& body, const std::string& name = "a") {
    return define(name, body).status;
  };
  EXPECT_EQ(status(R"({"topic":"orders"})"), 400u) << "it has to say that anybody may send";
  EXPECT_EQ(status(R"({"topic":"none","signature":"none"})"), 404u);
  EXPECT_EQ(status(R"({"signature":"none"})"), 400u);
  EXPECT_EQ(status(R"({"topic":"orders","signature":"md5"})"), 400u);
  EXPECT_EQ(status(R"({"topic":"orders","signature":"github"})"), 400u);
  EXPECT_EQ(status(R"({"topic":"orders","signature":"none","keys":"/id"})"), 400u);
  EXPECT_EQ(status(R"({"topic":"orders","signature":"none","key":"id"})"), 400u);
  EXPECT_EQ(status(R"({"topic":"orders","signature":"none","time_unit":"h"})"), 400u);
  EXPECT_EQ(status(R"({"topic":"orders","signature":"none"})", "a%2Fb"), 400u);
  const Answered short_secret =
      define("a", R"({"topic":"orders","signature":"github","secrets":["topsec"]})");
  EXPECT_EQ(short_secret.status, 400u);
  EXPECT_THAT(short_secret.body, Not(HasSubstr("topsec")));
  EXPECT_TRUE(get("/api/v1/hooks").at("hooks").as_array().empty());
}

}  // namespace
}  // namespace runnel::broker::http
