// One request from its bytes to its answer.
//
// A handler gets the call and answers: at once, or later from a closure given to on_loop(). The
// session sends answers in the order of the requests, whatever the order in which they are ready.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/http/message.h"
#include "broker/http/service.h"
#include "broker/http/shared_piece.h"
#include "broker/net/session.h"
#include "broker/sessions/blocking.h"
#include "broker/sessions/peer.h"

namespace runnel::broker::http {

class HttpSession;
struct Route;

/// Does not change. Queries of views wait for each other, but not for what reads the log.
struct HttpPeer : Peer {
  std::shared_ptr<Workers::Lane> query_lane;
  std::shared_ptr<Workers::Lane> quick_lane;
};

/// A request's parameters by name, decoded and checked against the route's table.
struct Parameters {
  std::map<std::string, std::string, std::less<>> path;
  std::vector<std::pair<std::string, std::string>> query;
};

/// Loop thread only, but for on_loop() and what does not change. Kept by whoever will answer it;
/// one that is dropped is answered with an internal error.
class Call {
 public:
  Call(HttpSession& session, HttpService& service, std::shared_ptr<const HttpPeer> peer,
       const Route& route, Request request, Parameters parameters, std::string id,
       MemoryLease lease, std::uint64_t number);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Any thread.
  [[nodiscard]] HttpService& service() const noexcept { return service_; }
  [[nodiscard]] storage::Store& store() const noexcept { return service_.store(); }
  [[nodiscard]] const Request& request() const noexcept { return request_; }
  [[nodiscard]] const Route& route() const noexcept { return route_; }
  /// X-Request-Id as it came, or one made here.
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] const Endpoint& remote() const noexcept { return peer_->remote; }
  [[nodiscard]] const std::shared_ptr<Workers::Lane>& lane() const noexcept { return peer_->lane; }
  /// Of the service's query_workers() and quick_workers().
  [[nodiscard]] const std::shared_ptr<Workers::Lane>& query_lane() const noexcept {
    return peer_->query_lane;
  }
  [[nodiscard]] const std::shared_ptr<Workers::Lane>& quick_lane() const noexcept {
    return peer_->quick_lane;
  }
  /// A part of the path, which the route has.
  [[nodiscard]] const std::string& path(std::string_view name) const;
  /// A query parameter; nullopt: it was not given.
  [[nodiscard]] std::optional<std::string_view> query(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> query_all(std::string_view name) const;
  /// One that the route's table says is an integer or a boolean.
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  /// Whether the client rather takes `type` than JSON.
  [[nodiscard]] bool wants(std::string_view type) const;
  /// Runs `work`, which may answer, on the loop thread; drops it if the connection has ended.
  void on_loop(std::function<void()> work) const { peer_->posts->push(std::move(work)); }

  // Loop thread.
  void reply(Response response);
  void fail(Problem why);
  void fail(const Error& error) { fail(problem(error)); }
  template <class T>
  void reply(Result<T> result) {
    result ? reply(std::move(*result)) : fail(result.error());
  }
  /// The body, to be taken over by its handler.
  [[nodiscard]] Request& mutable_request() noexcept { return request_; }
  /// Memory that the call holds until its answer is sent.
  void keep(MemoryLease lease) { leases_.push_back(std::move(lease)); }
  /// Pays for waiting with so many partitions. kOverloaded: too many wait already.
  [[nodiscard]] Status pay_for_waiting(std::size_t partitions);
  /// Runs `retry` on the loop thread when there may be memory again.
  void wait_for_memory(std::function<void()> retry);
  /// Called if the client goes before it has the answer, or the broker shuts down: what waits is to
  /// answer with what there is. Replaced by the next one.
  void on_cancel(std::function<void()> cancel);

  // An answer that goes on (event streams). Loop thread.
  /// Sends the head; write() and end() follow.
  void begin_stream(Response head);
  /// False: the client does not keep up; stop until `drained` is called.
  bool write(std::string piece);
  /// The same with bytes that others get, too.
  bool write(const SharedPiece& piece);
  void end_stream();
  /// Called once, when the client has taken most of what was written.
  void on_drained(std::function<void()> drained) { drained_ = std::move(drained); }
  [[nodiscard]] bool answered() const noexcept { return answered_; }

 private:
  friend class HttpSession;

  HttpSession& session_;  ///< alive whenever the loop thread is in here
  HttpService& service_;
  const std::shared_ptr<const HttpPeer> peer_;
  const Route& route_;
  Request request_;
  const Parameters parameters_;
  const std::string id_;
  std::vector<MemoryLease> leases_;
  const std::uint64_t number_;
  bool answered_ = false;
  std::function<void()> cancel_;
  std::function<void()> drained_;
};
using CallRef = std::shared_ptr<Call>;

/// run_blocking() where the result (Response or Result<Response>) is the answer.
template <class Work>
void answer_blocking(const CallRef& call, Work work) {
  run_blocking(call, std::move(work), [call](auto result) { call->reply(std::move(result)); });
}

/// For long work: `piece` (-> bool: finished) is called until it is, and other connections have
/// their turn between the calls; then `then` on the call's loop thread.
template <class Piece, class Then>
void run_in_pieces(const CallRef& call, Piece piece, Then then) {
  call->service().workers().run(call->lane(),
                                [call, piece = std::move(piece), then = std::move(then)]() mutable {
                                  if (!piece()) return false;
                                  call->on_loop([then]() mutable { then(); });
                                  return true;
                                });
}

}  // namespace runnel::broker::http
