#include "broker/net/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace runnel::broker {
namespace {

// One connection's share of a turn, so that a fast reader of a large backlog leaves time to others.
constexpr std::uint64_t kSendBytesPerTurn = 1u << 20;
/// In handshake timeouts: how long a new connection may be without a word.
constexpr int kSilence = 6;

bool passed(LoopTime now, LoopTime since, std::chrono::milliseconds limit) {
  return limit.count() > 0 && now - since > limit;
}

}  // namespace

void SessionTarget::post(std::function<void(Session&)> work) {
  mailbox_->post({shared_from_this(), std::move(work), nullptr});
}

void SessionTarget::run(const std::function<void(Session&)>& work) const {
  if (connection_ != nullptr) connection_->run_posted(work);
}

SocketConnection::SocketConnection(LoopCore& loop, UniqueFd socket, std::shared_ptr<void> lifetime)
    : loop_(loop),
      lifetime_(std::move(lifetime)),
      socket_(std::move(socket)),
      local_(local_endpoint(socket_.get())),
      remote_(remote_endpoint(socket_.get())),
      opened_(loop.now()),
      heard_(opened_),
      progress_(opened_),
      ended_(opened_) {}

SocketConnection::~SocketConnection() {
  retired_ = true;
  if (target_) target_->forget();
}

void SocketConnection::send(Output output) {
  if (closing_ || dead_) return;
  if (output_.empty()) progress_ = loop_.now();
  output_.push(std::move(output));
  greeted_ = true;
  if (output_.unsent_bytes() > kOutputLowMark) above_mark_ = true;
  touch();
}

void SocketConnection::close() {
  closing_ = true;
  touch();
}

void SocketConnection::pause_reading() {
  ++pauses_;
  touch();
}

void SocketConnection::resume_reading() {
  RUNNEL_ASSERT(pauses_ > 0);
  --pauses_;
  touch();
}

std::shared_ptr<SessionHandle> SocketConnection::handle() {
  if (!target_) target_ = std::make_shared<SessionTarget>(loop_.mailbox(), this);
  return target_;
}

void SocketConnection::open(const SessionFactory& factory) {
  session_ = factory(*this);
  if (!session_) dead_ = true;
  touch();
}

void SocketConnection::touch() {
  if (touched_ || retired_) return;
  touched_ = true;
  loop_.touch(*this);
}

void SocketConnection::service() {
  touched_ = false;
  if (!dead_) {
    deliver_held();
    if (peer_ended_ && held_.empty()) ask_to_finish();
    flush();
    if (closing_ && output_.empty() && !dead_) begin_lingering();
  }
  if (dead_) {
    if (!std::exchange(cancelled_, true)) cancel_operations();
    if (!retired_ && !operations_pending()) {
      retired_ = true;
      loop_.retire(*this);
    }
    return;
  }
  update_receiving(!peer_ended_ && (closing_ || (pauses_ == 0 && held_.empty())));
}

void SocketConnection::deliver_held() {
  if (held_.empty() || pauses_ > 0) return;
  const std::vector<std::byte> bytes = std::exchange(held_, {});
  if (!closing_) session_->received(bytes);
}

void SocketConnection::ask_to_finish() {
  if (closing_ || dead_ || std::exchange(asked_to_finish_, true)) return;
  touch();
  session_->shutting_down();
}

void SocketConnection::flush() {
  if (!output_.empty() && !waiting_writable_) {
    const std::uint64_t before = output_.unsent_bytes();
    const auto result = output_.write_to(socket_.get(), kSendBytesPerTurn);
    if (!result) {
      if (result.error().code() != ErrorCode::kDisconnected) {
        loop_.log("closed the connection from " + to_string(remote_) + ": " +
                  result.error().to_string());
      }
      dead_ = true;
      return;
    }
    if (const std::uint64_t sent = before - output_.unsent_bytes(); sent > 0) {
      progress_ = loop_.now();
      LoopCore::add(loop_.counters.bytes_out, sent);
    }
    if (*result == OutputQueue::Progress::kMore) touch();
    if (*result == OutputQueue::Progress::kBlocked) {
      waiting_writable_ = true;
      watch_writable();
    }
  }
  if (above_mark_ && output_.unsent_bytes() <= kOutputLowMark / 2) {
    above_mark_ = false;
    if (!closing_) session_->drained();
  }
}

