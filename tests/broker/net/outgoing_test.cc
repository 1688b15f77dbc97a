// Requests that the broker makes, to a real socket; and which addresses it may call.
#include "broker/net/outgoing.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace runnel::broker {
namespace {

using ::testing::HasSubstr;

/// Answers one connection after the other with the same bytes.
class Receiver {
 public:
  explicit Receiver(std::string answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Receiver() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port) + "/in?a=b";
  }
  std::uint16_t port = 0;
  std::atomic<int> connections{0};
  std::promise<std::string> first_request;

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      std::string request;
      std::array<char, 4096> bytes{};
      while (request.find("the body") == std::string::npos) {
        const ssize_t got = ::read(connection, bytes.data(), bytes.size());
        if (got <= 0) break;
        request.append(bytes.data(), static_cast<std::size_t>(got));
      }
      if (connections++ == 0) first_request.set_value(request);
      if (!answer_.empty()) {
        EXPECT_GT(::send(connection, answer_.data(), answer_.size(), MSG_NOSIGNAL), 0);
      } else {
        // Says nothing until the other side has enough of it.
        EXPECT_LE(::read(connection, bytes.data(), bytes.size()), 0);
      }
      ::close(connection);
    }
  }

  const std::string answer_;
  int listener_ = -1;
  std::thread thread_;
};

AddressRules rules(const std::vector<std::string>& texts) {
  return AddressRules::parse(texts).value();
}

Result<OutgoingAnswer> call(Outgoing& outgoing, const std::string& url,
                            std::chrono::milliseconds timeout = std::chrono::minutes(1)) {
  std::promise<Result<OutgoingAnswer>> promise;
  OutgoingRequest request{Url::parse(url).value(), {{"X-A", "b"}}, "the body", timeout};
  outgoing.send(std::move(request),
                [&](Result<OutgoingAnswer> answer) { promise.set_value(std::move(answer)); });
  return promise.get_future().get();
}

TEST(Outgoing, ARequestAndItsAnswer) {
  Receiver receiver("HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 100000\r\n\r\nbut");
  Outgoing outgoing(rules({"127.0.0.0/8"}));
  const auto answer = call(outgoing, receiver.url());
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->status, 503u);
  EXPECT_EQ(answer->retry_after, std::chrono::seconds(7));
  const std::string request = receiver.first_request.get_future().get();
  EXPECT_THAT(request, ::testing::StartsWith("POST /in?a=b HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("Host: 127.0.0.1:" + std::to_string(receiver.port) + "\r\n"));
  EXPECT_THAT(request, HasSubstr("X-A: b\r\n"));
  EXPECT_THAT(request, HasSubstr("Content-Length: 8\r\n"));
}

TEST(Outgoing, RedirectsAreAnswersLikeOthers) {
  Receiver other("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  Receiver receiver("HTTP/1.1 302 Found\r\nLocation: " + other.url() +
                    "\r\nContent-Length: 0\r\n\r\n");
  Outgoing outgoing(rules({"any"}));
  const auto answer = call(outgoing, receiver.url());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 302u);
  EXPECT_EQ(other.connections, 0);
}

TEST(Outgoing, AddressesThatAreNotAllowedAreNotConnectedTo) {
  Receiver receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  Outgoing outgoing(rules({"public"}));
  for (const std::string& host :
       {std::string("127.0.0.1"), std::string("localhost"), std::string("[::ffff:127.0.0.1]"),
        std::string("[::1]"), std::string("0.0.0.0")}) {
    const auto refused = call(outgoing, receiver.url(host));
    ASSERT_FALSE(refused) << host;
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnauthorized) << refused.error().message();
    EXPECT_THAT(refused.error().message(), HasSubstr("webhook-allow"));
  }
  EXPECT_EQ(receiver.connections, 0);
}

TEST(Outgoing, AnswersOnTheWayDoNotCount) {
  const std::string on_the_way =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  Outgoing outgoing(rules({"any"}));
  Receiver receiver(on_the_way + "HTTP/1.1 204 No Content\r\n\r\n");
  const auto answer = call(outgoing, receiver.url());
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->status, 204u);
  Receiver other("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  EXPECT_EQ(call(outgoing, other.url())->status, 101u) << "nothing follows";
  std::string endless;
  for (int i = 0; i < 20; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  Receiver never(endless);
  const auto none = call(outgoing, never.url());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kMalformed) << none.error().message();
}

TEST(Outgoing, ALongAnswerIsNotRead) {
  Outgoing outgoing(rules({"any"}));
  for (const std::string& length :
       {std::string("Content-Length: 9000000000"), std::string("Transfer-Encoding: chunked")}) {
    Receiver receiver("HTTP/1.1 200 OK\r\n" + length + "\r\n\r\n" + std::string(20'000, '7'));
    const auto answer = call(outgoing, receiver.url());
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status, 200u);
  }
}

TEST(Outgoing, WhoSaysNothingIsNotWaitedForForEver) {
  Receiver receiver("");
  Outgoing outgoing(rules({"any"}));
  const auto late = call(outgoing, receiver.url(), std::chrono::milliseconds(50));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimeout) << late.error().message();
}

