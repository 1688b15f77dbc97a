#include "broker/http/http_session.h"

#include <algorithm>

#include "broker/http/hosts.h"
#include "broker/http/limits.h"
#include "broker/http/stream_wire.h"

namespace runnel::broker::http {
namespace {

/// Answers echo it, so it has to be a short visible text.
bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// "http://host:1/path" is "/path" of that host (RFC 9112, 3.2.2).
void take_absolute_form(Request& request) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!request.target.starts_with(scheme)) continue;
    const std::size_t end =
        std::min(request.target.find_first_of("/?", scheme.size()), request.target.size());
    for (Header& h : request.headers) {
      if (h.name == "host") h.value = request.target.substr(scheme.size(), end - scheme.size());
    }
    request.target.erase(0, end);
    if (!request.target.starts_with('/')) request.target.insert(0, "/");
    return;
  }
}

/// Waits that the client chose, for as long as it chose.
bool may_wait(const Parameters& parameters) {
  for (const auto& [name, value] : parameters.query) {
    if (name == "min_pos" || (name == "acks" && value == "applied")) return true;
    if ((name == "max_wait_ms" || name == "wait") && value != "0") return true;
  }
  return false;
}

}  // namespace

HttpSession::HttpSession(HttpService& service, Connection& connection)
    : service_(service),
      connection_(connection),
      handle_(connection.handle()),
      peer_(std::make_shared<HttpPeer>(HttpPeer{
          {connection.local(), connection.remote(),
           std::make_shared<Posts>(handle_,
                                   [](Session& session, std::vector<std::function<void()>> work) {
                                     static_cast<HttpSession&>(session).run(std::move(work));
                                   }),
           service.workers().make_lane(), std::make_shared<MemoryShare>()},
          service.workers().make_lane(),
          service.workers().make_lane()})) {
  Counters::add(service_.counters().sessions, 1);
}

HttpSession::~HttpSession() {
  closed_ = true;
  service_.workers().end(peer_->lane);
  if (service_.views() != nullptr) {
    service_.query_workers().end(peer_->query_lane);
    service_.quick_workers().end(peer_->quick_lane);
  }
  for (const Slot& slot : slots_) {
    if (slot.streaming && !slot.ready) service_.counters().streams.fetch_sub(1);
    if (const CallRef call = slot.call.lock(); call && call->cancel_) {
      std::exchange(call->cancel_, {})();
    }
  }
  peer_->posts->end();
  service_.counters().sessions.fetch_sub(1, std::memory_order_relaxed);
}

// ---------------------------------------------------------------- requests
bool HttpSession::blocked() const noexcept {
  return wants_memory_ || wants_turn_ || (behind_stream() && !input_.empty()) || output_full_ ||
         ignores_input_ || slots_.size() >= kMaxPipelined;
}

bool HttpSession::behind_waiting() const noexcept {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.may_wait && !slot.ready; });
}

void HttpSession::received(Bytes data) {
  if (closed_) return;
  if (socket_) return socket_received(as_text(data));
  if (ignores_input_) return;
  if (arriving_) arriving_->bytes += data.size();
  if (blocked() || !input_.empty()) {
    input_.append(as_text(data));
    go_on();
  } else {
    consume(as_text(data));
  }
  flush();
  update_pause();
}

void HttpSession::go_on() {
  if (blocked() || input_.empty() || closed_) return;
  const std::string held = std::exchange(input_, {});
  consume(held);
}

void HttpSession::consume(std::string_view data) {
  while (!data.empty() && !blocked() && !behind_stream() && !closed_) {
    if (!arriving_) {
      // Some clients send a line break after a body; one before a request means nothing.
      if (data.starts_with("\r\n")) {
        data.remove_prefix(2);
        continue;
      }
      if (data == "\r") break;
      begin_request();
      arriving_->bytes = data.size();
    }
    if (arriving_->head_done && !arriving_->refused && !pay(data.size())) break;
    if (!arriving_) break;  // it was too large
    const RequestParser::Step step = arriving_->parser.put(data);
    if (step.refused) {
      refuse(*step.refused, true);
      break;
    }
    data.remove_prefix(step.used);
    if (!arriving_->head_done && arriving_->parser.head_done()) {
      arriving_->head_done = true;
      head_arrived();
      if (!arriving_) continue;
    }
    if (arriving_->parser.done()) {
      end_request();
    } else if (step.used == 0) {
      break;
    }
  }
  if (!ignores_input_) input_.assign(data);
}

