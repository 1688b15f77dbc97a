// One socket and its session, on either loop. The derived classes know how to wait for events;
// everything else is here.
//
// Life: open -> closing (close() was called; output is flushed, input discarded) -> lingering (our
// end of stream is sent, waiting for the peer's) -> dead (operations are cancelled) -> retired.
// A peer's end of stream makes the session shut down gracefully: it may still answer.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "broker/net/loop_core.h"
#include "broker/net/output_queue.h"

namespace runnel::broker {

/// A SessionHandle that knows its connection until that ends.
class SessionTarget final : public SessionHandle,
                            public std::enable_shared_from_this<SessionTarget> {
 public:
  SessionTarget(std::shared_ptr<Mailbox> mailbox, SocketConnection* connection)
      : mailbox_(std::move(mailbox)), connection_(connection) {}

  void post(std::function<void(Session&)> work) override;
  /// Loop thread.
  void run(const std::function<void(Session&)>& work) const;
  void forget() noexcept { connection_ = nullptr; }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  SocketConnection* connection_;  ///< loop thread only
};

class SocketConnection : public Connection {
 public:
  ~SocketConnection() override;

  // Connection.
  void send(Output output) override;
  void close() override;
  void pause_reading() override;
  void resume_reading() override;
  std::uint64_t unsent_bytes() const override { return output_.unsent_bytes(); }
  std::shared_ptr<SessionHandle> handle() override;
  const Endpoint& local() const override { return local_; }
  const Endpoint& remote() const override { return remote_; }

  // For the loop.

  /// Makes the session; receiving starts at the end of this turn.
  void open(const SessionFactory& factory);
  /// The end of a turn: delivers, sends, closes, re-arms, as the state asks for.
  void service();
  /// Session::shutting_down(), once.
  void ask_to_finish();
  /// Ends the connection without more ado; queued output is lost.
  void cut();
  void check_deadlines(LoopTime now);
  void run_posted(const std::function<void(Session&)>& work);

  std::size_t index = 0;  ///< in the loop's list

 protected:
  SocketConnection(LoopCore& loop, UniqueFd socket, std::shared_ptr<void> lifetime);

  // What a derived class brings.

  /// Arms receiving if it is wanted and not armed; stops it, as far as that is possible, if not.
  virtual void update_receiving(bool wanted) = 0;
  /// Calls writable() once, when the socket takes bytes again.
  virtual void watch_writable() = 0;
  /// Cancels all operations; each still reports its end, and touch()es.
  virtual void cancel_operations() = 0;
  [[nodiscard]] virtual bool operations_pending() const = 0;

  // What a derived class reports. Loop thread, outside service().

  /// Bytes that lie elsewhere than in receive_into().
  void arrived(Bytes data);
  /// The first `size` bytes of what receive_into() gave are filled.
  void arrived_directly(MutableBytes span, std::size_t size);
  void end_of_stream();
  void receive_failed(int error);
  void writable();
  void touch();

  /// The session's span for the next receive; empty when input is discarded or not wanted there.
  [[nodiscard]] MutableBytes direct_span();
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] bool dead() const noexcept { return dead_; }
  [[nodiscard]] bool paused() const noexcept { return pauses_ > 0; }
  [[nodiscard]] LoopCore& loop() noexcept { return loop_; }

 private:
  void deliver_held();
  void flush();
  void begin_lingering();
  void note_heard();
  void count_cut(std::atomic<std::uint64_t>& counter, std::string_view why);

  LoopCore& loop_;
  std::shared_ptr<void> lifetime_;
  UniqueFd socket_;
  Endpoint local_;
  Endpoint remote_;
  std::shared_ptr<SessionTarget> target_;  ///< made when first asked for
  OutputQueue output_;
  std::vector<std::byte> held_;  ///< arrived while reading was paused
  LoopTime opened_;
  LoopTime began_;     ///< first byte received
  LoopTime heard_;     ///< last byte received
  LoopTime progress_;  ///< last output taken by the kernel, or output began to wait
  LoopTime ended_;     ///< when lingering or the peer's end of stream began
  int pauses_ = 0;
  bool touched_ = false;
  bool spoke_ = false;       ///< something was received
  bool greeted_ = false;     ///< the session has sent something
  bool above_mark_ = false;  ///< drained() is owed
  bool waiting_writable_ = false;
  bool asked_to_finish_ = false;
  bool peer_ended_ = false;
  bool closing_ = false;
  bool lingering_ = false;
  bool dead_ = false;
  bool cancelled_ = false;
  bool retired_ = false;
  std::unique_ptr<Session> session_;  ///< last: it may use the connection in its destructor
};

}  // namespace runnel::broker
