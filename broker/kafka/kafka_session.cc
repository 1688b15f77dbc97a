#include "broker/kafka/kafka_session.h"

#include <algorithm>

#include "broker/kafka/dispatch.h"
#include "broker/kafka/handlers.h"
#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

/// A frame's memory is taken in steps, as its bytes arrive: announcing a length costs nobody
/// anything. The first step is what has come, or this ...
constexpr std::size_t kFirstFrameBytes = 4u << 10;
/// ... or this, while memory is ample: most frames are then received in two pieces, right where
/// they stay.
constexpr std::size_t kAmpleFrameBytes = 128u << 10;

}  // namespace

KafkaSession::KafkaSession(KafkaService& service, Connection& connection)
    : service_(service),
      connection_(connection),
      handle_(connection.handle()),
      peer_(std::make_shared<Peer>(Peer{
          connection.local(), connection.remote(),
          std::make_shared<Posts>(handle_,
                                  [](Session& session, std::vector<std::function<void()>> work) {
                                    static_cast<KafkaSession&>(session).run(std::move(work));
                                  }),
          service.workers().make_lane(), std::make_shared<MemoryShare>()})) {
  KafkaCounters::add(service_.counters().sessions, 1);
}

KafkaSession::~KafkaSession() {
  closed_ = true;
  service_.workers().end(peer_->lane);
  for (const Slot& slot : slots_) {
    if (const CallRef call = slot.call.lock(); call && call->cancel_) call->cancel_();
  }
  peer_->posts->end();
  service_.counters().sessions.fetch_sub(1, std::memory_order_relaxed);
}

// ---------------------------------------------------------------- frames
MutableBytes KafkaSession::receive_into() {
  if (frame_.empty() || !held_.empty() || blocked()) return {};
  return frame_.mutable_bytes().subspan(frame_done_);
}

void KafkaSession::received(Bytes data) {
  if (closed_) return;
  if (!frame_.empty() && data.data() == frame_.data() + frame_done_) {
    frame_done_ += data.size();
    if (frame_done_ == frame_size_) {
      end_frame();
    } else if (frame_done_ == frame_.size()) {
      static_cast<void>(grow_frame());
    }
  } else if (blocked()) {
    held_.insert(held_.end(), data.begin(), data.end());
  } else {
    consume(data);
  }
  flush();
  update_pause();
}

void KafkaSession::consume(Bytes data) {
  while (!data.empty() && !closed_) {
    if (blocked()) {
      held_.insert(held_.begin(), data.begin(), data.end());
      return;
    }
    if (frame_size_ == 0) {
      const std::size_t n = std::min(head_.size() - head_done_, data.size());
      if (head_done_ == 0) ++frames_;
      std::copy_n(data.begin(), n, head_.begin() + static_cast<std::ptrdiff_t>(head_done_));
      head_done_ += n;
      data = data.subspan(n);
      if (head_done_ == head_.size()) begin_frame();
      continue;
    }
    if (frame_.empty() && !grow_frame(data.size())) continue;
    const std::size_t n = std::min(frame_.size() - frame_done_, data.size());
    std::copy_n(data.begin(), n, frame_.mutable_data() + frame_done_);
    frame_done_ += n;
    data = data.subspan(n);
    if (frame_done_ == frame_size_) {
      end_frame();
    } else if (frame_done_ == frame_.size()) {
      static_cast<void>(grow_frame());
    }
  }
}

void KafkaSession::begin_frame() {
  const auto size =
      kafka::frame_size(head_, kafka::kMinRequestBytes, service_.options().max_request_bytes);
  if (!size) {
    KafkaCounters::add(service_.counters().malformed, 1);
    return fail(size.error());
  }
  const std::uint64_t admitted = service_.memory().largest_request();
  if (**size - kafka::kLengthBytes > admitted) {
    return fail(Error(ErrorCode::kRecordTooLarge,
                      "a request of " + std::to_string(**size - kafka::kLengthBytes) + " bytes; " +
                          std::to_string(admitted) +
                          " are allowed, a quarter of what --memory leaves for requests. Raise "
                          "--memory, or lower max.request.size and the like of the client"));
  }
  frame_size_ = **size - kafka::kLengthBytes;
  frame_done_ = 0;
  // Who has begun to ask has shown what it is, however long the request takes, see overdue(), or
  // the answer: a first join may wait for minutes. Output of no bytes says so.
  if (frames_ == 1) connection_.send({});
}

/// More room for the frame's bytes, of which `arrived` more are there. False if the memory for it
/// is not there now.
bool KafkaSession::grow_frame(std::size_t arrived) {
  const std::size_t first = service_.memory().is_ample() ? kAmpleFrameBytes : kFirstFrameBytes;
  const std::size_t wanted = std::min(frame_size_, std::max({first, 2 * frame_.size(), arrived}));
  if (!service_.memory().grow(wanted, peer_->share, lease_)) {
    wants_memory_ = true;
    update_pause();
    service_.wait_for_memory(
        handle_, [](Session& session) { static_cast<KafkaSession&>(session).retry_memory(); });
    return false;
  }
  Buffer larger = Buffer::allocate(wanted);
  std::copy_n(frame_.data(), frame_done_, larger.mutable_data());
  frame_ = std::move(larger);
  return true;
}

void KafkaSession::retry_memory() {
  if (closed_ || !wants_memory_ || !grow_frame()) return;
  wants_memory_ = false;
  go_on();
  flush();
  update_pause();
}

