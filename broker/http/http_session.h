// One HTTP/1.1 connection: requests in, calls out to the handlers, answers back in order.
//
// Requests that change nothing are worked on at the same time when a client pipelines them; all
// others wait for what came before them and hold up what comes after.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/parser.h"
#include "broker/http/router.h"
#include "broker/http/service.h"
#include "broker/http/websocket.h"
#include "broker/net/session.h"

namespace runnel::broker::http {

/// The request that is arriving.
struct ArrivingRequest {
  RequestParser parser;
  MemoryLease lease;
  std::size_t paid = 0;  ///< bytes of the body that there is memory for
  Router::Match match;
  std::optional<Problem> refused;  ///< told when its body was read over
  bool head_done = false;
  bool owes_continue = false;
  std::uint64_t bytes = 0;  ///< that came
  std::string id;
};

/// Loop thread only.
class HttpSession final : public Session {
 public:
  HttpSession(HttpService& service, Connection& connection);
  ~HttpSession() override;

  void received(Bytes data) override;
  void drained() override;
  void shutting_down() override;
  std::string_view overdue(std::chrono::steady_clock::time_point now) override;

 private:
  friend class Call;
  /// A request that was read, in the order of their arrival.
  struct Slot {
    CallRef waiting;           ///< whose turn has not come
    std::weak_ptr<Call> call;  ///< that has begun
    Output output;
    bool safe = false;
    bool streams = false;
    bool may_wait = false;   ///< for records or views, as its parameters say
    bool head_only = false;  ///< HEAD
    bool http11 = true;
    bool close = false;  ///< the connection ends with its answer
    bool begun = false;
    bool streaming = false;
    bool ready = false;
    std::string origin = {};  ///< that may read the answer; empty: none but its own
    std::string id = {};
  };

  // Requests.
  void consume(std::string_view data);
  void begin_request();
  [[nodiscard]] bool pay(std::size_t arriving);
  void wait_for_memory();
  void retry_memory();
  void head_arrived();
  [[nodiscard]] std::optional<Problem> check_head(Router::Match& match);
  [[nodiscard]] std::optional<Problem> check_size(const Router::Match& match) const;
  void refuse(Problem why, bool close);
  void end_request();
  void answer_options();
  Slot& add_slot();
  [[nodiscard]] bool blocked() const noexcept;
  /// A stream may never end: what comes behind it is not looked at.
  [[nodiscard]] bool behind_stream() const noexcept {
    return !slots_.empty() && slots_.back().streams;
  }
  [[nodiscard]] bool behind_waiting() const noexcept;
  void greet();

  // Answers.
  void begin_calls();
  void run(std::vector<std::function<void()>> posts);
  void answered(std::uint64_t number, Response response, std::vector<MemoryLease> leases);
  void dropped(std::uint64_t number);
  void stream(std::uint64_t number, Response head);
  [[nodiscard]] bool stream_piece(std::uint64_t number, std::string piece);
  [[nodiscard]] bool stream_shared(std::uint64_t number, const SharedPiece& piece);
  [[nodiscard]] bool send_piece(Buffer bytes);
  void stream_end(std::uint64_t number);

  // A WebSocket, from its handshake on.
  void socket_received(std::string_view data);
  [[nodiscard]] bool socket_message(const SocketReader::Message& message);
  void end_socket(CloseCode code, std::string_view why);
  /// `leases`: memory that the answer holds until it is sent.
  void fill(Slot& slot, Response response, std::vector<MemoryLease> leases = {});
  void add_common_headers(const Slot& slot, Response& response) const;
  [[nodiscard]] Slot* slot_of(std::uint64_t number);
  void flush();
  void update_pause();
  void go_on();
  void close_if_finished();

  HttpService& service_;
  Connection& connection_;
  const std::shared_ptr<SessionHandle> handle_;
  const std::shared_ptr<const HttpPeer> peer_;

  std::optional<ArrivingRequest> arriving_;
  std::uint64_t requests_ = 0;  ///< begun so far
  std::string input_;           ///< arrived and not used yet
  std::weak_ptr<const void> unpaid_;
  struct Unfinished {
    std::uint64_t request = 0;
    std::chrono::steady_clock::time_point since;
    std::uint64_t bytes = 0;
  };
  Unfinished unfinished_;  ///< the request that overdue() last saw unfinished
  std::optional<std::chrono::steady_clock::time_point> full_since_;

  std::optional<SocketReader> socket_;  ///< set: the connection speaks WebSocket
  bool socket_closed_ = false;          ///< our close frame is sent: nothing may follow
  bool wants_memory_ = false;
  bool wants_turn_ = false;     ///< a body is taken in when what may wait before it has ended
  bool ignores_input_ = false;  ///< the connection ends with the last answer
  bool paused_ = false;
  bool output_full_ = false;
  bool finishing_ = false;
  bool greeted_ = false;
  bool closed_ = false;

  std::deque<Slot> slots_;
  std::uint64_t first_number_ = 0;  ///< of slots_.front()
};

}  // namespace runnel::broker::http
