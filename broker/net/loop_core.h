// What both loops share: the mailbox, the connections, the deadlines, the order of one turn.
//
// A turn: wait for events; let them change connections; run posted work; then service every
// connection that was touched: deliver what was held back, send, close, re-arm. Callbacks into
// sessions therefore never nest, and many acknowledgements of one turn leave in one system call.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "broker/net/loop.h"
#include "broker/net/mailbox.h"

namespace runnel::broker {

class SocketConnection;
using LoopTime = std::chrono::steady_clock::time_point;

class LoopCore : public Loop {
 public:
  Status start() final;
  void stop() final;
  void post(std::function<void()> work) final;
  void adopt(UniqueFd socket, const SessionFactory& factory, std::shared_ptr<void> lifetime) final;
  void listen(UniqueFd socket, AcceptHandler handler) final;
  void stop_listening() final;
  void shut_down_sessions() final;
  LoopStats stats() const final;

  // For connections and for the derived loops. Loop thread only from here on.

  /// When the present turn began.
  [[nodiscard]] LoopTime now() const noexcept { return now_; }
  [[nodiscard]] const LoopOptions& options() const noexcept { return options_; }
  [[nodiscard]] const std::shared_ptr<Mailbox>& mailbox() const noexcept { return mailbox_; }
  void log(std::string_view line) const;
  /// Has `connection` serviced at the end of this turn.
  void touch(SocketConnection& connection) { touched_.push_back(&connection); }
  /// `connection` has no operation in flight and is destroyed at the end of this turn.
  void retire(SocketConnection& connection);

  /// Counters; written by the loop thread alone.
  struct Counters {
    std::atomic<std::uint64_t> connections{0}, adopted{0}, bytes_in{0}, bytes_out{0}, turns{0},
        direct_receives{0}, buffer_shortages{0}, cut_handshake{0}, cut_idle{0}, cut_stalled{0};
  };
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  Counters counters;

 protected:
  LoopCore(LoopOptions options, std::shared_ptr<Mailbox> mailbox);
  ~LoopCore() override;

  // What a derived loop brings. Its destructor must call stop().

  /// On the loop thread, before the first turn.
  virtual Status set_up() = 0;
  /// On the loop thread, after the last turn.
  virtual void tear_down() = 0;
  /// Waits for events at most `at_most` (nullopt: without limit) and handles them, having called
  /// begin_turn() between the two.
  virtual void wait_and_handle(std::optional<std::chrono::nanoseconds> at_most) = 0;
  virtual std::unique_ptr<SocketConnection> make_connection(UniqueFd socket,
                                                            std::shared_ptr<void> lifetime) = 0;
  virtual void start_accepting(UniqueFd socket, AcceptHandler handler) = 0;
  virtual void cancel_accepting() = 0;
  /// Starts accepting again where it failed for want of descriptors or memory.
  virtual void retry_accepting() = 0;
  [[nodiscard]] virtual bool accepting() const = 0;

  void begin_turn();

 private:
  void run();
  void run_posts();
  void service_touched();
  void tick();
  void open_connection(UniqueFd socket, const SessionFactory& factory,
                       std::shared_ptr<void> lifetime);
  [[nodiscard]] std::optional<std::chrono::nanoseconds> wait_limit();
  [[nodiscard]] bool on_loop_thread() const {
    return loop_thread_.load(std::memory_order_acquire) == std::this_thread::get_id();
  }

  const LoopOptions options_;
  const std::shared_ptr<Mailbox> mailbox_;
  std::chrono::nanoseconds tick_interval_;
  std::thread thread_;
  std::atomic<std::thread::id> loop_thread_{};

  LoopTime now_{};
  LoopTime next_tick_{};
  bool stopping_ = false;
  bool finishing_ = false;  ///< sessions were asked to shut down; so is every later one
  std::vector<std::unique_ptr<SocketConnection>> connections_;
  std::vector<SocketConnection*> touched_;
  std::vector<SocketConnection*> servicing_;
  std::vector<std::unique_ptr<SocketConnection>> retired_;
  std::vector<Posted> posts_;
};

}  // namespace runnel::broker