std::string_view KafkaSession::overdue(std::chrono::steady_clock::time_point now) {
  const bool unfinished = head_done_ > 0 && !paused_;
  if (!unfinished || unfinished_.frame != frames_) {
    unfinished_ = {unfinished ? frames_ : 0, now, frame_done_};
    return {};
  }
  const auto elapsed = now - unfinished_.since;
  if (elapsed <= service_.memory().frame_grace()) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
  const std::size_t came = frame_done_ - std::min(frame_done_, unfinished_.bytes);
  if (came >= static_cast<std::uint64_t>(seconds) * kFrameBytesPerSecond) return {};
  return "a request that had begun to arrive did not go on";
}

void KafkaSession::end_frame() {
  Waiting frame{std::exchange(frame_, {}), std::move(lease_)};
  lease_ = MemoryLease();
  service_.memory().complete(frame.lease);
  frame_size_ = 0;
  head_done_ = 0;
  KafkaCounters::add(service_.counters().requests, 1);
  auto request = kafka::decode_request_header(frame.frame.bytes());
  if (!request) {
    KafkaCounters::add(service_.counters().malformed, 1);
    return fail(request.error());
  }
  if (!may_begin(request->header)) {
    waiting_ = std::move(frame);
    return;
  }
  begin(*request, std::move(frame.frame), std::move(frame.lease));
}

// ---------------------------------------------------------------- calls
bool KafkaSession::may_begin(const kafka::RequestHeader& header) const {
  if (output_full_) return false;  // who does not read its answers gets no more of them
  if (slots_.empty()) return true;
  if (header.key != kafka::ApiKey::kProduce || slots_.size() >= kMaxProduceInFlight) return false;
  return std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.produce; });
}

void KafkaSession::begin(kafka::ReceivedRequest request, Buffer frame, MemoryLease lease) {
  const KafkaApi* api = find_kafka_api(request.header.key);
  const std::int16_t version = request.header.version;
  const std::uint64_t number = first_number_ + slots_.size();
  const auto call = std::make_shared<Call>(*this, service_, peer_, request.header, std::move(frame),
                                           request.body, std::move(lease), number);
  Slot& slot = slots_.emplace_back();
  slot.call = call;
  slot.produce = request.header.key == kafka::ApiKey::kProduce;
  if (api != nullptr && version >= api->min_version && version <= api->max_version) {
    return api->handle(call);
  }
  KafkaCounters::add(service_.counters().unsupported, 1);
  if (request.header.key == kafka::ApiKey::kApiVersions) return answer_unknown_api_versions(call);
  call->close_connection(Error(ErrorCode::kUnsupported,
                               "API " + std::to_string(static_cast<int>(request.header.key)) +
                                   " version " + std::to_string(version) + " is not offered"));
}

void KafkaSession::run(std::vector<std::function<void()>> posts) {
  for (const auto& work : posts) {
    if (closed_) return;
    work();
  }
  flush();
  update_pause();
}

void KafkaSession::answered(std::uint64_t number, Output output) {
  if (closed_) return;
  RUNNEL_ASSERT(number >= first_number_ && number - first_number_ < slots_.size());
  Slot& slot = slots_[number - first_number_];
  slot.output = std::move(output);
  slot.ready = true;
}

/// Sends the answers whose turn it is, and begins what waited for them.
void KafkaSession::flush() {
  while (!closed_ && !slots_.empty() && slots_.front().ready) {
    Output all;
    while (!slots_.empty() && slots_.front().ready) {
      Output& output = slots_.front().output;
      std::move(output.begin(), output.end(), std::back_inserter(all));
      slots_.pop_front();
      ++first_number_;
    }
    if (!all.empty()) connection_.send(std::move(all));
    output_full_ = connection_.unsent_bytes() > kOutputLowMark;
    go_on();
  }
  close_if_finished();
}

/// Works on the frame that waits and on what was received behind it.
void KafkaSession::go_on() {
  if (waiting_) {
    auto request = kafka::decode_request_header(waiting_->frame.bytes());
    RUNNEL_ASSERT(request.has_value());  // it was read before
    if (!may_begin(request->header)) return;
    Waiting frame = std::move(*waiting_);
    waiting_.reset();
    begin(*request, std::move(frame.frame), std::move(frame.lease));
  }
  if (blocked() || held_.empty()) return;
  const std::vector<std::byte> held = std::exchange(held_, {});
  consume(held);
}

void KafkaSession::update_pause() {
  if (closed_) return;
  const bool wanted = blocked() || output_full_ || finishing_;
  if (wanted == paused_) return;
  paused_ = wanted;
  if (wanted) {
    connection_.pause_reading();
  } else {
    unfinished_ = {};  // nobody read meanwhile: its time begins anew
    connection_.resume_reading();
  }
}

void KafkaSession::drained() {
  output_full_ = false;
  go_on();
  flush();
  update_pause();
}

void KafkaSession::shutting_down() {
  finishing_ = true;
  for (const Slot& slot : slots_) {
    if (const CallRef call = slot.call.lock(); call && call->cancel_)
      std::exchange(call->cancel_, {})();
  }
  flush();
  update_pause();
  close_if_finished();
}

void KafkaSession::close_if_finished() {
  if (!finishing_ || closed_ || !slots_.empty() || waiting_) return;
  closed_ = true;
  connection_.close();
}

void KafkaSession::fail(const Error& why) {
  if (closed_) return;
  service_.note_closed("closed the connection from " + peer_->remote.host + ":" +
                       std::to_string(peer_->remote.port) + ": " + why.to_string());
  // What was answered before goes out first.
  while (!slots_.empty() && slots_.front().ready) {
    if (!slots_.front().output.empty()) connection_.send(std::move(slots_.front().output));
    slots_.pop_front();
    ++first_number_;
  }
  closed_ = true;
  connection_.close();
}

}  // namespace runnel::broker
