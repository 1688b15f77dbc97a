#include "broker/net/server.h"

#include <gtest/gtest.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "broker/net/sd_notify.h"
#include "protocol/base/bytes.h"
#include "tests/broker/net/net_support.h"

namespace runnel::broker {
namespace {

using std::chrono::milliseconds;

/// A connection that only remembers.
class FakeConnection final : public Connection {
 public:
  void send(Output output) override {
    for (const OutPiece& piece : output) sent += as_text(std::get<Buffer>(piece).bytes());
  }
  void close() override { closed = true; }
  void pause_reading() override {}
  void resume_reading() override {}
  std::uint64_t unsent_bytes() const override { return 0; }
  std::shared_ptr<SessionHandle> handle() override { return nullptr; }
  const Endpoint& local() const override { return endpoint_; }
  const Endpoint& remote() const override { return endpoint_; }

  std::string sent;
  bool closed = false;

 private:
  Endpoint endpoint_{"127.0.0.1", 1};
};

/// Remembers what it received, with a name before it.
class Recorder final : public Session {
 public:
  Recorder(std::string name, std::string& got) : got_(got) { got_ = name + ":"; }
  MutableBytes receive_into() override { return area_; }
  void received(Bytes data) override { got_ += as_text(data); }
  void shutting_down() override { got_ += "!"; }

