// Events of views: what a subscriber is told adds up to the view, however it comes and goes.
#include <gmock/gmock.h>

#include "broker/http/view_push.h"
#include "broker/http/websocket.h"
#include "tests/broker/http/http_world.h"

namespace runnel::broker::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PushPlaceTest, TextsAreReadBack) {
  const PushPlace place{{2, 1}, 17};
  EXPECT_EQ(to_string(place), "2.1-17");
  EXPECT_EQ(parse_push_place("2.1-17"), place);
  for (const char* text : {"", "2", "2.1", "2.1-", "2.1-17 ", ".1-17", "2.99999-1", "2-1-17", "0:0",
                           "2.1-99999999999999999999", "-2.1-17"}) {
    EXPECT_FALSE(parse_push_place(text)) << text;
  }
}

/// A client of one event stream that applies what it is told.
class Listener {
 public:
  Listener(HttpService& service, const std::string& target, const std::string& headers = {})
      : client(service) {
    client.feed(HttpClient::request("GET", target, {}, headers));
  }
  /// Until an event of this sequence, or a later one, has come.
  void await(std::uint64_t sequence) {
    while (seen < sequence && !ended) {
      client.run_posted();
      if (read()) continue;
      ASSERT_TRUE(client.connection.posts->wait()) << "no event; so far: " << rest;
    }
  }
  /// Takes what came; false: nothing.
  bool read() {
    rest += std::exchange(client.connection.sent, {});
    bool any = false;
    // An event's text lies within one chunk.
    for (std::size_t end = rest.find("\n\n"); end != std::string::npos; end = rest.find("\n\n")) {
      const std::string block = rest.substr(0, end);
      rest.erase(0, end + 2);
      any = true;
      take(block);
    }
    return any;
  }
  void take(const std::string& block) {
    const std::size_t data = block.find("data: ");
    if (const std::size_t id = block.find("id: "); id != std::string::npos) {
      last_id = block.substr(id + 4, block.find('\n', id) - id - 4);
    }
    if (data == std::string::npos) return;
    ++events;
    const auto told = boost::json::parse(block.substr(data + 6));
    if (block.find("event: end") != std::string::npos) {
      ended = true;
      why = block;
      return;
    }
    const std::string type(told.at("type").as_string());
    if (type == "reset") rows.clear();
    types += type + " ";
    for (const auto& row : told.at("rows").as_array()) {
      rows[std::string(row.at("campaign").as_string())] = boost::json::serialize(row);
    }
    if (type == "delta") {
      for (const auto& row : told.at("deleted").as_array()) {
        rows.erase(std::string(row.at("campaign").as_string()));
      }
    }
    seen = static_cast<std::uint64_t>(told.at("sequence").as_int64());
  }

  HttpClient client;
  std::string rest;
  std::map<std::string, std::string> rows;
  std::string types;
  std::string last_id;
  std::string why;
  std::uint64_t seen = 0;
  std::size_t events = 0;
  bool ended = false;
};

class HttpViewEventsTest : public HttpApiTest {
 protected:
  HttpViewEventsTest() {
    sql("CREATE SOURCE gifts (campaign VARCHAR, note VARCHAR) ON TOPIC 'orders'");
    sql("CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS n, last(note) AS note "
        "FROM gifts GROUP BY campaign");
  }
  void sql(const std::string& text) {
    post("/api/v1/sql", boost::json::serialize(boost::json::object{{"sql", text}}));
  }
  /// Stored, and in the views; the view's sequence then.
  std::uint64_t give(const std::string& campaign, const std::string& note = "-") {
    post(records + "?as=values&partition=0&acks=applied",
         boost::json::serialize(boost::json::object{{"campaign", campaign}, {"note", note}}));
    return sequence();
  }
  std::uint64_t sequence() {
    return static_cast<std::uint64_t>(get("/api/v1/views/totals").at("sequence").as_int64());
  }
  static std::string row(const std::string& campaign, int n, const std::string& note = "-") {
    return R"({"campaign":")" + campaign + R"(","n":)" + std::to_string(n) + R"(,"note":")" + note +
           "\"}";
  }
  std::string events = "/api/v1/views/totals/events";
};

TEST_F(HttpViewEventsTest, EveryChangeIsAnEventWhereThatIsWanted) {
  give("sea");
  Listener every(*http, events + "?mode=changes");
  every.await(1);
  for (int i = 0; i < 4; ++i) give("sea");
  every.await(give("sea"));
  EXPECT_EQ(every.types, "snapshot delta delta delta delta delta ");
  EXPECT_EQ(every.rows.at("sea"), row("sea", 6));
  give("owls");
  Listener behind(*http, events + "?mode=changes&after=" + every.last_id);
  behind.await(sequence());
  EXPECT_EQ(behind.types, "delta ");
}