void SocketConnection::begin_lingering() {
  if (peer_ended_) {
    dead_ = true;
    return;
  }
  if (std::exchange(lingering_, true)) return;
  ended_ = loop_.now();
  // Fails only if the connection is gone already; receiving then reports that.
  ::shutdown(socket_.get(), SHUT_WR);
}

void SocketConnection::cut() {
  dead_ = true;
  touch();
}

void SocketConnection::count_cut(std::atomic<std::uint64_t>& counter, std::string_view why) {
  LoopCore::add(counter, 1);
  loop_.log("closed the connection from " + to_string(remote_) + ": " + std::string(why));
  cut();
}

void SocketConnection::check_deadlines(LoopTime now) {
  if (dead_) return;
  const LoopOptions& limits = loop_.options();
  if (lingering_) {
    if (now - ended_ >= limits.linger_timeout) cut();
  } else if (!output_.empty() && passed(now, progress_, limits.stall_timeout)) {
    count_cut(loop_.counters.cut_stalled, "it does not read what it asked for");
  } else if (peer_ended_ && passed(now, ended_, limits.stall_timeout)) {
    cut();
  } else if (!greeted_ && (spoke_ ? passed(now, began_, limits.handshake_timeout)
                                  : passed(now, opened_, kSilence * limits.handshake_timeout))) {
    count_cut(loop_.counters.cut_handshake, "no complete first request in time");
  } else if (output_.empty() && pauses_ == 0 &&
             passed(now, std::max(heard_, progress_), limits.idle_timeout)) {
    count_cut(loop_.counters.cut_idle, "idle for too long");
  } else if (!closing_ && session_) {
    const std::string_view why = session_->overdue(now);
    if (!why.empty()) count_cut(loop_.counters.cut_stalled, why);
  }
}

void SocketConnection::run_posted(const std::function<void(Session&)>& work) {
  if (dead_ || closing_) return;
  work(session_->recipient());
}

void SocketConnection::note_heard() {
  heard_ = loop_.now();
  if (!std::exchange(spoke_, true)) began_ = heard_;
}

void SocketConnection::arrived(Bytes data) {
  touch();
  note_heard();
  LoopCore::add(loop_.counters.bytes_in, data.size());
  if (dead_ || closing_) return;
  if (pauses_ > 0 || !held_.empty()) {
    held_.insert(held_.end(), data.begin(), data.end());
    return;
  }
  session_->received(data);
}

void SocketConnection::arrived_directly(MutableBytes span, std::size_t size) {
  RUNNEL_ASSERT(size <= span.size() && held_.empty());
  touch();
  note_heard();
  LoopCore::add(loop_.counters.bytes_in, size);
  LoopCore::add(loop_.counters.direct_receives, 1);
  if (!dead_ && !closing_) session_->received(Bytes(span.data(), size));
}

void SocketConnection::end_of_stream() {
  touch();
  if (std::exchange(peer_ended_, true)) return;
  if (lingering_) dead_ = true;
  ended_ = loop_.now();
}

void SocketConnection::receive_failed(int) {
  // A reset or a broken network: there is nobody to tell, and nothing to do but to end.
  cut();
}

void SocketConnection::writable() {
  waiting_writable_ = false;
  touch();
}

MutableBytes SocketConnection::direct_span() {
  if (closing_ || dead_) return {};
  const MutableBytes span = session_->receive_into();
  return span.size() >= kDirectReceiveBytes ? span : MutableBytes{};
}

}  // namespace runnel::broker
