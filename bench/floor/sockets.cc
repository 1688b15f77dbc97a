#include "bench/floor/sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "bench/measure.h"

namespace runnel::bench {
namespace {

constexpr int kBacklog = 1024;
constexpr timeval kPatience{30, 0};

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Socket> Socket::listen() {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd_ < 0) return system_error("socket");
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.fd_, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
      ::listen(socket.fd_, kBacklog) != 0) {
    return system_error("cannot listen on 127.0.0.1");
  }
  return socket;
}

Result<Socket> Socket::connect(const std::string& host_and_port) {
  const std::size_t colon = host_and_port.rfind(':');
  if (colon == std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, "'" + host_and_port + "' is not HOST:PORT");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host_and_port.substr(0, colon).c_str(),
                                  host_and_port.c_str() + colon + 1, &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::kDisconnected,
                "cannot resolve '" + host_and_port + "': " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, &::freeaddrinfo);
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd_ < 0 || ::connect(socket.fd_, found->ai_addr, found->ai_addrlen) != 0) {
    return system_error("cannot connect to " + host_and_port);
  }
  send_at_once(socket.fd_);
  ::setsockopt(socket.fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  return socket;
}

Result<Socket> Socket::accept() const {
  Socket socket(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.fd_ < 0) return system_error("accept");
  send_at_once(socket.fd_);
  return socket;
}

Result<std::string> Socket::address() const {
  sockaddr_in local{};
  socklen_t length = sizeof local;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    return system_error("getsockname");
  }
  return "127.0.0.1:" + std::to_string(ntohs(local.sin_port));
}

Status Socket::send(Bytes bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_error("send");
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::size_t> Socket::receive_some(MutableBytes into) const {
  while (true) {
    const ssize_t got = ::recv(fd_, into.data(), into.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      return fail(ErrorCode::kTimeout,
                  "the server did not answer within " + std::to_string(kPatience.tv_sec) + " s");
    }
    if (got < 0) return system_error("recv");
    if (got == 0) return fail(ErrorCode::kDisconnected, "the other end closed the connection");
    return static_cast<std::size_t>(got);
  }
}

Status Socket::receive(MutableBytes into) const {
  while (!into.empty()) {
    RUNNEL_TRY_ASSIGN(const std::size_t got, receive_some(into));
    into = into.subspan(got);
  }
  return {};
}

Status LineReader::more() {
  std::array<std::byte, 4096> chunk;
  RUNNEL_TRY_ASSIGN(const std::size_t got, socket_.receive_some(chunk));
  buffered_ += as_text(Bytes(chunk).first(got));
  return {};
}

Result<std::string> LineReader::line() {
  std::size_t end = 0;
  while ((end = buffered_.find("\r\n")) == std::string::npos) RUNNEL_TRY(more());
  std::string out = buffered_.substr(0, end);
  buffered_.erase(0, end + 2);
  return out;
}

Result<std::string> LineReader::take(std::size_t bytes) {
  while (buffered_.size() < bytes) RUNNEL_TRY(more());
  std::string out = buffered_.substr(0, bytes);
  buffered_.erase(0, bytes);
  return out;
}

}  // namespace runnel::bench