void HttpSession::begin_request() {
  arriving_.emplace();
  ++requests_;
}

/// Memory for the body's next bytes. False if it has to be waited for, or the body is too large.
bool HttpSession::pay(std::size_t arriving) {
  ArrivingRequest& a = *arriving_;
  if (!a.parser.has_body()) return true;
  std::string& body = a.parser.request().body;
  std::uint64_t need = body.size() + arriving;
  const auto length = a.parser.content_length();
  if (length) need = std::min<std::uint64_t>(need, *length);
  if (need <= a.paid) return true;
  if (behind_waiting()) {
    wants_turn_ = true;
    return false;
  }
  const std::uint64_t most = std::min(kMaxBodyBytes, service_.memory().largest_request() / 2);
  if (!length && need > most + kMaxHeaderBytes) {
    refuse(problem(413, "body_too_large",
                   "the body has more than " + std::to_string(most) +
                       " bytes; send it in several requests"),
           true);
    return false;
  }
  std::uint64_t wanted = std::max<std::uint64_t>(need, 2 * a.paid);
  // Never more than can be had, or it would be waited for for ever.
  wanted = std::min(wanted, length ? *length : most + kMaxHeaderBytes);
  const std::uint64_t charge = wanted + kRequestCharge;
  if (!service_.memory().grow(charge, peer_->share, a.lease)) {
    if (wanted > kSmallBodyBytes || !unpaid_.expired()) {
      wait_for_memory();
      return false;
    }
    auto token = std::make_shared<const bool>(true);
    unpaid_ = token;
    a.lease.keep(std::move(token));
  }
  body.reserve(wanted);
  a.paid = wanted;
  return true;
}

void HttpSession::wait_for_memory() {
  wants_memory_ = true;
  service_.wait_for_memory(
      handle_, [](Session& session) { static_cast<HttpSession&>(session).retry_memory(); });
}

void HttpSession::retry_memory() {
  if (closed_ || !wants_memory_) return;
  wants_memory_ = false;
  go_on();
  flush();
  update_pause();
}

/// Who has begun to ask something has shown what it is, however long the body and the answer take.
void HttpSession::greet() {
  if (!std::exchange(greeted_, true)) connection_.send({});
}

void HttpSession::head_arrived() {
  greet();
  ArrivingRequest& a = *arriving_;
  Request& request = a.parser.request();
  Counters::add(service_.counters().requests, 1);
  const std::string* id = request.header("x-request-id");
  a.id = id != nullptr && is_request_id(*id) ? *id : service_.make_request_id();
  take_absolute_form(request);
  a.refused = check_head(a.match);
  const std::string* expect = request.header("expect");
  if (expect != nullptr && media_type(*expect) != "100-continue" && !a.refused) {
    a.refused = problem(417, "expectation_failed", "Expect may only be 100-continue");
  }
  if (a.refused) {
    const auto length = a.parser.content_length();
    // Whoever waits for 100 Continue may send the body or not: nobody knows where the next request
    // begins.
    if (expect != nullptr || !length || *length > kMaxSkippedBodyBytes) {
      return refuse(std::move(*a.refused), true);
    }
    a.parser.skip_body();
    return;
  }
  a.owes_continue = expect != nullptr && request.http11 && a.parser.has_body();
}

std::optional<Problem> HttpSession::check_head(Router::Match& match) {
  const Request& request = arriving_->parser.request();
  const HttpOptions& options = service_.options();
  if (auto foreign = check_origin(request, options.hosts, options.origins)) return foreign;
  match = service_.router().match(request, arriving_->parser.has_body());
  if (match.problem) return std::exchange(match.problem, std::nullopt);
  return check_size(match);
}

