// A bare native connection for measuring: requests go out as they are, replies are taken in order
// of arrival, nothing is batched, retried or hidden. Applications use the client library.
#pragma once

#include <chrono>
#include <string>

#include "protocol/base/error.h"
#include "protocol/native/codec.h"

namespace runnel::tools {

/// Blocking; one thread.
class WireConnection {
 public:
  /// Connects to HOST:PORT and says hello. kDisconnected with the cause.
  [[nodiscard]] static Result<WireConnection> open(const std::string& address);
  WireConnection(WireConnection&& other) noexcept;
  WireConnection& operator=(WireConnection&& other) noexcept;
  ~WireConnection();

  /// `head` is an encoded frame without its attachment.
  [[nodiscard]] Status send(const Buffer& head, const Buffer& attachment = {});
  /// Waits for the next reply.
  [[nodiscard]] Result<protocol::native::ResponseFrame> receive();
  /// True if a reply has begun to arrive before `deadline`.
  [[nodiscard]] bool wait_readable(std::chrono::steady_clock::time_point deadline) const;
  /// send() and receive(); a Failure reply becomes an error.
  [[nodiscard]] Result<protocol::native::ResponseFrame> call(
      const protocol::native::Request& request);

 private:
  explicit WireConnection(int fd) : fd_(fd) {}
  Status receive_exactly(MutableBytes into);
  int fd_ = -1;
};

/// The broker's failure as an error; ok for any other response.
[[nodiscard]] Status check_response(const protocol::native::Response& response);

}  // namespace runnel::tools
