// What a connection still has to send, and how it gets into the socket.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/net/session.h"
#include "protocol/base/error.h"

namespace runnel::broker {

/// One connection's queue of output, in order. One thread.
class OutputQueue {
 public:
  enum class Progress {
    kDone,     ///< nothing is left
    kBlocked,  ///< the socket is full: wait until it is writable
    kMore,     ///< `at_most` was reached; the socket may take more
  };

  void push(Output output);
  /// Moves up to about `at_most` bytes into the non-blocking socket `fd`: buffers gathered by
  /// sendmsg, file ranges by sendfile (or by a copy where a file has no descriptor).
  /// An error means that the connection is of no more use.
  [[nodiscard]] Result<Progress> write_to(int fd, std::uint64_t at_most);
  [[nodiscard]] std::uint64_t unsent_bytes() const noexcept { return unsent_; }
  [[nodiscard]] bool empty() const noexcept { return unsent_ == 0; }
  /// Lets go of everything queued.
  void clear();

 private:
  [[nodiscard]] Result<std::uint64_t> write_buffers(int fd);
  [[nodiscard]] Result<std::uint64_t> write_slice(int fd, std::uint64_t at_most);
  /// Reads the start of a slice that has no descriptor and queues it as a buffer before the rest.
  [[nodiscard]] Status stage_slice();
  void consume(std::uint64_t bytes);
  void pop();

  std::vector<OutPiece> pieces_;  ///< pieces_[head_] is sent next
  std::size_t head_ = 0;
  std::uint64_t head_sent_ = 0;  ///< bytes of pieces_[head_] already sent; buffers only
  std::uint64_t unsent_ = 0;
};

}  // namespace runnel::broker
