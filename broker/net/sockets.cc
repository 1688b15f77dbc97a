#include "broker/net/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

namespace runnel::broker {
namespace {

constexpr int kBacklog = 1024;
// The kernel lets a send buffer grow to megabytes, which helps where packets travel. On loopback
// the reader then finds its bytes gone from the processor's cache: a catch-up read took 1.5 times
// the processor time.
constexpr int kLoopbackSendBytes = 100 << 10;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

Result<SocketAddress> to_address(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.length = sizeof(sockaddr_in);
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.length = sizeof(sockaddr_in6);
    return address;
  }
  return fail(ErrorCode::kInvalidArgument,
              "\"" + host + "\" is not a numeric address; write for example 127.0.0.1, ::1 or " +
                  "localhost");
}

Endpoint to_endpoint(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return {text, ntohs(v4->sin_port)};
  }
  if (address.family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return {text, ntohs(v6->sin6_port)};
  }
  return {"local", 0};
}

Result<ListeningSocket> listen_numeric(const std::string& host, std::uint16_t port) {
  RUNNEL_TRY_ASSIGN(SocketAddress address, to_address(host, port));
  const std::string name = to_string(Endpoint{host, port});
  const auto failed = [&name](const char* call, int error) {
    std::string message = "cannot listen on " + name + ": " + call + ": " + errno_text(error);
    if (error == EADDRINUSE)
      message += "; another program has this port: stop it or choose another";
    if (error == EADDRNOTAVAIL) message += "; this machine does not have that address";
    if (error == EACCES) message += "; ports below 1024 need a privilege: choose a higher one";
    return fail(ErrorCode::kIo, std::move(message));
  };
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return failed("socket", errno);
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return failed("SO_REUSEADDR", errno);
  }
  if (address.family() == AF_INET6 &&
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return failed("IPV6_V6ONLY", errno);
  }
  if (bind(fd.get(), address.raw(), address.length) != 0) return failed("bind", errno);
  if (listen(fd.get(), kBacklog) != 0) return failed("listen", errno);
  Endpoint bound = local_endpoint(fd.get());
  return ListeningSocket{std::move(fd), std::move(bound)};
}

}  // namespace

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

std::string errno_text(int error) {
  return std::generic_category().message(error) + " (errno " + std::to_string(error) + ")";
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto bad = [text](const char* why) {
    return fail(ErrorCode::kInvalidArgument,
                "bad address \"" + std::string(text) + "\": " + why +
                    "; write HOST:PORT, for example 127.0.0.1:9092 or [::1]:9092");
  };
  if (text.find("://") != std::string_view::npos) return bad("it is written without a scheme");
  if (text.find(',') != std::string_view::npos) return bad("it is one; for several give each");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("there is no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  if (host.empty()) return bad("there is no host");
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return bad("the port is not a number from 0 to 65535");
  }
  return Endpoint{std::string(host), port};
}

std::string to_string(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

bool is_loopback(std::string_view host) {
  if (host == "localhost") return true;
  in_addr v4{};
  const std::string text(host);
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool is_numeric_or_localhost(std::string_view host) {
  return host == "localhost" || to_address(std::string(host), 0).has_value();
}

Result<std::vector<ListeningSocket>> listen_on(const Endpoint& where) {
  std::vector<ListeningSocket> sockets;
  const bool localhost = where.host == "localhost";
  RUNNEL_TRY_ASSIGN(ListeningSocket first,
                    listen_numeric(localhost ? "127.0.0.1" : where.host, where.port));
  sockets.push_back(std::move(first));
  if (localhost && where.port != 0) {
    // A machine without IPv6 still has its localhost.
    if (auto second = listen_numeric("::1", where.port)) sockets.push_back(std::move(*second));
  }
  return sockets;
}

void prepare_stream(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  const int on = 1;
  // Fails on Unix sockets, which have no such delay.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (is_loopback(remote_endpoint(fd).host)) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kLoopbackSendBytes, sizeof kLoopbackSendBytes);
  }
}

Endpoint local_endpoint(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (getsockname(fd, address.raw(), &address.length) != 0) return {"unknown", 0};
  return to_endpoint(address);
}

Endpoint remote_endpoint(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (getpeername(fd, address.raw(), &address.length) != 0) return {"unknown", 0};
  return to_endpoint(address);
}

}  // namespace runnel::broker