std::optional<Problem> HttpSession::check_size(const Router::Match& match) const {
  const auto length = arriving_->parser.content_length();
  if (match.route == nullptr || !length) return std::nullopt;
  const std::uint64_t most = std::min(kMaxBodyBytes, service_.memory().largest_request() / 2);
  if (*length <= most) return std::nullopt;
  return problem(413, "body_too_large",
                 "the body has " + std::to_string(*length) + " bytes, and " + std::to_string(most) +
                     " are taken at most (32 MiB, or an eighth of the memory for requests if that "
                     "is less); send it in several requests");
}

HttpSession::Slot& HttpSession::add_slot() {
  const Request& request = arriving_->parser.request();
  greet();
  Slot& slot = slots_.emplace_back();
  slot.safe = is_safe(request.method);
  slot.head_only = request.method == Method::kHead;
  slot.http11 = request.http11;
  // What comes behind a handshake is no request, whatever becomes of it.
  const Route* const route = arriving_->match.route;
  slot.close = !request.keep_alive || (route != nullptr && wants_websocket(*route, request));
  slot.id = arriving_->id.empty() ? service_.make_request_id() : arriving_->id;
  slot.origin = readable_by(request, service_.options().origins);
  if (slot.close) ignores_input_ = true;
  return slot;
}

void HttpSession::refuse(Problem why, bool close) {
  Counters::add(service_.counters().refused, 1);
  Counters::add(service_.counters().failures, 1);
  Slot& slot = add_slot();
  slot.begun = true;
  if (close) {
    slot.close = true;
    ignores_input_ = true;
    service_.note_closed("closed the connection from " + peer_->remote.host + ":" +
                         std::to_string(peer_->remote.port) + ": " + why.detail);
  }
  fill(slot, response_of(std::move(why), slot.id));
  arriving_.reset();
}

void HttpSession::end_request() {
  ArrivingRequest& a = *arriving_;
  if (a.refused) return refuse(std::move(*a.refused), false);
  if (a.match.route == nullptr) return answer_options();
  service_.memory().complete(a.lease);
  Slot& slot = add_slot();
  slot.streams = a.match.route->streams;
  slot.may_wait = a.match.route->waits || may_wait(a.match.parameters);
  slot.waiting =
      std::make_shared<Call>(*this, service_, peer_, *a.match.route, std::move(a.parser.request()),
                             std::move(a.match.parameters), slot.id, std::move(a.lease),
                             first_number_ + slots_.size() - 1);
  arriving_.reset();
  begin_calls();
}

/// OPTIONS: what the path takes, and what pages of the origins that are allowed may do.
void HttpSession::answer_options() {
  Response response;
  response.status = 204;
  response.headers.push_back({"Allow", arriving_->match.allowed});
  Slot& slot = add_slot();
  if (!slot.origin.empty()) {
    response.headers.push_back({"Access-Control-Allow-Methods", arriving_->match.allowed});
    response.headers.push_back(
        {"Access-Control-Allow-Headers",
         "Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"});
    response.headers.push_back({"Access-Control-Max-Age", "600"});
  }
  slot.begun = true;
  fill(slot, std::move(response));
  arriving_.reset();
}

std::string_view HttpSession::overdue(std::chrono::steady_clock::time_point now) {
  if (output_full_ && !slots_.empty() && slots_.front().streaming) {
    if (!full_since_) full_since_ = now;
    if (now - *full_since_ > kMaxStreamStall) {
      Counters::add(service_.counters().slow, 1);
      return "an event stream is not read";
    }
  } else {
    full_since_.reset();
  }
  const bool unfinished = arriving_.has_value() && !blocked();
  if (!unfinished || unfinished_.request != requests_) {
    unfinished_ = {unfinished ? requests_ : 0, now, unfinished ? arriving_->bytes : 0};
    return {};
  }
  const auto elapsed = now - unfinished_.since;
  if (elapsed <= service_.memory().frame_grace()) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
  const std::uint64_t came = arriving_->bytes - std::min(arriving_->bytes, unfinished_.bytes);
  if (came >= static_cast<std::uint64_t>(seconds) * kFrameBytesPerSecond) return {};
  Counters::add(service_.counters().slow, 1);
  refuse(problem(408, "request_timeout",
                 "a request that had begun to arrive did not go on; send it faster"),
         true);
  flush();
  update_pause();
  return {};
}

}  // namespace runnel::broker::http
