#include "client/src/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/base/assert.h"

namespace runnel::client {
namespace {

constexpr std::size_t kFirstInputBytes = 64u << 10;
constexpr std::string_view kClientVersion = "0.1.0";

Refusal refusal(Error error, bool maybe_done) {
  const ErrorAction action = maybe_done ? ErrorAction::kMaybePersisted : ErrorAction::kRetry;
  return Refusal{std::move(error), action, maybe_done, {}};
}

}  // namespace

Connection::Connection(Loop& loop, TransportFactory factory, ConnectionOptions options)
    : loop_(loop),
      factory_(std::move(factory)),
      options_(std::move(options)),
      backoff_(options_.backoff),
      jitter_(std::random_device{}()) {}

Connection::~Connection() {
  *alive_ = false;
}

void Connection::start() {
  if (state_ == State::kIdle) connect();
}

void Connection::connect() {
  state_ = State::kConnecting;
  input_size_ = 0;
  transport_ = factory_(loop_, *this);
  loop_.cancel(timer_);
  timer_ = loop_.after(options_.connect_timeout, [this] {
    drop(Error(ErrorCode::kTimeout, "the broker did not answer the greeting within " +
                                        std::to_string(options_.connect_timeout.count()) +
                                        " ms; is this address a Runnel broker?"));
  });
  transport_->open();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  loop_.cancel(timer_);
  retired_ = std::move(transport_);
  lose_in_flight(Error(ErrorCode::kCancelled, "the client was closed before the answer came"));
  for (auto& [correlation, item] : std::exchange(queued_, {})) {
    const auto found = waiting_.find(correlation);
    if (found == waiting_.end()) continue;
    const Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    loop_.cancel(waiting.timer);
    waiting.done(tl::unexpected(
        refusal(Error(ErrorCode::kCancelled, "the client was closed before this was sent"),
                /*maybe_done=*/waiting.losses > 0)));
  }
  // What was written last (a farewell to a group) still goes out; then the connection ends.
  loop_.post([this, alive = alive_] {
    if (*alive) retired_.reset();
  });
}

void Connection::request(native::Request request, std::vector<Buffer> attachment,
                         Milliseconds timeout, AnswerCallback done, OnLoss on_loss) {
  const std::uint64_t correlation = next_correlation_++;
  if (state_ == State::kClosed) {
    done(tl::unexpected(
        refusal(Error(ErrorCode::kCancelled, "the client is closed"), /*maybe_done=*/false)));
    return;
  }
  Waiting& waiting = waiting_[correlation];
  waiting.done = std::move(done);
  if (on_loss == OnLoss::kSendAgain) {
    RUNNEL_ASSERT(attachment.empty());
    waiting.again = request;
  }
  waiting.timer =
      loop_.after(timeout, [this, correlation, timeout] { timed_out(correlation, timeout); });
  if (state_ == State::kUp) {
    send_now(correlation, request, std::move(attachment));
  } else {
    queued_.emplace(correlation, Queued{std::move(request), std::move(attachment)});
  }
}

std::uint64_t Connection::stream(native::Request request, AnswerCallback event) {
  const std::uint64_t correlation = next_correlation_++;
  if (state_ != State::kUp) {
    loop_.post([event = std::move(event)] {
      event(tl::unexpected(refusal(Error(ErrorCode::kDisconnected, "not connected"), false)));
    });
    return correlation;
  }
  waiting_[correlation] = Waiting{std::move(event), 0, true};
  send_now(correlation, request, {});
  return correlation;
}

void Connection::notify(const native::Request& request) {
  if (state_ == State::kUp) send_now(next_correlation_++, request, {});
}

void Connection::send_now(std::uint64_t correlation, const native::Request& request,
                          std::vector<Buffer> attachment) {
  std::uint64_t bytes = 0;
  for (const Buffer& piece : attachment) bytes += piece.size();
  std::vector<Buffer> pieces;
  pieces.reserve(attachment.size() + 1);
  pieces.push_back(native::encode(correlation, request, bytes));
  if (pieces.front().size() + bytes > hello_.max_frame_bytes && state_ == State::kUp) {
    const auto found = waiting_.find(correlation);
    if (found == waiting_.end()) return;
    Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    loop_.cancel(waiting.timer);
    loop_.post([done = std::move(waiting.done), limit = hello_.max_frame_bytes] {
      done(tl::unexpected(Refusal{
          Error(ErrorCode::kRecordTooLarge, "the request is larger than the broker's limit of " +
                                                std::to_string(limit) + " bytes; split it"),
          ErrorAction::kPermanent,
          false,
          {}}));
    });
    return;
  }
  for (Buffer& piece : attachment) pieces.push_back(std::move(piece));
  transport_->send(std::move(pieces));
}

void Connection::timed_out(std::uint64_t correlation, Milliseconds timeout) {
  const auto found = waiting_.find(correlation);
  if (found == waiting_.end()) return;
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  const bool in_flight = queued_.erase(correlation) == 0;
  const bool silent = SteadyClock::now() - heard_ >= std::max(timeout, options_.connect_timeout);
  std::string message = (in_flight ? "no answer within " : "no connection within ") +
                        std::to_string(timeout.count()) + " ms";
  if (waiting.losses > 0)
    message += "; connections lost before the answer: " + std::to_string(waiting.losses);
  if (!in_flight && last_error_) message += "; latest attempt: " + last_error_->message();
  const ErrorCode code = in_flight ? ErrorCode::kTimeout : ErrorCode::kDisconnected;
  const std::shared_ptr<bool> alive = alive_;
  waiting.done(
      tl::unexpected(refusal(Error(code, std::move(message)), in_flight || waiting.losses > 0)));
  // Not a byte in all that time: the peer is gone without a word.
  if (*alive && in_flight && silent && state_ == State::kUp)
    drop(Error(ErrorCode::kDisconnected, "the broker went silent"));
}

void Connection::transport_open() {
  if (state_ == State::kClosed) return;  // while it connected; the transport is about to go
  state_ = State::kGreeting;
  native::Hello hello;
  hello.client_name = options_.client_name;
  hello.client_version = kClientVersion;
  transport_->send({Buffer::copy_of(as_bytes(native::kPreface)), native::encode(0, hello)});
}

void Connection::transport_received(Bytes data) {
  heard_ = SteadyClock::now();
  const std::shared_ptr<bool> alive = alive_;
  const Transport* const from = transport_.get();
  while (!data.empty() && *alive && transport_.get() == from && from != nullptr) {
    std::size_t wanted = kFirstInputBytes;
    if (input_.empty()) input_ = Buffer::allocate(wanted);
    if (input_size_ == input_.size()) {
      // A frame larger than the buffer: its announced size was checked by take_frames().
      auto size = native::frame_size(input_.bytes(), native::kMaxFrameBytes);
      RUNNEL_ASSERT(size.has_value() && size->has_value());
      Buffer larger = Buffer::allocate(**size);
      std::memcpy(larger.mutable_data(), input_.data(), input_size_);
      input_ = std::move(larger);
    }
    const std::size_t take = std::min(data.size(), input_.size() - input_size_);
    std::memcpy(input_.mutable_data() + input_size_, data.data(), take);
    input_size_ += take;
    data = data.subspan(take);
    take_frames();
  }
}

void Connection::take_frames() {
  const std::shared_ptr<bool> alive = alive_;
  const Transport* const from = transport_.get();
  std::size_t at = 0;
  const Buffer input = input_;
  while (*alive && transport_.get() == from) {
    const Bytes rest = input.bytes().subspan(at, input_size_ - at);
    auto size = native::frame_size(rest, native::kMaxFrameBytes);
    if (!size) return drop(size.error().within("the broker's answer"));
    if (!*size || rest.size() < **size) {
      if (at == 0) return;
      // Frames given out share the old memory: the rest moves to fresh memory.
      const std::size_t need = *size ? **size : 0;
      input_ = Buffer::allocate(std::max(kFirstInputBytes, need));
      std::memcpy(input_.mutable_data(), rest.data(), rest.size());
      input_size_ = rest.size();
      return;
    }
    const Buffer frame = input.slice(at, **size);
    at += **size;
    handle_frame(frame);
  }
}

void Connection::handle_frame(const Buffer& frame) {
  auto decoded = native::decode_response(frame);
  if (!decoded) return drop(decoded.error().within("the broker's answer"));
  if (state_ == State::kGreeting) return greeted(std::move(*decoded));
  const auto found = waiting_.find(decoded->correlation);
  if (found == waiting_.end()) return;  // answered too late
  backoff_ = options_.backoff;
  auto* failure = std::get_if<native::Failure>(&decoded->response);
  // The broker closes this connection next.
  if (failure != nullptr && failure->code == ErrorCode::kShuttingDown && found->second.again)
    return send_again_later(found->first, found->second);
  AnswerCallback done = found->second.done;
  if (!found->second.stream || failure != nullptr) {
    loop_.cancel(found->second.timer);
    waiting_.erase(found);
  }
  if (failure == nullptr) return done(Reply{std::move(decoded->response), decoded->attachment});
  Refusal refused{Error(failure->code, std::move(failure->message)),
                  failure->action,
                  failure->action == ErrorAction::kMaybePersisted,
                  {}};
  refused.duplicates = std::move(failure->duplicates);
  done(tl::unexpected(std::move(refused)));
}

void Connection::greeted(native::ResponseFrame frame) {
  if (auto* failure = std::get_if<native::Failure>(&frame.response)) {
    refused_ = failure->action == ErrorAction::kPermanent;
    return drop(Error(failure->code, failure->message));
  }
  auto* reply = std::get_if<native::HelloReply>(&frame.response);
  if (reply == nullptr || reply->version < native::kVersionMin ||
      reply->version > native::kVersionMax) {
    refused_ = true;
    return drop(Error(ErrorCode::kVersionMismatch,
                      "the broker speaks no protocol version that this client knows"));
  }
  hello_ = *reply;
  state_ = State::kUp;
  last_error_.reset();
  // Where a request may be what ends each connection, the pauses go on growing until an answer.
  const bool suspect = std::any_of(queued_.begin(), queued_.end(), [this](const auto& queued) {
    const auto found = waiting_.find(queued.first);
    return found != waiting_.end() && found->second.losses > 0;
  });
  if (!suspect) backoff_ = options_.backoff;
  loop_.cancel(timer_);
  timer_ = 0;
  auto queued = std::exchange(queued_, {});
  announce(true);
  for (auto& [correlation, item] : queued) {
    if (state_ != State::kUp) return;
    send_now(correlation, item.request, std::move(item.attachment));
  }
}

void Connection::transport_closed(const Error& why) {
  drop(why);
}

void Connection::drop(const Error& why) {
  if (state_ == State::kClosed) return;
  const bool was_up = state_ == State::kUp;
  state_ = State::kIdle;
  last_error_ = why;
  retired_ = std::move(transport_);
  loop_.cancel(timer_);
  timer_ = 0;
  const std::shared_ptr<bool> alive = alive_;
  if (was_up) {
    lose_in_flight(why);
    if (!*alive || state_ != State::kIdle) return;
    announce(false);
    if (!*alive || state_ != State::kIdle) return;
  }
  retry_later();
}

void Connection::retry_later() {
  std::uniform_real_distribution<double> spread(0.5, 1.0);
  const auto pause = std::chrono::duration_cast<Milliseconds>(backoff_ * spread(jitter_));
  backoff_ = std::min(backoff_ * 2, options_.backoff_max);
  timer_ = loop_.after(pause, [this] {
    retired_.reset();
    connect();
  });
}

void Connection::lose_in_flight(const Error& why) {
  const bool lost = why.code() == ErrorCode::kDisconnected;
  std::vector<Waiting> failed;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (queued_.contains(it->first)) {
      ++it;
      continue;
    }
    if (lost && it->second.again) {
      send_again_later(it->first, it->second);
      ++it;
      continue;
    }
    loop_.cancel(it->second.timer);
    failed.push_back(std::move(it->second));
    it = waiting_.erase(it);
  }
  for (Waiting& waiting : failed) waiting.done(tl::unexpected(refusal(why, true)));
}

void Connection::send_again_later(std::uint64_t correlation, Waiting& waiting) {
  ++waiting.losses;
  queued_.emplace(correlation, Queued{*waiting.again, {}});
}

std::shared_ptr<void> Connection::listen(Listener listener) {
  auto shared = std::make_shared<Listener>(std::move(listener));
  listeners_.push_back(shared);
  return shared;
}

void Connection::announce(bool up) {
  std::erase_if(listeners_, [](const auto& l) { return l.expired(); });
  const auto listeners = listeners_;
  for (const auto& weak : listeners) {
    const auto listener = weak.lock();
    if (!listener) continue;
    const auto& call = up ? listener->up : listener->down;
    if (call) call();
  }
}

}  // namespace runnel::client