TEST_F(HttpViewEventsTest, RowsThenChanges) {
  give("sea");
  Listener all(*http, events);
  Listener one(*http, events + "?key=owls");
  Listener some(*http, events + "?where=n%20>%201");
  Listener news(*http, events + "?snapshot=false");
  all.await(1);
  EXPECT_THAT(all.client.connection.sent + all.rest, Not(HasSubstr("404")));
  EXPECT_EQ(all.rows.at("sea"), row("sea", 1));
  one.await(1);
  some.await(1);
  news.await(1);
  EXPECT_TRUE(one.rows.empty());
  EXPECT_TRUE(news.rows.empty());
  give("sea");
  const std::uint64_t last = give("owls");
  all.await(last);
  one.await(last);
  some.await(last - 1);
  news.await(last);
  EXPECT_EQ(all.rows,
            (std::map<std::string, std::string>{{"owls", row("owls", 1)}, {"sea", row("sea", 2)}}));
  EXPECT_EQ(news.rows, all.rows);
  EXPECT_EQ(one.rows, (std::map<std::string, std::string>{{"owls", row("owls", 1)}}));
  EXPECT_EQ(some.rows, (std::map<std::string, std::string>{{"sea", row("sea", 2)}}));
  EXPECT_EQ(all.types.substr(0, 9), "snapshot ");
  EXPECT_THAT(all.types, Not(HasSubstr("reset")));
}

TEST_F(HttpViewEventsTest, WhoComesBackIsToldWhatChanged) {
  give("sea");
  std::string id;
  {
    Listener first(*http, events);
    first.await(1);
    id = first.last_id;
  }
  EXPECT_THAT(id, HasSubstr("-1"));
  const std::uint64_t last = give("owls");
  Listener again(*http, events, "Last-Event-ID: " + id + "\r\n");
  again.await(last);
  EXPECT_EQ(again.rows, (std::map<std::string, std::string>{{"owls", row("owls", 1)}}));
  EXPECT_THAT(again.types, Not(HasSubstr("snapshot")));
  // Nothing of another view's changes holds, whatever its name was.
  client->call("DELETE", "/api/v1/views/totals");
  sql("CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS n, 'x' AS note FROM gifts "
      "GROUP BY campaign");
  give("sea");
  Listener other(*http, events, "Last-Event-ID: " + id + "\r\n");
  other.await(sequence());
  EXPECT_EQ(other.types.substr(0, 6), "reset ");
  EXPECT_EQ(other.rows.size(), 2u);
}

TEST_F(HttpViewEventsTest, AViewThatIsDroppedEndsItsEvents) {
  give("sea");
  Listener listener(*http, events);
  listener.await(1);
  client->call("DELETE", "/api/v1/views/totals");
  listener.await(1000);
  EXPECT_TRUE(listener.ended);
  EXPECT_THAT(listener.why, HasSubstr("urn:runnel:problem:not_found"));
}

TEST_F(HttpViewEventsTest, WhoIsSlowMissesStatesAndNoRow) {
  give("sea");
  Listener slow(*http, events);
  Listener quick(*http, events);
  slow.await(1);
  quick.await(1);
  slow.client.connection.reads = false;
  const std::string large(200'000, 'x');
  for (int i = 0; i < 12; ++i) quick.await(give("sea", large + std::to_string(i)));
  quick.await(give("owls"));
  slow.client.run_posted();
  EXPECT_LT(slow.client.connection.most_unsent, 2u << 20);
  slow.read();
  EXPECT_LT(slow.events, quick.events);
  slow.client.connection.reads = true;
  slow.client.connection.take_output(*slow.client.session);
  slow.await(sequence());
  EXPECT_EQ(slow.rows, quick.rows);
  EXPECT_EQ(slow.rows.at("sea"), row("sea", 13, large + "11"));
}

TEST_F(HttpViewEventsTest, MoreThanAnEventHoldsIsReadByEach) {
  give("sea");
  Listener listener(*http, events);
  listener.await(1);
  give("sea");
  listener.await(2);  // from now on it is told by its channel
  std::string body;
  for (int i = 0; i < 8; ++i) {
    body += R"({"campaign":"c)" + std::to_string(i) + R"(","note":")" + std::string(200'000, 'x') +
            "\"}\n";
  }
  post(records + "?as=values&partition=0&acks=applied", body, 200,
       "Content-Type: application/x-ndjson\r\n");
  listener.await(sequence());
  EXPECT_EQ(listener.rows.size(), 9u);
  EXPECT_THAT(listener.types, Not(HasSubstr("reset")));
}

// ---------------------------------------------------------------- WebSocket
const std::string kUpgrade =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A frame as a client sends it, with a mask of zeroes.
std::string client_frame(Opcode opcode, std::string_view payload) {
  return std::string{static_cast<char>(0x80 | static_cast<int>(opcode)),
                     static_cast<char>(0x80 | payload.size())} +
         std::string(4, '\0') + std::string(payload);
}

