// The native protocol's client side: preface, hello, pipelined requests matched by correlation id,
// a time-out each, reconnection with back-off. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "client/src/transport.h"
#include "protocol/native/codec.h"

namespace runnel::client {

namespace native = protocol::native;

/// An answer: the message and the batches behind it.
struct Reply {
  native::Response response;
  Buffer attachment;
};

/// A request failed: either the broker said so, or the connection did.
struct Refusal {
  Error error;
  ErrorAction action = ErrorAction::kPermanent;
  /// False: the request certainly did not reach the broker, or the broker answered it with an
  /// error.
  bool maybe_done = false;
  std::vector<native::Failure::Duplicate> duplicates;
};
using Answer = tl::expected<Reply, Refusal>;
using AnswerCallback = std::function<void(Answer)>;

/// What becomes of a request that was sent when its connection is lost before the answer.
enum class OnLoss {
  kFail,       ///< it ends with maybe_done
  kSendAgain,  ///< the next connection gets it, too, within the same time-out
};

struct ConnectionOptions {
  std::string client_name;
  Milliseconds connect_timeout{10'000};
  Milliseconds backoff{50};
  Milliseconds backoff_max{2'000};
};

class Connection final : private TransportEvents {
 public:
  Connection(Loop& loop, TransportFactory factory, ConnectionOptions options);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins to connect, and goes on until close().
  void start();
  /// Answers everything with kCancelled and connects no more.
  void close();

  /// Sends `request` and `attachment`; waits for the connection if there is none. `done` runs once,
  /// never inside this call unless the connection was closed. What is sent again has no attachment.
  void request(native::Request request, std::vector<Buffer> attachment, Milliseconds timeout,
               AnswerCallback done, OnLoss on_loss = OnLoss::kFail);
  /// As request(), but `event` gets every frame under this correlation until stop_stream(), or one
  /// Refusal. Fails at once if there is no connection. Returns the stream's name.
  std::uint64_t stream(native::Request request, AnswerCallback event);
  void stop_stream(std::uint64_t stream) { waiting_.erase(stream); }
  /// Sends a request that has no reply; dropped if there is no connection.
  void notify(const native::Request& request);

  /// Calls `up` after each hello, and `down` when a connection that was up is lost (after the
  /// requests in flight were answered). Returned token ends it when destroyed.
  struct Listener {
    std::function<void()> up;
    std::function<void()> down;
  };
  [[nodiscard]] std::shared_ptr<void> listen(Listener listener);

  [[nodiscard]] bool is_up() const noexcept { return state_ == State::kUp; }
  [[nodiscard]] const native::HelloReply& hello() const noexcept { return hello_; }
  /// Why the latest attempt failed.
  [[nodiscard]] const std::optional<Error>& last_error() const noexcept { return last_error_; }
  /// The broker refused this version or greeting: connecting again is of no use.
  [[nodiscard]] bool is_refused() const noexcept { return refused_; }

 private:
  enum class State { kIdle, kConnecting, kGreeting, kUp, kClosed };
  struct Waiting {
    AnswerCallback done;
    Loop::TimerId timer = 0;
    bool stream = false;
    std::optional<native::Request> again = std::nullopt;  ///< for OnLoss::kSendAgain
    unsigned losses = 0;                                  ///< times it was sent in vain
  };
  struct Queued {
    native::Request request;
    std::vector<Buffer> attachment;
  };

  void transport_open() override;
  void transport_received(Bytes data) override;
  void transport_closed(const Error& why) override;

  void connect();
  void send_now(std::uint64_t correlation, const native::Request& request,
                std::vector<Buffer> attachment);
  void timed_out(std::uint64_t correlation, Milliseconds timeout);
  /// Takes whole frames out of `input_`.
  void take_frames();
  void handle_frame(const Buffer& frame);
  void greeted(native::ResponseFrame frame);
  void drop(const Error& why);
  void retry_later();
  /// Ends what was sent and has no answer, or keeps it for the next connection.
  void lose_in_flight(const Error& why);
  void send_again_later(std::uint64_t correlation, Waiting& waiting);
  void announce(bool up);

  Loop& loop_;
  TransportFactory factory_;
  ConnectionOptions options_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Transport> retired_;  ///< kept while its own event is being delivered
  State state_ = State::kIdle;
  bool refused_ = false;
  std::optional<Error> last_error_;
  SteadyClock::time_point heard_;  ///< when bytes came last
  native::HelloReply hello_;
  Milliseconds backoff_;
  Loop::TimerId timer_ = 0;
  std::minstd_rand jitter_;

  std::uint64_t next_correlation_ = 1;
  std::map<std::uint64_t, Waiting> waiting_;  ///< ordered: failures are told in request order
  std::map<std::uint64_t, Queued> queued_;    ///< for the next greeting; also in waiting_
  std::vector<std::weak_ptr<Listener>> listeners_;

  Buffer input_;  ///< an incomplete frame, its memory large enough for the whole of it
  std::size_t input_size_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace runnel::client
