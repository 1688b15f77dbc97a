// Requests by chance and broken ones: no crash, and never an answer that blames the broker.
//
// RUNNEL_HTTP_REQUESTS says how many (100,000 if unset), RUNNEL_HTTP_SEED repeats a run.
#include <cstdlib>
#include <map>
#include <random>
#include <tuple>

#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& all) {
    return all[below(all.size())];
  }
  std::string bytes(std::size_t most) {
    std::string out(below(most + 1), '\0');
    for (char& c : out) c = static_cast<char>(below(256));
    return out;
  }

 private:
  std::mt19937_64 random_;
};

const std::vector<std::string> kMethods{"GET",   "GET",    "GET",     "GET",   "POST", "POST",
                                        "POST",  "PUT",    "GET",     "HEAD",  "POST", "PUT",
                                        "PATCH", "DELETE", "OPTIONS", "TRACE", "get",  "CONNECT"};
const std::vector<std::string> kParts{"api",    "v1",     "topics",  "orders",       "records",
                                      "events", "groups", "readers", "offsets",      "statistics",
                                      "livez",  "readyz", "metrics", "openapi.json", "new-topic",
                                      "%00",    "%C3%A4", "%ff",     "..",           "",
                                      "a%2Fb",  "%"};
const std::vector<std::string> kPaths{"/api/v1/topics",
                                      "/api/v1/topics/orders",
                                      "/api/v1/topics/orders/records",
                                      "/api/v1/topics/small/records",
                                      "/api/v1/topics/orders/events?from=x",
                                      "/api/v1/groups",
                                      "/api/v1/groups/readers",
                                      "/api/v1/groups/readers/offsets",
                                      "/api/v1/statistics",
                                      "/metrics",
                                      "/api/v1/openapi.json"};
const std::vector<std::string> kNames{"partition", "from",   "to",   "limit",     "cursor",
                                      "filter",    "as",     "key",  "timestamp", "durability",
                                      "max_wait",  "prefix", "after"};
const std::vector<std::string> kValues{"0",
                                       "1",
                                       "2",
                                       "3",
                                       "-1",
                                       "99999999999999999999",
                                       "start",
                                       "end",
                                       "-2h",
                                       "@1",
                                       "values",
                                       "records",
                                       "none",
                                       "synced",
                                       ".id",
                                       "id",
                                       "key%3Da",
                                       "key~%28a%7Cb%29%2A",
                                       ".a.b%3E%3D1e999",
                                       "0:0",
                                       "0:0,1:0",
                                       "1:0,0:0",
                                       "",
                                       "%ff",
                                       "true",
                                       "2026-11-21",
                                       "-9223372036854775808",
                                       "%2B5",
                                       "%2B9223372036854775807",
                                       "-9223372036854775807h"};
const std::vector<std::string> kBodies{
    R"({"value":1})",
    R"([{"key":"a","text":"x"},{"value":{"id":"1"}}])",
    R"({"name":"new-topic"})",
    R"({"name":"t2","partitions":2,"configs":{"retention.ms":"1"},"if_not_exists":true})",
    R"({"configs":{"retention.ms":null},"partitions":3})",
    R"({"offsets":[{"topic":"orders","to":"start"}],"dry_run":true})",
    R"({"offsets":[{"topic":"orders","partition":1,"to":null}]})",
    "id,name\n1,a\n2,\"b\"\n",
    "{\"id\":1}\n{\"id\":2}\n",
    "[]",
    "{}",
    "null",
    "\"",
    "[[[[[[[[[[[[[[[[",
    "1e400",
    R"({"value":1,"timestamp":-9223372036854775808})",
    R"({"value":1,"dedup":{"source_type":"a","source_id":"b","data_id":"c"}})",
    R"({"base64":"////","headers":{"a":"b"}})",
    R"({"partition":2147483648,"value":1})"};
const std::vector<std::string> kTypes{"application/json",
                                      "application/x-ndjson",
                                      "text/csv",
                                      "text/plain",
                                      "application/json; charset=latin1",
                                      ""};
const std::vector<std::string> kHeaders{
    "Idempotency-Key: a",          "Accept: text/csv",     "Accept: application/x-ndjson",
    "Connection: keep-alive",      "Last-Event-ID: 0:1",   "Origin: http://localhost",
    "X-Request-Id: \xff",          "Expect: 100-continue", "Content-Encoding: gzip",
    "Accept: */*;q=x, ;;, text/*", "Upgrade: websocket",   "Content-Type: "};

std::string target_of(Chance& chance) {
  std::string out;
  if (chance.one_in(3)) {
    for (std::size_t n = chance.below(6); n > 0; --n) out += "/" + chance.of(kParts);
  } else {
    out = chance.of(kPaths);
  }
  if (out.empty()) out = "/";
  for (std::size_t n = chance.one_in(3) ? 1 + chance.below(3) : 0; n > 0; --n) {
    out += out.find('?') == std::string::npos ? '?' : '&';
    out += chance.of(kNames) + "=" + chance.of(kValues);
  }
  return out;
}

