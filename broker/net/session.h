// Between sockets and protocols. Sessions know no sockets: bytes in, buffers out. The io_uring
// loop, the epoll loop, the embedded client and tests are their hosts.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/base/buffer.h"
#include "storage/env/file_system.h"

namespace runnel::broker {

/// A piece of output: bytes, or a range of a file (sent with sendfile where that is possible).
using OutPiece = std::variant<Buffer, storage::FileSlice>;
using Output = std::vector<OutPiece>;

struct Endpoint {
  std::string host;  ///< numeric
  std::uint16_t port = 0;
};

class Session;

/// Reaches a session from any thread, even after the session's end.
class SessionHandle {
 public:
  virtual ~SessionHandle() = default;
  /// Runs `work` on the session's loop thread, in order, or drops it if the session has ended.
  /// Never runs it inside the call. Thread safe.
  virtual void post(std::function<void(Session&)> work) = 0;
};

/// The host's side of one connection. Loop thread only.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Queues `output`; order is kept. Sending starts no later than the end of this loop turn.
  virtual void send(Output output) = 0;
  /// Sends what is queued, then closes. Nothing is received any more, posted work is dropped.
  virtual void close() = 0;
  /// Stops and restarts reading from the socket (back-pressure). Bytes already received may still
  /// be delivered once. Counted: each pause needs its resume.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  /// Bytes queued and not yet taken by the kernel.
  [[nodiscard]] virtual std::uint64_t unsent_bytes() const = 0;
  [[nodiscard]] virtual std::shared_ptr<SessionHandle> handle() = 0;
  [[nodiscard]] virtual const Endpoint& local() const = 0;
  [[nodiscard]] virtual const Endpoint& remote() const = 0;
};

/// One connection's protocol. All calls come on one loop thread; the Connection outlives it.
class Session {
 public:
  virtual ~Session() = default;
  /// Where the next bytes should be put so that they need no copy, or empty for "anywhere". Asked
  /// before each receive. Bytes put there are announced by received() as a prefix of this span.
  /// A span once given must stay valid until it is announced or the session is destroyed. Offering
  /// a span is no promise that it is used: received() may also bring bytes that lie elsewhere.
  virtual MutableBytes receive_into() { return {}; }
  /// Bytes arrived; `data` is valid during the call only (unless it lies in receive_into()).
  virtual void received(Bytes data) = 0;
  /// Queued output fell to half of the low mark (kOutputLowMark) after having been above it.
  virtual void drained() {}
  /// A graceful shutdown began, or the peer sent its end of stream (it may still read answers):
  /// finish what was asked, ask for nothing new, then close(). Called at most once.
  virtual void shutting_down() = 0;
  /// Asked about once a second. Not empty: the peer began something and does not go on with it; the
  /// connection is cut, and this says why.
  [[nodiscard]] virtual std::string_view overdue(std::chrono::steady_clock::time_point) {
    return {};
  }
  /// The session that posted work (SessionHandle::post) is meant for: one that only forwards to
  /// another answers with that other.
  [[nodiscard]] virtual Session& recipient() { return *this; }
};

/// Above this many unsent bytes a session should stop producing output until drained().
inline constexpr std::uint64_t kOutputLowMark = 1u << 20;

/// Makes the session of a new connection.
using SessionFactory = std::function<std::unique_ptr<Session>(Connection&)>;

}  // namespace runnel::broker