TEST(Outgoing, WhatIsNoAnswer) {
  Outgoing outgoing(rules({"any"}));
  for (const std::string& no :
       {std::string("hello"), "HTTP/1.1 200 OK\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n"}) {
    Receiver receiver(no);
    EXPECT_FALSE(call(outgoing, receiver.url()));
  }
  std::uint16_t free = 0;
  { free = Receiver("x").port; }
  const auto refused = call(outgoing, "http://127.0.0.1:" + std::to_string(free) + "/");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kDisconnected);
  Receiver plain("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const auto no_tls = call(outgoing, "https://127.0.0.1:" + std::to_string(plain.port) + "/",
                           std::chrono::milliseconds(200));
  ASSERT_FALSE(no_tls);
}

TEST(Outgoing, EndsWithRequestsOnTheirWay) {
  Receiver receiver("");
  std::optional<Result<OutgoingAnswer>> told;
  {
    Outgoing outgoing(rules({"any"}));
    outgoing.send({Url::parse(receiver.url()).value(), {}, "the body", std::chrono::minutes(1)},
                  [&](Result<OutgoingAnswer> answer) { told = std::move(answer); });
    receiver.first_request.get_future().wait();
  }
  // Its thread is gone: nobody is told of an answer that never came.
  EXPECT_TRUE(!told || !told->has_value());
}

/// A resolver that says nothing until it is let go, or goes itself.
struct SlowNames {
  std::promise<void> promise;
  std::shared_future<void> go = promise.get_future().share();
  std::shared_ptr<std::atomic<int>> asked = std::make_shared<std::atomic<int>>(0);

  OutgoingOptions options() const {
    OutgoingOptions out;
    out.resolve = [go = go, asked = asked](const std::string&) -> Result<NameLookup::Addresses> {
      ++*asked;
      go.wait();
      return NameLookup::Addresses{parse_address("127.0.0.1").value()};
    };
    return out;
  }
};

OutgoingRequest request_to(const std::string& url) {
  return {Url::parse(url).value(), {}, "the body", std::chrono::minutes(1)};
}

TEST(Outgoing, ANameThatIsNotFoundInTimeIsTold) {
  SlowNames names;
  Receiver receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  Outgoing outgoing(rules({"any"}), names.options());
  const auto ignore = [](const Result<OutgoingAnswer>&) {};
  for (std::size_t i = 0; i < kMaxLookups; ++i) {
    outgoing.send(request_to(receiver.url(std::to_string(i) + ".example")), ignore);
  }
  while (*names.asked < static_cast<int>(kMaxLookups)) std::this_thread::yield();
  const auto late = call(outgoing, receiver.url("0.example"), std::chrono::milliseconds(20));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimeout);
  EXPECT_THAT(late.error().message(), HasSubstr("looking up its address: it took too long"));
  std::promise<Result<OutgoingAnswer>> waits;
  outgoing.send(request_to(receiver.url("shop.example")),
                [&](Result<OutgoingAnswer> answer) { waits.set_value(std::move(answer)); });
  const auto no_turn = call(outgoing, receiver.url("shop.example"), std::chrono::milliseconds(20));
  ASSERT_FALSE(no_turn);
  EXPECT_EQ(no_turn.error().code(), ErrorCode::kOverloaded) << "nobody was asked";
  EXPECT_THAT(no_turn.error().message(), HasSubstr("its turn did not come"));
  const auto address = call(outgoing, receiver.url());
  EXPECT_TRUE(address) << "an address needs no looking up";
  names.promise.set_value();
  const auto found = waits.get_future().get();
  ASSERT_TRUE(found) << "who gives up takes no name from others: " << found.error().message();
  EXPECT_EQ(found->status, 200u);
  EXPECT_TRUE(call(outgoing, receiver.url("shop.example"))) << "nor what is asked later";
}

TEST(Outgoing, ANameThatIsNeverFoundHoldsUpNoOther) {
  std::promise<void> never;
  const auto asked = std::make_shared<std::atomic<int>>(0);
  OutgoingOptions options;
  options.resolve = [go = never.get_future().share(),
                     asked](const std::string& host) -> Result<NameLookup::Addresses> {
    if (host == "dead.example" && ++*asked > 0) go.wait();
    return NameLookup::Addresses{parse_address("127.0.0.1").value()};
  };
  Receiver receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  std::vector<std::promise<Result<OutgoingAnswer>>> dead(4 * kMaxLookups);
  Outgoing outgoing(rules({"any"}), options);
  for (auto& each : dead) {
    outgoing.send(request_to(receiver.url("dead.example")),
                  [&each](Result<OutgoingAnswer> answer) { each.set_value(std::move(answer)); });
  }
  const auto other = call(outgoing, receiver.url("shop.example"));
  EXPECT_TRUE(other) << other.error().message();
  EXPECT_LE(*asked, 1) << "one name is looked up once, whoever asks";
  never.set_value();
  for (auto& each : dead) {
    const auto answer = each.get_future().get();
    EXPECT_TRUE(answer) << answer.error().message();
  }
}

