// Requests that tools make to a broker's HTTP port.
#include "broker/net/http_call.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace runnel::broker {
namespace {

/// A socket at a port of its own.
struct Bound {
  Bound() {
    socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&at), &size), 0);
    call.host = "127.0.0.1";
    call.port = ntohs(at.sin_port);
  }
  ~Bound() { ::close(socket); }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

  int socket = -1;
  HttpCall call;
};

TEST(HttpCall, AnotherBrokerIsAskedOnlyIfNoneHasTheRequest) {
  Bound bound;
  const auto refused = call_http(bound.call);  // nobody listens
  ASSERT_FALSE(refused);
  EXPECT_TRUE(reached_nobody(refused.error())) << refused.error().message();
  HttpCall nameless = bound.call;
  nameless.host = "no name";
  const auto unknown = call_http(nameless);
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(reached_nobody(unknown.error())) << unknown.error().message();
  ASSERT_EQ(::listen(bound.socket, 1), 0);
  std::thread server([&] { ::close(::accept(bound.socket, nullptr, nullptr)); });
  const auto gone = call_http(bound.call);
  server.join();
  ASSERT_FALSE(gone);
  EXPECT_FALSE(reached_nobody(gone.error())) << gone.error().message();
}

}  // namespace
}  // namespace runnel::broker
