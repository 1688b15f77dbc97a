#include "broker/net/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <thread>

namespace runnel::broker {
namespace {

// Descriptors left to storage and everything else when connections take the rest.
constexpr rlim_t kReservedDescriptors = 256;

unsigned default_loops() {
  return std::max(1u, std::thread::hardware_concurrency() / 2);
}

}  // namespace

Server::Server(ServerOptions options)
    : options_(std::move(options)), sessions_(detect_protocol(options_.protocols)) {}

Server::~Server() {
  stop();
}

Status check_addresses(const std::vector<Endpoint>& listen, bool allow_remote) {
  if (listen.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no address to listen on; give --listen HOST:PORT");
  }
  for (const Endpoint& endpoint : listen) {
    if (!is_numeric_or_localhost(endpoint.host)) {
      return fail(ErrorCode::kInvalidArgument,
                  "cannot listen on " + to_string(endpoint) + ": '" + endpoint.host +
                      "' is no numeric address; write one of this machine's, such as 127.0.0.1");
    }
    if (allow_remote || is_loopback(endpoint.host)) continue;
    return fail(ErrorCode::kInvalidArgument,
                "refusing to listen on " + to_string(endpoint) +
                    ": other machines could reach it, and there is no authentication; listen on "
                    "127.0.0.1, or give --insecure-allow-remote if the network is trusted");
  }
  return {};
}

Status try_addresses(const std::vector<Endpoint>& listen) {
  for (const Endpoint& endpoint : listen) RUNNEL_TRY(listen_on(endpoint));
  return {};
}

std::size_t Server::connection_limit() const {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return options_.max_connections;
  const rlim_t wanted = options_.max_connections + kReservedDescriptors;
  if (limit.rlim_cur < wanted) {
    const rlimit raised{std::min(wanted, limit.rlim_max), limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  if (limit.rlim_cur >= wanted) return options_.max_connections;
  const std::size_t allowed = limit.rlim_cur > 2 * kReservedDescriptors
                                  ? limit.rlim_cur - kReservedDescriptors
                                  : limit.rlim_cur / 2;
  log("at most " + std::to_string(allowed) + " connections, not " +
      std::to_string(options_.max_connections) +
      ": the limit of open files allows no more; raise it (ulimit -n)");
  return allowed;
}

Status Server::start() {
  RUNNEL_TRY(check_addresses(options_.listen, options_.allow_remote));
  RUNNEL_TRY_ASSIGN(choice_, choose_net(options_.net));
  admission_ =
      std::make_shared<Admission>(connection_limit(), options_.max_connections_per_address);
  std::vector<ListeningSocket> sockets;
  for (const Endpoint& endpoint : options_.listen) {
    RUNNEL_TRY_ASSIGN(auto some, listen_on(endpoint));
    std::move(some.begin(), some.end(), std::back_inserter(sockets));
  }
  const unsigned count = options_.loops > 0 ? options_.loops : default_loops();
  for (unsigned i = 0; i < count; ++i) {
    LoopOptions loop_options = options_.loop;
    loop_options.thread_name += "-" + std::to_string(i);
    auto loop = make_loop(choice_.mode, std::move(loop_options));
    Status started = loop ? (*loop)->start() : Status(fail(loop.error()));
    if (!started) {
      stop();
      loops_.clear();
      return started;
    }
    loops_.push_back(std::move(*loop));
  }
  for (ListeningSocket& socket : sockets) {
    bound_.push_back(socket.bound);
    loops_.front()->listen(std::move(socket.fd), [this](UniqueFd fd) { accepted(std::move(fd)); });
  }
  return {};
}

void Server::accepted(UniqueFd socket) {
  const Endpoint remote = remote_endpoint(socket.get());
  auto ticket = admission_->admit(remote.host);
  if (!ticket) {
    // One line for each thousand: a flood must not fill the log.
    if (refused_.fetch_add(1) % 1000 == 0) {
      log("refused the connection from " + to_string(remote) +
          ": the limit of connections is reached (logged once in a thousand)");
    }
    return;
  }
  least_loaded().adopt(std::move(socket), sessions_, std::move(ticket));
}

Loop& Server::least_loaded() {
  // Counts lag behind a burst of connections; taking turns keeps ties even.
  std::size_t best = next_loop_++ % loops_.size();
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    if (loops_[i]->stats().connections + 1 < loops_[best]->stats().connections) best = i;
  }
  return *loops_[best];
}

bool Server::drain(std::chrono::milliseconds timeout) {
  if (loops_.empty()) return true;
  for (const auto& loop : loops_) loop->stop_listening();
  for (const auto& loop : loops_) loop->shut_down_sessions();
  return admission_->wait_until_empty(timeout);
}

void Server::stop() {
  for (const auto& loop : loops_) loop->stop();
}

LoopStats Server::stats() const {
  LoopStats sum;
  for (const auto& loop : loops_) {
    const LoopStats one = loop->stats();
    sum.connections += one.connections;
    sum.adopted += one.adopted;
    sum.bytes_in += one.bytes_in;
    sum.bytes_out += one.bytes_out;
    sum.turns += one.turns;
    sum.direct_receives += one.direct_receives;
    sum.buffer_shortages += one.buffer_shortages;
    sum.cut_handshake += one.cut_handshake;
    sum.cut_idle += one.cut_idle;
    sum.cut_stalled += one.cut_stalled;
  }
  return sum;
}

void Server::log(std::string_view line) const {
  if (options_.loop.log) options_.loop.log(line);
}

}  // namespace runnel::broker
