// The few socket calls the broker makes by itself, with errors that say what to do.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/net/session.h"
#include "protocol/base/error.h"

namespace runnel::broker {

/// Owns a file descriptor and closes it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

/// "Connection refused (errno 111)".
[[nodiscard]] std::string errno_text(int error);

/// Reads "HOST:PORT" or "[V6]:PORT". HOST is a numeric address or "localhost"; the port may be 0.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);
/// "127.0.0.1:9092", "[::1]:9092".
[[nodiscard]] std::string to_string(const Endpoint& endpoint);
/// True for localhost, 127.0.0.0/8 and ::1.
[[nodiscard]] bool is_loopback(std::string_view host);

/// True for what can be listened on: localhost and numeric addresses.
[[nodiscard]] bool is_numeric_or_localhost(std::string_view host);

/// A bound, listening, non-blocking socket.
struct ListeningSocket {
  UniqueFd fd;
  Endpoint bound;  ///< with the real port where 0 was asked for
};

/// Listens on `where`. "localhost" gives 127.0.0.1 and, where the port is fixed and the machine has
/// IPv6, ::1 too. kInvalidArgument for hosts that are not numeric, kIo with the cause otherwise.
[[nodiscard]] Result<std::vector<ListeningSocket>> listen_on(const Endpoint& where);

/// Makes `fd` non-blocking, turns Nagle's delay off, and on loopback keeps the send buffer small.
void prepare_stream(int fd);
[[nodiscard]] Endpoint local_endpoint(int fd);
[[nodiscard]] Endpoint remote_endpoint(int fd);

}  // namespace runnel::broker