class SocketClient {
 public:
  SocketClient(HttpService& service, const std::string& target) : client(service) {
    client.feed(HttpClient::request("GET", target, {}, kUpgrade));
    EXPECT_TRUE(client.await_text("\r\n\r\n"));
    std::string& sent = client.connection.sent;
    head = sent.substr(0, sent.find("\r\n\r\n") + 4);
    sent.erase(0, head.size());
  }
  /// The next message's text; of others their opcode and payload.
  std::string next() {
    std::string& sent = client.connection.sent;
    for (;;) {
      client.run_posted();
      if (sent.size() >= 2) {
        const auto second = static_cast<unsigned char>(sent[1]);
        EXPECT_LT(second, 127);  // no mask, and no long frames here
        const std::size_t head_bytes = second == 126 ? 4 : 2;
        std::size_t size = second;
        if (second == 126) {
          size = static_cast<std::size_t>(static_cast<unsigned char>(sent[2])) << 8 |
                 static_cast<unsigned char>(sent[3]);
        }
        const int opcode = sent[0] & 15;
        std::string payload = sent.substr(head_bytes, size);
        sent.erase(0, head_bytes + size);
        if (opcode == 1) return payload;
        return std::to_string(opcode) + " " + payload;
      }
      if (client.connection.closed) return "closed";
      if (!client.connection.posts->wait()) return "nothing";
    }
  }

  HttpClient client;
  std::string head;
};

TEST_F(HttpViewEventsTest, AWebSocketIsToldTheSame) {
  give("sea");
  SocketClient socket(*http, events);
  EXPECT_THAT(socket.head, HasSubstr("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(socket.head, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  EXPECT_THAT(socket.head, Not(HasSubstr("chunked")));
  const auto first = boost::json::parse(socket.next());
  EXPECT_EQ(first.at("type"), "snapshot");
  EXPECT_EQ(boost::json::serialize(first.at("rows")), "[" + row("sea", 1) + "]");
  const std::string id(first.at("id").as_string());
  give("owls");
  const auto second = boost::json::parse(socket.next());
  EXPECT_EQ(second.at("type"), "delta");
  EXPECT_EQ(boost::json::serialize(second.at("rows")), "[" + row("owls", 1) + "]");
  socket.client.feed(client_frame(Opcode::kPing, "here?"));
  EXPECT_EQ(socket.next(), "10 here?");
  // A close is answered with its code, and nothing follows.
  socket.client.feed(client_frame(Opcode::kClose, "\x03\xe8"));
  EXPECT_EQ(socket.next(), "8 \x03\xe8");
  EXPECT_EQ(socket.next(), "closed");
  SocketClient again(*http, events + "?after=" + id);
  EXPECT_EQ(boost::json::serialize(boost::json::parse(again.next()).at("rows")),
            "[" + row("owls", 1) + "]");
  client->call("DELETE", "/api/v1/views/totals");
  const auto last = boost::json::parse(again.next());
  EXPECT_EQ(last.at("type"), "end");
  EXPECT_EQ(last.at("problem").at("status"), 404);
  EXPECT_EQ(again.next(), "8 \x03\xe9");
  EXPECT_EQ(again.next(), "closed");
}

TEST_F(HttpViewEventsTest, RecordsComeByWebSocket) {
  SocketClient socket(*http, "/api/v1/topics/orders/events?partition=0&from=start");
  EXPECT_EQ(boost::json::parse(socket.next()).at("type"), "begins");
  give("sea");
  const auto told = boost::json::parse(socket.next());
  EXPECT_EQ(told.at("type"), "record");
  EXPECT_EQ(told.at("id"), "0:1");
  EXPECT_EQ(told.at("record").at("value").at("campaign"), "sea");
}

TEST_F(HttpViewEventsTest, WhatASocketMayNotSayEndsIt) {
  for (const auto& [bytes, code] : std::vector<std::pair<std::string, std::string>>{
           {client_frame(Opcode::kText, "hello"), "8 \x03\xeb"},
           {"\x81\x05hello", "8 \x03\xea"},
           {"GET / HTTP/1.1\r\n\r\n", "8 \x03\xea"}}) {
    SocketClient socket(*http, events);
    EXPECT_THAT(socket.next(), HasSubstr("snapshot"));
    socket.client.feed(bytes);
    EXPECT_EQ(socket.next().substr(0, 4), code);
    EXPECT_EQ(socket.next(), "closed");
  }
  const Answered refused = client->call("GET", events, {},
                                        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                        "Sec-WebSocket-Version: 8\r\n");
  EXPECT_EQ(refused.status, 426u);
  EXPECT_EQ(refused.header("Sec-WebSocket-Version"), "13");
  EXPECT_TRUE(client->connection.closed);
}

TEST_F(HttpViewEventsTest, WhatCannotBeFollowedIsAProblem) {
  const auto refused = [&](const std::string& target, unsigned status,
                           const std::string& headers = {}) {
    const Answered answered = client->call("GET", target, {}, headers);
    EXPECT_EQ(answered.status, status) << target << answered.body;
  };
  refused("/api/v1/views/none/events", 404);
  refused("/api/v1/views/gifts/events", 400);
  refused(events + "?where=x", 400);
  refused(events + "?where=n)%20or%20(true", 400);
  refused(events + "?key=a&key=b", 400);
  refused(events, 400, "Last-Event-ID: 0:17\r\n");
  sql("CREATE MATERIALIZED VIEW sizes AS SELECT n, count(*) AS c FROM totals GROUP BY n");
  refused("/api/v1/views/sizes/events", 400);
}

}  // namespace
}  // namespace runnel::broker::http
