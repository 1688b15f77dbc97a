// The broker's network front: listening sockets, loops, limits, and an orderly end.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "broker/net/admission.h"
#include "broker/net/loop.h"
#include "broker/net/port.h"
#include "broker/net/sockets.h"

namespace runnel::broker {

struct ServerOptions {
  std::vector<Endpoint> listen{{"127.0.0.1", 9092}};  ///< port 0: any free one
  /// False: addresses other machines can reach are refused, for there is no authentication.
  bool allow_remote = false;
  NetMode net = NetMode::kAuto;
  unsigned loops = 0;  ///< threads; 0: half the cores, at least one
  std::size_t max_connections = 10'000;
  std::size_t max_connections_per_address = 0;  ///< 0: no limit
  LoopOptions loop;                             ///< deadlines and the log
  PortProtocols protocols;
};

/// kInvalidArgument if there is no address, one is no numeric address, or other machines could
/// reach one and that is not allowed. Opens nothing.
[[nodiscard]] Status check_addresses(const std::vector<Endpoint>& listen, bool allow_remote);
/// Takes the addresses and lets them go again: kIo with the cause if one cannot be had.
[[nodiscard]] Status try_addresses(const std::vector<Endpoint>& listen);

/// All members but start() are thread safe.
class Server {
 public:
  explicit Server(ServerOptions options);
  /// Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens and serves. kInvalidArgument for refused addresses, kIo if one cannot be had,
  /// kUnsupported if io_uring was demanded and is refused. After an error nothing runs.
  [[nodiscard]] Status start();
  /// Where it listens, with real ports. After start().
  [[nodiscard]] const std::vector<Endpoint>& bound() const noexcept { return bound_; }
  /// Which kind of loop runs, and why; one line for the log. After start().
  [[nodiscard]] const NetChoice& net() const noexcept { return choice_; }

  /// Accepts no more, asks every session to finish, waits for them. False if some were still open
  /// after `timeout`; stop() then cuts them.
  bool drain(std::chrono::milliseconds timeout);
  /// Cuts what is left and ends the threads.
  void stop();

  /// Of all loops together; lags behind events by a moment.
  [[nodiscard]] LoopStats stats() const;
  /// Connections refused for want of room.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(); }

 private:
  [[nodiscard]] std::size_t connection_limit() const;
  void accepted(UniqueFd socket);
  [[nodiscard]] Loop& least_loaded();
  void log(std::string_view line) const;

  const ServerOptions options_;
  SessionFactory sessions_;
  NetChoice choice_;
  std::shared_ptr<Admission> admission_;
  std::vector<Endpoint> bound_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::atomic<std::uint64_t> refused_{0};
  std::size_t next_loop_ = 0;  ///< accepting thread only
};

}  // namespace runnel::broker