 private:
  std::string& got_;
  std::vector<std::byte> area_ = std::vector<std::byte>(32);
};

PortProtocols recording(std::string& got) {
  const auto named = [&got](const char* name) {
    return [name, &got](Connection&) { return std::make_unique<Recorder>(name, got); };
  };
  return {named("native"), named("kafka"), named("http"), nullptr};
}

TEST(PortTest, TellsProtocolsApartWhereverTheBytesAreSplit) {
  using namespace std::string_literals;
  const std::map<std::string, std::string> cases{{"RNL1hello", "native"},
                                                 {"\0\0\0\x0brequest"s, "kafka"},
                                                 {"\x01\x31\x2d\0 20 MB"s, "kafka"},
                                                 {"\x07\xff\xff\xff of 128 MiB"s, "kafka"},
                                                 {"GET / HTTP/1.1", "http"},
                                                 {"RNL2 no preface", "http"},
                                                 {"REPORT / HTTP/1.1", "http"},
                                                 {"post", "http"}};
  for (const auto& [input, protocol] : cases) {
    for (std::size_t first = 1; first <= input.size(); ++first) {
      for (std::size_t second = 1; second <= input.size(); ++second) {
        std::string got;
        FakeConnection connection;
        auto session = detect_protocol(recording(got))(connection);
        const std::string_view text = input;
        session->received(as_bytes(text.substr(0, first)));
        session->received(as_bytes(text.substr(first).substr(0, second)));
        session->received(as_bytes(text.substr(std::min(first + second, text.size()))));
        EXPECT_EQ(got, protocol + ":" + input) << first << " " << second;
        EXPECT_EQ(session->receive_into().size(), 32u);
        session->shutting_down();
        EXPECT_EQ(got.back(), '!');
        EXPECT_FALSE(connection.closed);
      }
    }
  }
}

TEST(PortTest, WaitsWithoutASpanUntilTheProtocolIsKnown) {
  std::string got;
  FakeConnection connection;
  auto session = detect_protocol(recording(got))(connection);
  session->received(as_bytes("RNL"));
  EXPECT_EQ(got, "");
  EXPECT_TRUE(session->receive_into().empty());
  session->drained();
  session->shutting_down();
  EXPECT_TRUE(connection.closed);
}

TEST(PortTest, ClosesTlsAndUnknownProtocolsWithAWord) {
  for (const char first : {'\x16', '\xff', '\x08', '\n', '1'}) {
    std::string got;
    std::string logged;
    PortProtocols protocols = recording(got);
    protocols.log = [&](std::string_view line) { logged = line; };
    FakeConnection connection;
    auto session = detect_protocol(protocols)(connection);
    session->received(as_bytes(std::string(1, first)));
    EXPECT_TRUE(connection.closed);
    EXPECT_EQ(connection.sent, "");
    EXPECT_EQ(got, "");
    EXPECT_EQ(logged.find("TLS") != std::string::npos, first == '\x16') << logged;
  }
}

TEST(PortTest, DeclinesHttpInHttp) {
  FakeConnection connection;
  auto session = detect_protocol({})(connection);
  session->received(as_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(connection.sent.find("HTTP/1.1 501 Not Implemented\r\n"), 0u);
  const std::size_t body = connection.sent.find("\r\n\r\n") + 4;
  EXPECT_NE(connection.sent.find(
                "Content-Length: " + std::to_string(connection.sent.size() - body) + "\r\n"),
            std::string::npos);
  EXPECT_TRUE(connection.closed);
}

TEST(PortTest, DeclinesKafkaInKafkaWhereverTheBytesAreSplit) {
  ByteWriter request;
  request.be(std::int32_t{10}).be(std::int16_t{18}).be(std::int16_t{3}).be(std::int32_t{77});
  request.be(std::int16_t{-1});
  ByteWriter expected;
  expected.be(std::int32_t{10}).be(std::int32_t{77}).be(std::int16_t{35}).be(std::int32_t{0});
  const std::string_view text = as_text(request.bytes());
  for (std::size_t split = 1; split < text.size(); ++split) {
    FakeConnection connection;
    auto session = detect_protocol({})(connection);
    session->received(as_bytes(text.substr(0, split)));
    EXPECT_EQ(connection.closed, split >= 12);
    if (!connection.closed) session->received(as_bytes(text.substr(split)));
    EXPECT_EQ(connection.sent, expected.str());
    EXPECT_TRUE(connection.closed);
  }
}

TEST(EndpointTest, ParsesAndPrints) {
  EXPECT_EQ(to_string(*parse_endpoint("127.0.0.1:9092")), "127.0.0.1:9092");
  EXPECT_EQ(to_string(*parse_endpoint("[::1]:0")), "[::1]:0");
  for (const char* bad :
       {"", "9092", ":9092", "::1:9092", "host:", "host:x", "host:65536", "host:-1", "host:90 "}) {
    EXPECT_FALSE(parse_endpoint(bad)) << bad;
  }
  EXPECT_FALSE(listen_on({"example.org", 0}));
  EXPECT_TRUE(is_loopback("127.1.2.3"));
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_FALSE(is_loopback("0.0.0.0"));
  EXPECT_FALSE(is_loopback("::"));
  EXPECT_FALSE(is_loopback("10.0.0.1"));
}

class Greeter final : public Session {
 public:
  Greeter(Connection& connection, bool close_when_asked)
      : connection_(connection), close_when_asked_(close_when_asked) {}
  void received(Bytes) override {
    Output output;
    output.emplace_back(Buffer::copy_of(as_bytes("hi")));
    connection_.send(std::move(output));
  }
  void shutting_down() override {
    if (close_when_asked_) connection_.close();
  }

 private:
  Connection& connection_;
  const bool close_when_asked_;
};

class ServerTest : public BothLoops {
 protected:
  ServerOptions options(bool close_when_asked = true) {
    ServerOptions o;
    o.listen = {{"127.0.0.1", 0}};
    o.net = GetParam();
    o.loops = 2;
    o.protocols.native = [close_when_asked](Connection& c) {
      return std::make_unique<Greeter>(c, close_when_asked);
    };
    return o;
  }
};
INSTANTIATE_TEST_SUITE_P(Loops, ServerTest, testing::Values(NetMode::kIoUring, NetMode::kEpoll),
                         loop_name);

TEST_P(ServerTest, ServesOnSeveralAddressesAndLoops) {
  ServerOptions o = options();
  o.listen.push_back({"localhost", 0});
  Server server(std::move(o));
  const Status started = server.start();
  ASSERT_TRUE(started) << started.error().to_string();
  ASSERT_EQ(server.bound().size(), 2u);
  EXPECT_EQ(server.net().mode, GetParam());
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<Peer>(server.bound()[i % 2].port));
    ASSERT_TRUE(peers.back()->send("RNL1"));
    ASSERT_EQ(peers.back()->receive(2), "hi");
  }
  EXPECT_EQ(server.stats().connections, 20u);
}

TEST_P(ServerTest, RefusesAddressesOthersCouldReach) {
  for (const char* host : {"0.0.0.0", "::", "192.0.2.1"}) {
    ServerOptions o = options();
    o.listen.push_back({host, 0});
    Server server(std::move(o));
    const Status started = server.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(started.error().message().find("--insecure-allow-remote"), std::string::npos);
  }
  ServerOptions o = options();
  o.listen = {{"0.0.0.0", 0}};
  o.allow_remote = true;
  Server server(std::move(o));
  EXPECT_TRUE(server.start());
}

TEST_P(ServerTest, SaysWhenThePortIsTaken) {
  Server first(options());
  ASSERT_TRUE(first.start());
  ServerOptions o = options();
  o.listen = first.bound();
  Server second(std::move(o));
  const Status started = second.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message().find("choose another"), std::string::npos);
}