void mutate(Chance& chance, std::string& text) {
  for (std::size_t n = 1 + chance.below(3); n > 0 && !text.empty(); --n) {
    const std::size_t at = chance.below(text.size());
    switch (chance.below(4)) {
      case 0:
        text[at] = static_cast<char>(chance.below(256));
        break;
      case 1:
        text.erase(at, 1 + chance.below(8));
        break;
      case 2:
        text.insert(at, chance.bytes(6));
        break;
      default:
        text.insert(at, text.substr(at, 1 + chance.below(20)));
        break;
    }
  }
}

/// What makes sense, so that most of what is mutated comes far.
const std::vector<std::pair<std::string, std::string>> kSensible{
    {"GET", "/api/v1/topics"},
    {"POST", "/api/v1/topics"},
    {"GET", "/api/v1/topics/orders"},
    {"PATCH", "/api/v1/topics/orders"},
    {"POST", "/api/v1/topics/orders/records"},
    {"POST", "/api/v1/topics/orders/records"},
    {"POST", "/api/v1/topics/small/records"},
    {"POST", "/api/v1/topics/orders/records?as=values&key=.id"},
    {"GET", "/api/v1/topics/orders/records"},
    {"GET", "/api/v1/topics/orders/records?from=-5"},
    {"GET", "/api/v1/topics/orders/events?from=start"},
    {"PUT", "/api/v1/groups/readers/offsets"},
    {"GET", "/api/v1/groups/readers"},
    {"GET", "/metrics"}};

std::string request_of(Chance& chance, bool& head_only) {
  std::string method = chance.of(kMethods);
  std::string target = target_of(chance);
  if (!chance.one_in(3)) {
    std::tie(method, target) = chance.of(kSensible);
    if (chance.one_in(3)) {
      target += target.find('?') == std::string::npos ? '?' : '&';
      target += chance.of(kNames) + "=" + chance.of(kValues);
    }
  }
  head_only = method == "HEAD";
  const bool takes_body = method == "POST" || method == "PUT" || method == "PATCH";
  std::string body;
  if (takes_body != chance.one_in(10)) body = chance.of(kBodies);
  if (!body.empty() && chance.one_in(3)) mutate(chance, body);
  std::string out = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n";
  for (std::size_t n = chance.one_in(2) ? chance.below(3) : 0; n > 0; --n)
    out += chance.of(kHeaders) + "\r\n";
  if (!body.empty()) {
    out += "Content-Type: " + chance.of(kTypes) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  out += "\r\n" + body;
  if (chance.one_in(4)) {
    mutate(chance, out);
    head_only = head_only || out.starts_with("HEAD");
  }
  if (chance.one_in(50)) out = "G" + chance.bytes(200);
  return out;
}

class HttpCampaign : public HttpWorld {};

TEST_F(HttpCampaign, NeverBlamesTheBroker) {
  const std::uint64_t seed = number_from("RUNNEL_HTTP_SEED", std::random_device()());
  const std::uint64_t requests = number_from("RUNNEL_HTTP_REQUESTS", 100'000);
  SCOPED_TRACE("RUNNEL_HTTP_SEED=" + std::to_string(seed));
  Chance chance(seed);
  ASSERT_TRUE(store->create_topic({"small", 1, {{"max.message.bytes", "200"}}}));
  std::map<unsigned, std::uint64_t> statuses;
  auto one = std::make_unique<HttpClient>(*http);
  for (std::uint64_t i = 0; i < requests; ++i) {
    bool head_only = false;
    const std::string request = request_of(chance, head_only);
    const std::size_t cut = chance.below(request.size() + 1);
    one->feed(std::string_view(request).substr(0, cut));
    one->feed(std::string_view(request).substr(cut));
    // It may be half of one: the end of the stream brings what there is to say.
    if (!one->connection.closed) one->session->shutting_down();
    while (!one->connection.closed) {
      ASSERT_TRUE(one->connection.posts->wait()) << "no end after: " << request;
      one->run_posted();
    }
    std::string& sent = one->connection.sent;
    for (std::size_t at = sent.find("HTTP/1.1 "); at != std::string::npos;
         at = sent.find("HTTP/1.1 ", at + 1)) {
      const auto status = static_cast<unsigned>(std::strtoul(sent.c_str() + at + 9, nullptr, 10));
      if (status == 0) continue;  // a problem speaks of HTTP/1.1
      ++statuses[status];
      ASSERT_LT(status, 500u) << request << "\n" << sent;
    }
    one = std::make_unique<HttpClient>(*http);
    if (!store->partition("orders", PartitionIndex(0))) {
      ASSERT_TRUE(store->create_topic({"orders", 3, {}}));
    }
  }
  for (const auto& [status, count] : statuses) std::printf("%u: %lu\n", status, count);
  EXPECT_GT(statuses[200], requests / 10);
}

}  // namespace
}  // namespace runnel::broker::http
