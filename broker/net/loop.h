// Event loops: one thread, many connections. Two kinds behind one interface: io_uring where the
// kernel grants it, Boost.Asio on epoll elsewhere. Sessions cannot tell them apart.
//
// Deadlines: a connection is cut when it was sent nothing within handshake_timeout of its first
// byte (a session's first output, which may be empty, ends the handshake), when that byte did not
// come for six times as long (clients open connections before they need them), when no byte moved
// for idle_timeout, or when its peer took no output for stall_timeout.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "broker/net/session.h"
#include "broker/net/sockets.h"
#include "protocol/base/error.h"

namespace runnel::broker {

/// Receives one line about something an operator may want to know. Any thread; must not block.
using NetLog = std::function<void(std::string_view)>;

/// A session's receive_into() must offer at least this much to be received into directly.
inline constexpr std::size_t kDirectReceiveBytes = 16u << 10;

struct LoopOptions {
  // Zero switches a deadline off.
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds idle_timeout{600'000};
  std::chrono::milliseconds stall_timeout{30'000};
  /// After close() and the last byte sent: how long to wait for the peer's end of stream. Closing
  /// at once could reset the connection before the peer has read our last words.
  std::chrono::milliseconds linger_timeout{1'000};
  std::string thread_name = "runnel-net";  ///< at most 15 bytes
  NetLog log;                              ///< may be empty
  /// Called on the loop's thread at the end of each turn, until it returns false ("nothing to do"):
  /// the place for work that is better done once for all that a turn brought. May be empty.
  std::function<bool()> end_of_turn;
};

struct LoopStats {
  std::uint64_t connections = 0;  ///< now
  std::uint64_t adopted = 0;      ///< ever
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t turns = 0;             ///< waits for events that returned
  std::uint64_t direct_receives = 0;   ///< receives straight into a session's memory
  std::uint64_t buffer_shortages = 0;  ///< receive buffers ran out and were added (io_uring)
  std::uint64_t cut_handshake = 0, cut_idle = 0, cut_stalled = 0;
};

/// All members are thread safe.
class Loop {
 public:
  /// Takes a freshly accepted socket. Loop thread.
  using AcceptHandler = std::function<void(UniqueFd)>;

  /// Stops.
  virtual ~Loop() = default;
  /// Starts the thread. Fails if the kernel refuses what the loop needs.
  [[nodiscard]] virtual Status start() = 0;
  /// Ends all connections at once and the thread. May be called again.
  virtual void stop() = 0;
  /// Runs `work` on the loop's thread, in order; dropped when the loop has stopped.
  virtual void post(std::function<void()> work) = 0;
  /// Serves `socket` with a session of `factory`. `lifetime` is released when the connection ends.
  virtual void adopt(UniqueFd socket, const SessionFactory& factory,
                     std::shared_ptr<void> lifetime = nullptr) = 0;
  /// Accepts from a listening socket until stop_listening().
  virtual void listen(UniqueFd socket, AcceptHandler handler) = 0;
  /// Closes the listening sockets, soon.
  virtual void stop_listening() = 0;
  /// Calls Session::shutting_down() of every connection, later ones included.
  virtual void shut_down_sessions() = 0;
  [[nodiscard]] virtual LoopStats stats() const = 0;
};

enum class NetMode : std::uint8_t { kAuto, kIoUring, kEpoll };
/// "auto", "io_uring", "epoll".
[[nodiscard]] Result<NetMode> parse_net_mode(std::string_view text);
[[nodiscard]] std::string_view name_of(NetMode mode);

/// Sets up a ring as the loop would and receives through it. The error's message tells what was
/// refused and why (a container's seccomp profile, kernel.io_uring_disabled, an old kernel).
[[nodiscard]] Status probe_io_uring();

struct NetChoice {
  NetMode mode = NetMode::kEpoll;  ///< kIoUring or kEpoll
  std::string sentence;            ///< "Network: epoll, because io_uring is ...", for the log
};
/// Resolves kAuto by probing. kUnsupported if kIoUring was asked for and is refused.
[[nodiscard]] Result<NetChoice> choose_net(NetMode wanted);

/// `mode` is kIoUring or kEpoll, as choose_net() gave it. Not started.
[[nodiscard]] Result<std::unique_ptr<Loop>> make_loop(NetMode mode, LoopOptions options);

}  // namespace runnel::broker
