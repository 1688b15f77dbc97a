// The session's answers: begun in turn, sent in order.
#include <algorithm>

#include "broker/http/http_session.h"
#include "broker/http/limits.h"

namespace runnel::broker::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// What a client does not read holds its memory until the kernel has it.
struct HeldText {
  std::string text;
  std::vector<MemoryLease> leases;
};

Buffer buffer_of(std::string text, std::vector<MemoryLease> leases = {}) {
  auto owner = std::make_shared<HeldText>(HeldText{std::move(text), std::move(leases)});
  const MutableBytes bytes(reinterpret_cast<std::byte*>(owner->text.data()), owner->text.size());
  return Buffer::of(std::move(owner), bytes);
}

std::size_t size_of(const Output& output) {
  std::size_t size = 0;
  for (const OutPiece& piece : output) {
    if (const auto* buffer = std::get_if<Buffer>(&piece)) size += buffer->size();
  }
  return size;
}

}  // namespace

/// Begins the calls whose turn has come.
void HttpSession::begin_calls() {
  bool all_ready = true;
  bool all_safe = true;
  std::size_t ready_bytes = 0;  // that wait for an answer before them
  for (std::size_t i = 0; i < slots_.size() && !closed_; ++i) {
    Slot& slot = slots_[i];
    if (!slot.begun) {
      const bool beside_others =
          all_safe && slot.safe && !slot.streams && ready_bytes <= kOutputLowMark;
      const bool in_turn = slot.streams ? i == 0 : all_ready;
      if (output_full_ || !(in_turn || beside_others)) return;
      slot.begun = true;
      const CallRef call = std::exchange(slot.waiting, nullptr);
      slot.call = call;
      call->route().handler(call);
    }
    if (slots_[i].ready) ready_bytes += size_of(slots_[i].output);
    all_ready = all_ready && slots_[i].ready;
    all_safe = all_safe && (slots_[i].ready || (slots_[i].safe && !slots_[i].streams));
  }
}

void HttpSession::run(std::vector<std::function<void()>> posts) {
  for (const auto& work : posts) {
    if (closed_) return;
    work();
  }
  flush();
  update_pause();
}

HttpSession::Slot* HttpSession::slot_of(std::uint64_t number) {
  if (closed_ || number < first_number_ || number - first_number_ >= slots_.size()) return nullptr;
  return &slots_[number - first_number_];
}

void HttpSession::add_common_headers(const Slot& slot, Response& response) const {
  response.headers.push_back({"X-Request-Id", slot.id});
  if (!service_.options().origins.empty()) response.headers.push_back({"Vary", "Origin"});
  if (slot.origin.empty()) return;
  response.headers.push_back({"Access-Control-Allow-Origin", slot.origin});
  response.headers.push_back({"Access-Control-Expose-Headers", "X-Request-Id, Next-Cursor, ETag"});
}

void HttpSession::fill(Slot& slot, Response response, std::vector<MemoryLease> leases) {
  const bool last = &slot == &slots_.back() && input_.empty() && !arriving_;
  slot.close = slot.close || (finishing_ && last);
  add_common_headers(slot, response);
  HeadOptions options;
  options.length = response.body.size();
  options.close = slot.close;
  options.say_keep_alive = !slot.http11;
  std::string bytes = head_of(response, options, service_.clock().now().value());
  if (slot.head_only) response.body.clear();
  constexpr std::size_t kCopied = 16u << 10;
  const bool in_one_piece = response.body.size() <= kCopied;
  if (in_one_piece) bytes += response.body;
  slot.output.emplace_back(buffer_of(std::move(bytes)));
  if (!in_one_piece) {
    std::uint64_t uncovered = response.body.size();
    for (MemoryLease& lease : leases) {
      service_.memory().shrink(lease, uncovered);
      uncovered -= lease.bytes();
    }
    slot.output.emplace_back(buffer_of(std::move(response.body), std::move(leases)));
  }
  slot.ready = true;
}

void HttpSession::answered(std::uint64_t number, Response response,
                           std::vector<MemoryLease> leases) {
  std::reverse(leases.begin(), leases.end());  // the answer's own before those of its request
  if (Slot* slot = slot_of(number)) fill(*slot, std::move(response), std::move(leases));
}

void HttpSession::dropped(std::uint64_t number) {
  Slot* slot = slot_of(number);
  if (slot == nullptr || slot->ready) return;
  if (slot->streaming) return stream_end(number);
  fill(*slot, response_of(problem(Error(ErrorCode::kInternal,
                                        "the request was dropped without an answer; this is a "
                                        "defect of the broker")),
                          slot->id));
}

void HttpSession::stream(std::uint64_t number, Response head) {
  Slot* slot = slot_of(number);
  if (slot == nullptr) return;
  RUNNEL_ASSERT(slot == &slots_.front());
  Counters::add(service_.counters().streams, 1);
  slot->streaming = true;
  const bool socket = head.status == 101;
  slot->close = slot->close || socket || !slot->http11 || finishing_;
  if (socket) socket_.emplace();
  ignores_input_ = slot->close && !socket;
  add_common_headers(*slot, head);
  HeadOptions options;
  options.chunked = slot->http11 && !socket;
  options.close = slot->close && !socket;
  Output out;
  out.emplace_back(buffer_of(head_of(head, options, service_.clock().now().value())));
  connection_.send(std::move(out));
}