TEST_P(ServerTest, KeepsToItsConnectionLimits) {
  ServerOptions o = options();
  o.max_connections = 3;
  o.max_connections_per_address = 2;
  Server server(std::move(o));
  ASSERT_TRUE(server.start());
  const std::uint16_t port = server.bound()[0].port;
  auto first = std::make_unique<Peer>(port);
  Peer second(port);
  Peer third(port);
  EXPECT_TRUE(third.ended());
  EXPECT_EQ(server.refused(), 1u);
  ASSERT_TRUE(second.send("RNL1"));
  EXPECT_EQ(second.receive(2), "hi");
  first->reset();
  EXPECT_TRUE(eventually([&] { return server.stats().connections == 1; }));
  Peer fourth(port);
  ASSERT_TRUE(fourth.send("RNL1"));
  EXPECT_EQ(fourth.receive(2), "hi");
}

TEST_P(ServerTest, DrainsSessionsThatFinish) {
  Server server(options());
  ASSERT_TRUE(server.start());
  Peer peer(server.bound()[0].port);
  ASSERT_TRUE(peer.send("RNL1"));
  ASSERT_EQ(peer.receive(2), "hi");
  Peer undecided(server.bound()[0].port);
  std::thread closes([&] {
    EXPECT_TRUE(peer.ended());
    EXPECT_TRUE(undecided.ended());
    peer.reset();
    undecided.reset();
  });
  EXPECT_TRUE(server.drain(milliseconds(30'000)));
  closes.join();
  EXPECT_TRUE(eventually([&] { return server.stats().connections == 0; }));
  server.stop();
}

TEST_P(ServerTest, DrainGivesUpOnSessionsThatDoNotFinish) {
  Server server(options(false));
  ASSERT_TRUE(server.start());
  Peer peer(server.bound()[0].port);
  ASSERT_TRUE(peer.send("RNL1"));
  ASSERT_EQ(peer.receive(2), "hi");
  EXPECT_FALSE(server.drain(milliseconds(20)));
  server.stop();
  EXPECT_TRUE(peer.ended());
}

TEST(SdNotifyTest, WritesToTheSocketThatIsNamed) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(sd_notify("READY=1"));
  const UniqueFd receiver(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "@runnel-notify-" + std::to_string(::getpid());
  name.copy(address.sun_path, name.size());
  address.sun_path[0] = '\0';
  ASSERT_EQ(::bind(receiver.get(), reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
            0);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  const Status sent = sd_notify("READY=1");
  EXPECT_TRUE(sent) << sent.error().to_string();
  char text[32];
  EXPECT_EQ(::recv(receiver.get(), text, sizeof text, MSG_DONTWAIT), 7);
  EXPECT_EQ(std::string_view(text, 7), "READY=1");
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(sd_notify("READY=1"));
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace runnel::broker
