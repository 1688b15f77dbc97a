#include "broker/net/loop_core.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>

#include "broker/net/connection.h"

namespace runnel::broker {
namespace {

using std::chrono::milliseconds;

// Deadlines are checked four times within the shortest of them, and at least once a second.
std::chrono::nanoseconds tick_interval_for(const LoopOptions& options) {
  milliseconds shortest{4'000};
  for (const milliseconds limit : {options.handshake_timeout, options.idle_timeout,
                                   options.stall_timeout, options.linger_timeout}) {
    if (limit.count() > 0) shortest = std::min(shortest, limit);
  }
  return std::max(shortest / 4, milliseconds(1));
}

}  // namespace

LoopCore::LoopCore(LoopOptions options, std::shared_ptr<Mailbox> mailbox)
    : options_(std::move(options)),
      mailbox_(std::move(mailbox)),
      tick_interval_(tick_interval_for(options_)) {}

LoopCore::~LoopCore() {
  RUNNEL_ASSERT(!thread_.joinable());
}

Status LoopCore::start() {
  RUNNEL_ASSERT(!thread_.joinable());
  std::promise<Status> started;
  auto result = started.get_future();
  thread_ = std::thread([this, &started] {
    loop_thread_.store(std::this_thread::get_id(), std::memory_order_release);
    pthread_setname_np(pthread_self(), options_.thread_name.substr(0, 15).c_str());
    // sendfile to a closed connection raises it, and has no flag against that.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    Status ready = set_up();
    const bool usable = ready.has_value();
    started.set_value(std::move(ready));
    if (usable) run();
    tear_down();
  });
  Status ready = result.get();
  if (!ready) thread_.join();
  return ready;
}

void LoopCore::stop() {
  if (!thread_.joinable()) return;
  post([this] {
    stopping_ = true;
    cancel_accepting();
    for (const auto& connection : connections_) connection->cut();
  });
  thread_.join();
  loop_thread_.store({}, std::memory_order_release);
}

void LoopCore::run() {
  while (!stopping_ || !connections_.empty() || accepting()) {
    wait_and_handle(wait_limit());
    add(counters.turns, 1);
    run_posts();
    service_touched();
    while (options_.end_of_turn && options_.end_of_turn()) {
      run_posts();  // its results go out in this turn
      service_touched();
    }
    if (now_ >= next_tick_) tick();
  }
  mailbox_->close();
}

void LoopCore::begin_turn() {
  now_ = std::chrono::steady_clock::now();
}

std::optional<std::chrono::nanoseconds> LoopCore::wait_limit() {
  if (!touched_.empty() || !mailbox_->may_sleep()) return std::chrono::nanoseconds(0);
  if (connections_.empty() && !accepting()) return std::nullopt;
  return std::max<std::chrono::nanoseconds>(next_tick_ - now_, std::chrono::nanoseconds(0));
}

void LoopCore::run_posts() {
  mailbox_->take(posts_);
  for (const Posted& posted : posts_) {
    if (posted.target) {
      posted.target->run(posted.for_session);
    } else {
      posted.for_loop();
    }
  }
  posts_.clear();
}

void LoopCore::service_touched() {
  servicing_.swap(touched_);
  for (SocketConnection* connection : servicing_) connection->service();
  servicing_.clear();
  if (retired_.empty()) return;
  // A connection that retired may have been touched again by its own session in this turn.
  for (const auto& retired : retired_) std::erase(touched_, retired.get());
  retired_.clear();
  counters.connections.store(connections_.size(), std::memory_order_relaxed);
}

void LoopCore::tick() {
  next_tick_ = now_ + tick_interval_;
  for (const auto& connection : connections_) connection->check_deadlines(now_);
  if (!stopping_) retry_accepting();
}

void LoopCore::retire(SocketConnection& connection) {
  const std::size_t at = connection.index;
  RUNNEL_ASSERT(connections_[at].get() == &connection);
  retired_.push_back(std::move(connections_[at]));
  if (at + 1 < connections_.size()) {
    connections_[at] = std::move(connections_.back());
    connections_[at]->index = at;
  }
  connections_.pop_back();
}

void LoopCore::post(std::function<void()> work) {
  mailbox_->post({nullptr, nullptr, std::move(work)});
}

void LoopCore::adopt(UniqueFd socket, const SessionFactory& factory,
                     std::shared_ptr<void> lifetime) {
  if (on_loop_thread()) {
    open_connection(std::move(socket), factory, std::move(lifetime));
    return;
  }
  // Closures must be copyable, sockets are not.
  auto carried = std::make_shared<UniqueFd>(std::move(socket));
  post([this, carried, factory, lifetime = std::move(lifetime)] {
    open_connection(std::move(*carried), factory, lifetime);
  });
}

void LoopCore::open_connection(UniqueFd socket, const SessionFactory& factory,
                               std::shared_ptr<void> lifetime) {
  if (stopping_) return;
  prepare_stream(socket.get());
  auto made = make_connection(std::move(socket), std::move(lifetime));
  if (!made) return;
  SocketConnection& connection = *made;
  connection.index = connections_.size();
  connections_.push_back(std::move(made));
  counters.connections.store(connections_.size(), std::memory_order_relaxed);
  add(counters.adopted, 1);
  connection.open(factory);
  if (finishing_) connection.ask_to_finish();
}

void LoopCore::listen(UniqueFd socket, AcceptHandler handler) {
  auto carried = std::make_shared<UniqueFd>(std::move(socket));
  post([this, carried, handler = std::move(handler)] {
    if (!stopping_) start_accepting(std::move(*carried), handler);
  });
}

void LoopCore::stop_listening() {
  post([this] { cancel_accepting(); });
}

void LoopCore::shut_down_sessions() {
  post([this] {
    finishing_ = true;
    for (const auto& connection : connections_) connection->ask_to_finish();
  });
}

void LoopCore::log(std::string_view line) const {
  if (options_.log) options_.log(line);
}

LoopStats LoopCore::stats() const {
  const auto value = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  LoopStats stats;
  stats.connections = value(counters.connections);
  stats.adopted = value(counters.adopted);
  stats.bytes_in = value(counters.bytes_in);
  stats.bytes_out = value(counters.bytes_out);
  stats.turns = value(counters.turns);
  stats.direct_receives = value(counters.direct_receives);
  stats.buffer_shortages = value(counters.buffer_shortages);
  stats.cut_handshake = value(counters.cut_handshake);
  stats.cut_idle = value(counters.cut_idle);
  stats.cut_stalled = value(counters.cut_stalled);
  return stats;
}

}  // namespace runnel::broker