bool HttpSession::stream_piece(std::uint64_t number, std::string piece) {
  Slot* slot = slot_of(number);
  if (slot == nullptr || piece.empty()) return false;
  if (socket_ && socket_closed_) return false;
  if (slot->http11 && !socket_) piece = chunk_line(piece.size()) + piece + "\r\n";
  return send_piece(buffer_of(std::move(piece)));
}

bool HttpSession::stream_shared(std::uint64_t number, const SharedPiece& piece) {
  const Slot* slot = slot_of(number);
  if (slot == nullptr || (socket_ && socket_closed_)) return false;
  return send_piece(slot->http11 && !socket_ ? piece.chunk() : piece.plain());
}

bool HttpSession::send_piece(Buffer bytes) {
  Output out;
  out.emplace_back(std::move(bytes));
  connection_.send(std::move(out));
  output_full_ = connection_.unsent_bytes() > kOutputLowMark;
  return !output_full_;
}

void HttpSession::stream_end(std::uint64_t number) {
  Slot* slot = slot_of(number);
  if (slot == nullptr || slot->ready) return;
  service_.counters().streams.fetch_sub(1, std::memory_order_relaxed);
  if (socket_) {
    const bool told = std::exchange(socket_closed_, true);
    if (!told) slot->output.emplace_back(buffer_of(close_frame(CloseCode::kGoingAway, {})));
  } else if (slot->http11) {
    slot->output.emplace_back(buffer_of("0\r\n\r\n"));
  }
  slot->ready = true;
}

// ---------------------------------------------------------------- WebSocket
void HttpSession::socket_received(std::string_view data) {
  if (socket_closed_) return;
  const auto wrong = socket_->put(
      data, [this](const SocketReader::Message& message) { return socket_message(message); });
  if (wrong) end_socket(wrong->code, wrong->why);
  flush();
  update_pause();
}

/// False: it was the last one.
bool HttpSession::socket_message(const SocketReader::Message& message) {
  constexpr std::uint16_t kNoCode = 1005;
  switch (message.opcode) {
    case Opcode::kPing:
      static_cast<void>(send_piece(buffer_of(frame_of(Opcode::kPong, message.data))));
      return true;
    case Opcode::kPong:
      return true;
    case Opcode::kClose:
      end_socket(
          message.code == kNoCode ? CloseCode::kNormal : static_cast<CloseCode>(message.code), {});
      return false;
    default:
      end_socket(CloseCode::kUnsupportedData, "this connection tells and takes no messages");
      return false;
  }
}

/// The handler ends its stream as if the client had gone.
void HttpSession::end_socket(CloseCode code, std::string_view why) {
  static_cast<void>(send_piece(buffer_of(close_frame(code, why))));
  socket_closed_ = true;
  if (slots_.empty()) return;
  const CallRef call = slots_.front().call.lock();
  if (call && call->cancel_) std::exchange(call->cancel_, {})();
  stream_end(first_number_);
}

/// Sends the answers whose turn it is, and begins what waited for them.
void HttpSession::flush() {
  while (!closed_ && !slots_.empty() && slots_.front().ready) {
    Output all;
    bool close = false;
    while (!slots_.empty() && slots_.front().ready && !close) {
      Output& output = slots_.front().output;
      std::move(output.begin(), output.end(), std::back_inserter(all));
      close = slots_.front().close;
      slots_.pop_front();
      ++first_number_;
    }
    wants_turn_ = false;
    if (!all.empty()) connection_.send(std::move(all));
    output_full_ = connection_.unsent_bytes() > kOutputLowMark;
    if (close) {
      closed_ = true;
      connection_.close();
      return;
    }
    begin_calls();
    go_on();
  }
  if (!closed_ && slots_.empty() && arriving_ && arriving_->owes_continue) {
    arriving_->owes_continue = false;
    Output out;
    out.emplace_back(Buffer::copy_of(as_bytes(kContinue)));
    connection_.send(std::move(out));
  }
  close_if_finished();
}

void HttpSession::update_pause() {
  if (closed_) return;
  const bool wanted = blocked() || finishing_;
  if (wanted == paused_) return;
  paused_ = wanted;
  if (wanted) {
    connection_.pause_reading();
  } else {
    connection_.resume_reading();
  }
}

void HttpSession::drained() {
  output_full_ = false;
  if (!slots_.empty() && slots_.front().streaming) {
    if (const CallRef call = slots_.front().call.lock(); call && call->drained_) {
      std::exchange(call->drained_, {})();
    }
  }
  begin_calls();
  go_on();
  flush();
  update_pause();
}

void HttpSession::shutting_down() {
  finishing_ = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const CallRef call = slots_[i].call.lock();
    if (call && call->cancel_) std::exchange(call->cancel_, {})();
  }
  flush();
  update_pause();
}

void HttpSession::close_if_finished() {
  if (!finishing_ || closed_ || !slots_.empty()) return;
  closed_ = true;
  connection_.close();
}

}  // namespace runnel::broker::http
