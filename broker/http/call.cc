#include "broker/http/call.h"

#include <algorithm>
#include <charconv>

#include "broker/http/http_session.h"
#include "broker/http/limits.h"
#include "broker/http/router.h"

namespace runnel::broker::http {

Call::Call(HttpSession& session, HttpService& service, std::shared_ptr<const HttpPeer> peer,
           const Route& route, Request request, Parameters parameters, std::string id,
           MemoryLease lease, std::uint64_t number)
    : session_(session),
      service_(service),
      peer_(std::move(peer)),
      route_(route),
      request_(std::move(request)),
      parameters_(std::move(parameters)),
      id_(std::move(id)),
      number_(number) {
  leases_.push_back(std::move(lease));
}

Call::~Call() {
  if (answered_) return;
  // A defect if the connection still lives: its client must not wait for ever.
  peer_->posts->push([number = number_, session = &session_] { session->dropped(number); });
}

const std::string& Call::path(std::string_view name) const {
  const auto found = parameters_.path.find(name);
  RUNNEL_ASSERT(found != parameters_.path.end());
  return found->second;
}

std::optional<std::string_view> Call::query(std::string_view name) const {
  for (const auto& [key, value] : parameters_.query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> Call::query_all(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : parameters_.query) {
    if (key == name) out.push_back(value);
  }
  return out;
}

std::int64_t Call::integer(std::string_view name, std::int64_t otherwise) const {
  const auto text = query(name);
  if (!text) return otherwise;
  std::int64_t value = otherwise;  // the router has checked it
  static_cast<void>(std::from_chars(text->data(), text->data() + text->size(), value));
  return value;
}

bool Call::flag(std::string_view name) const {
  return query(name) == "true";
}

bool Call::wants(std::string_view type) const {
  const std::string* accept = request_.header("accept");
  return accept != nullptr && accepts(*accept, type) && !accepts(*accept, kJson);
}

void Call::reply(Response response) {
  if (answered_) return;  // cancelled meanwhile
  answered_ = true;
  session_.answered(number_, std::move(response), std::move(leases_));
}

void Call::fail(Problem why) {
  if (answered_) return;
  Counters::add(service_.counters().failures, 1);
  reply(response_of(std::move(why), id_));
}

Status Call::pay_for_waiting(std::size_t partitions) {
  MemoryLease lease;
  const std::uint64_t bytes = kStandingCharge + partitions * kStandingPartitionCharge;
  constexpr std::uint64_t kMost =
      kMaxPipelined * (kStandingCharge + kMaxReadPartitions * kStandingPartitionCharge);
  if (!service_.memory().take_standing(bytes, kMost, peer_->share, lease)) {
    return tl::unexpected<Error>(
        Error(ErrorCode::kOverloaded,
              "the broker's memory for requests that wait is used up; try again later or raise its "
              "memory limit"));
  }
  keep(std::move(lease));
  return {};
}

void Call::wait_for_memory(std::function<void()> retry) {
  service_.wait_for_memory(session_.handle_, [posts = peer_->posts, retry = std::move(retry)](
                                                 Session&) { posts->push(retry); });
}

void Call::on_cancel(std::function<void()> cancel) {
  cancel_ = std::move(cancel);
  if (!cancel_ || !session_.finishing_) return;
  on_loop(std::exchange(cancel_, {}));
}

void Call::begin_stream(Response head) {
  RUNNEL_ASSERT(!answered_);
  session_.stream(number_, std::move(head));
}

bool Call::write(std::string piece) {
  return session_.stream_piece(number_, std::move(piece));
}

bool Call::write(const SharedPiece& piece) {
  return session_.stream_shared(number_, piece);
}

void Call::end_stream() {
  answered_ = true;
  session_.stream_end(number_);
}

}  // namespace runnel::broker::http
