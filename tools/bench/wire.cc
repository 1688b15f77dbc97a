#include "tools/bench/wire.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

namespace native = protocol::native;

tl::unexpected<Error> lost(const std::string& what) {
  return fail(ErrorCode::kDisconnected,
              "the connection failed " + what + ": " + std::strerror(errno));
}

Result<int> connect_socket(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, "'" + address + "' is not HOST:PORT");
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::kDisconnected,
                "cannot resolve '" + address + "': " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, &::freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0) return fd;
    const int cause = errno;
    ::close(fd);
    errno = cause;
  }
  return fail(ErrorCode::kDisconnected,
              "cannot connect to " + address + ": " + std::strerror(errno));
}

}  // namespace

Result<WireConnection> WireConnection::open(const std::string& address) {
  RUNNEL_TRY_ASSIGN(const int fd, connect_socket(address));
  WireConnection connection(fd);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  RUNNEL_TRY(connection.send(Buffer::copy_of(as_bytes(native::kPreface))));
  native::Hello hello;
  hello.client_name = "runnel-bench";
  hello.client_version = program_version();
  RUNNEL_TRY(connection.call(hello));
  return connection;
}

WireConnection::WireConnection(WireConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

WireConnection& WireConnection::operator=(WireConnection&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

WireConnection::~WireConnection() {
  if (fd_ >= 0) ::close(fd_);
}

Status WireConnection::send(const Buffer& head, const Buffer& attachment) {
  std::array<iovec, 2> parts{{{const_cast<std::byte*>(head.data()), head.size()},
                              {const_cast<std::byte*>(attachment.data()), attachment.size()}}};
  std::size_t left = head.size() + attachment.size();
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  while (left > 0) {
    const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return lost("while sending");
    left -= static_cast<std::size_t>(sent);
    auto done = static_cast<std::size_t>(sent);
    while (message.msg_iovlen > 0 && done >= message.msg_iov->iov_len) {
      done -= message.msg_iov->iov_len;
      ++message.msg_iov;
      --message.msg_iovlen;
    }
    if (message.msg_iovlen > 0) {
      message.msg_iov->iov_base = static_cast<std::byte*>(message.msg_iov->iov_base) + done;
      message.msg_iov->iov_len -= done;
    }
  }
  return {};
}

Status WireConnection::receive_exactly(MutableBytes into) {
  while (!into.empty()) {
    const ssize_t got = ::recv(fd_, into.data(), into.size(), MSG_WAITALL);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lost("while receiving");
    if (got == 0) return fail(ErrorCode::kDisconnected, "the broker closed the connection");
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Result<native::ResponseFrame> WireConnection::receive() {
  std::array<std::byte, 4> length{};
  RUNNEL_TRY(receive_exactly(length));
  RUNNEL_TRY_ASSIGN(const auto size, native::frame_size(length, native::kMaxFrameBytes));
  Buffer frame = Buffer::allocate(*size);
  std::copy(length.begin(), length.end(), frame.mutable_data());
  RUNNEL_TRY(receive_exactly(frame.mutable_bytes().subspan(length.size())));
  return native::decode_response(frame);
}

bool WireConnection::wait_readable(std::chrono::steady_clock::time_point deadline) const {
  const auto left = deadline - std::chrono::steady_clock::now();
  if (left <= std::chrono::nanoseconds::zero()) return false;
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  const timespec wait{nanos / 1'000'000'000, nanos % 1'000'000'000};
  pollfd poll{fd_, POLLIN, 0};
  return ::ppoll(&poll, 1, &wait, nullptr) > 0;
}

Result<native::ResponseFrame> WireConnection::call(const native::Request& request) {
  RUNNEL_TRY(send(native::encode(0, request)));
  RUNNEL_TRY_ASSIGN(auto reply, receive());
  RUNNEL_TRY(check_response(reply.response));
  return reply;
}

Status check_response(const native::Response& response) {
  const auto* failure = std::get_if<native::Failure>(&response);
  if (failure == nullptr) return {};
  return fail(failure->code, failure->message);
}

}  // namespace runnel::tools
