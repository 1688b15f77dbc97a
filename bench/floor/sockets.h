// Blocking TCP for servers and loads of the floors.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

namespace runnel::bench {

/// A connected or listening socket; closed in the destructor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

  /// On 127.0.0.1, a free port.
  [[nodiscard]] static Result<Socket> listen();
  /// Waits 30 s for an answer at most, then kTimeout.
  [[nodiscard]] static Result<Socket> connect(const std::string& host_and_port);
  [[nodiscard]] Result<Socket> accept() const;
  /// HOST:PORT of this end.
  [[nodiscard]] Result<std::string> address() const;

  [[nodiscard]] Status send(Bytes bytes) const;
  /// Fills `into`. kDisconnected at the end of the stream.
  [[nodiscard]] Status receive(MutableBytes into) const;
  /// What is there, at least one byte.
  [[nodiscard]] Result<std::size_t> receive_some(MutableBytes into) const;
  [[nodiscard]] int descriptor() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

/// Reads lines and counted bytes from a socket.
class LineReader {
 public:
  explicit LineReader(const Socket& socket) : socket_(socket) {}
  /// Up to and without "\r\n".
  [[nodiscard]] Result<std::string> line();
  [[nodiscard]] Result<std::string> take(std::size_t bytes);

 private:
  Status more();
  const Socket& socket_;
  std::string buffered_;
};

}  // namespace runnel::bench