TEST(Outgoing, AnEndDoesNotWaitForNames) {
  SlowNames names;
  std::optional<Result<OutgoingAnswer>> told;
  {
    Outgoing outgoing(rules({"any"}), names.options());
    outgoing.send({Url::parse("http://shop.example/").value(), {}, "", std::chrono::minutes(1)},
                  [&](Result<OutgoingAnswer> answer) { told = std::move(answer); });
    while (*names.asked == 0) std::this_thread::yield();
  }  // and nobody has let the resolver go
  EXPECT_FALSE(told.has_value());
  names.promise.set_value();
}

TEST(Outgoing, WhatANameStandsForIsChecked) {
  OutgoingOptions options;
  options.resolve = [](const std::string& host) -> Result<NameLookup::Addresses> {
    if (host != "both.example") return fail(ErrorCode::kDisconnected, "no such name");
    return NameLookup::Addresses{parse_address("10.0.0.1").value(), parse_address("::1").value()};
  };
  Outgoing outgoing(rules({"public"}), options);
  const auto refused = call(outgoing, "http://both.example/");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnauthorized);
  EXPECT_THAT(refused.error().message(), HasSubstr("both.example is 10.0.0.1, ::1"));
  const auto none = call(outgoing, "http://none.example/");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kDisconnected);
  EXPECT_EQ(none.error().message(), "none.example: looking up its address: no such name");
}

TEST(AddressRules, PublicIsTheInternet) {
  const AddressRules open = rules({"public"});
  for (const char* yes : {"1.1.1.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "100.128.0.1",
                          "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8"}) {
    EXPECT_TRUE(open.allow(parse_address(yes).value())) << yes;
  }
  for (const char* no : {"0.0.0.0",
                         "10.1.2.3",
                         "100.64.0.1",
                         "127.0.0.1",
                         "169.254.169.254",
                         "172.16.0.1",
                         "172.31.255.255",
                         "192.168.1.1",
                         "198.18.0.1",
                         "224.0.0.1",
                         "255.255.255.255",
                         "::",
                         "::1",
                         "fe80::1",
                         "fc00::1",
                         "fd00::1",
                         "ff02::1",
                         "::ffff:127.0.0.1",
                         "::ffff:10.0.0.1",
                         "64:ff9b::7f00:1",
                         "2002:7f00:1::",
                         "2001::1",
                         "2001:db8::1",
                         "::127.0.0.1"}) {
    EXPECT_FALSE(open.allow(parse_address(no).value())) << no;
    EXPECT_TRUE(rules({"any"}).allow(parse_address(no).value())) << no;
  }
}

TEST(AddressRules, NetworksAndWhatIsNone) {
  const AddressRules some = rules({"none", "10.1.0.0/16", "fd00::/8", "192.168.7.7"});
  for (const char* yes : {"10.1.255.255", "fd12::1", "192.168.7.7", "::ffff:10.1.0.1"}) {
    EXPECT_TRUE(some.allow(parse_address(yes).value())) << yes;
  }
  for (const char* no : {"10.2.0.1", "8.8.8.8", "192.168.7.8", "fe00::1", "2606:4700::1111"}) {
    EXPECT_FALSE(some.allow(parse_address(no).value())) << no;
  }
  EXPECT_FALSE(rules({"none"}).allow(parse_address("8.8.8.8").value()));
  for (const char* no : {"", "private", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0", "a/8"}) {
    EXPECT_FALSE(AddressRules::parse({no})) << no;
  }
}

TEST(Url, Parts) {
  const Url full = Url::parse("https://a.example:8443/x?y=z").value();
  EXPECT_TRUE(full.tls);
  EXPECT_EQ(full.host, "a.example");
  EXPECT_EQ(full.port, 8443);
  EXPECT_EQ(full.target, "/x?y=z");
  EXPECT_EQ(full.authority(), "a.example:8443");
  EXPECT_EQ(Url::parse("http://a.example?q").value().target, "/?q");
  EXPECT_EQ(Url::parse("https://[2a00::1]/").value().authority(), "[2a00::1]");
  EXPECT_EQ(Url::parse("https://[2a00::1]:1/").value().host, "2a00::1");
}

}  // namespace
}  // namespace runnel::broker
