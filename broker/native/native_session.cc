#include "broker/native/native_session.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

constexpr std::size_t kMaxCachedPartitions = 20'000;
/// A receive may be offered so much more than has arrived of the frame, but no more than ...
constexpr std::size_t kAheadFactor = 4;
/// ... this, so that a frame which does not go on costs little more than what came of it.
constexpr std::size_t kMaxAheadBytes = 4u << 20;

std::uint64_t message_length(const std::array<std::byte, native::kFrameHeaderBytes>& head) {
  return load_le<std::uint32_t>(head.data() + 4);
}

}  // namespace

native::Failure failure_of(const Error& error) {
  return {error.code(), error.action(), error.message(), {}};
}

void Replies::push(Completion completion) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = items_.empty();
    items_.push_back(std::move(completion));
  }
  if (!first) return;  // whoever pushed the first has posted
  session_->post([self = shared_from_this()](Session& session) {
    static_cast<NativeSession&>(session).completed(self->take());
  });
}

NativeSession::NativeSession(NativeService& service, Connection& connection)
    : service_(service),
      connection_(connection),
      handle_(connection.handle()),
      replies_(std::make_shared<Replies>(handle_)) {
  jobs_.lane = service.workers().make_lane();
  if (service.views() != nullptr) {
    queries_.lane = service.query_workers().make_lane();
    get_lane_ = service.quick_workers().make_lane();
    push_lane_ = service.quick_workers().make_lane();
  }
  NativeCounters::add(service_.counters().sessions, 1);
}

NativeSession::~NativeSession() {
  gone_->store(true);
  service_.workers().end(jobs_.lane);
  if (service_.views() != nullptr) {
    service_.query_workers().end(queries_.lane);
    service_.quick_workers().end(get_lane_);
    service_.quick_workers().end(push_lane_);
  }
  for (const auto& [id, fetch] : fetches_) {
    // If it has just been answered, its answer finds no session and is dropped.
    static_cast<void>(service_.store().cancel_fetch(fetch.ticket));
  }
  service_.counters().sessions.fetch_sub(1, std::memory_order_relaxed);
}

// ---------------------------------------------------------------- frames
MutableBytes NativeSession::receive_into() {
  if (frame_.empty() || !held_.empty()) return {};
  const std::size_t ahead = std::min(frame_done_ * kAheadFactor, kMaxAheadBytes);
  static_cast<void>(pay_until(std::min(frame_done_ + ahead, frame_.size())));
  return frame_.mutable_bytes().first(frame_paid_).subspan(frame_done_);
}

void NativeSession::received(Bytes data) {
  if (closed_) return;
  if (!frame_.empty() && data.data() == frame_.data() + frame_done_) {
    frame_done_ += data.size();
    if (frame_done_ == frame_.size()) end_frame();
  } else if (blocked()) {
    held_.insert(held_.end(), data.begin(), data.end());
  } else {
    consume(data);
  }
  proceed();
}

void NativeSession::consume(Bytes data) {
  data = data.subspan(take_preface(data));
  while (!data.empty() && !closed_) {
    if (blocked()) {
      held_.assign(data.begin(), data.end());
      return;
    }
    if (skip_ > 0 && frame_.empty()) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, data.size()));
      skip_ -= n;
      data = data.subspan(n);
      continue;
    }
    if (frame_.empty()) {
      const std::size_t n = std::min(head_.size() - head_done_, data.size());
      std::copy_n(data.begin(), n, head_.begin() + static_cast<std::ptrdiff_t>(head_done_));
      if (head_done_ == 0) ++frames_;
      head_done_ += n;
      data = data.subspan(n);
      if (head_done_ < head_.size()) return;
      begin_frame();
      continue;
    }
    const std::size_t n = std::min(frame_.size() - frame_done_, data.size());
    if (!pay_until(frame_done_ + n)) return wait_for_memory(data);
    std::copy_n(data.begin(), n, frame_.mutable_data() + frame_done_);
    frame_done_ += n;
    data = data.subspan(n);
    if (frame_done_ == frame_.size()) end_frame();
  }
}

std::size_t NativeSession::take_preface(Bytes data) {
  std::size_t n = 0;
  while (preface_done_ < native::kPreface.size() && n < data.size()) {
    if (static_cast<char>(data[n]) != native::kPreface[preface_done_]) {
      fail_connection(
          0, Error(ErrorCode::kMalformed, "the connection does not begin with the preface RNL1"));
      return data.size();
    }
    ++n;
    ++preface_done_;
  }
  return n;
}

/// The frame's head is there. Its memory is only reserved; it is paid for as bytes fill it.
void NativeSession::begin_frame() {
  const auto size =
      native::frame_size(head_, greeted_ ? native::kMaxFrameBytes : native::kMaxFrameBeforeHello);
  if (!size) return fail_connection(0, size.error());
  std::uint64_t wanted = **size;
  const std::uint64_t message_end = native::kFrameHeaderBytes + message_length(head_);
  if (message_end > wanted || message_length(head_) > native::kMaxMessageBytes) {
    return fail_connection(0,
                           Error(ErrorCode::kMalformed,
                                 "a native frame's message is longer than the frame or the limit"));
  }
  const std::uint64_t largest = std::max(service_.memory().largest_request(), kSmallFrameBytes);
  std::uint64_t refused = 0;
  if (wanted > largest) {
    refused = wanted - message_end;  // its message says whom to answer
    wanted = message_end;
  }
  if (wanted > largest) {
    return fail_connection(0, Error(ErrorCode::kRecordTooLarge,
                                    "a request's message is larger than a quarter of the broker's "
                                    "memory limit; ask for less at once or raise the limit"));
  }
  frame_ = Buffer::allocate(wanted);
  std::copy(head_.begin(), head_.end(), frame_.mutable_data());
  frame_done_ = frame_paid_ = head_.size();
  skip_ = refused;
  if (frame_done_ == frame_.size()) end_frame();
}

bool NativeSession::pay_until(std::size_t end) {
  if (end <= frame_paid_) return true;
  if (service_.memory().grow(end, share_, lease_)) {
    frame_paid_ = end;
    return true;
  }
  if (frame_.size() > kSmallFrameBytes || !unpaid_frame_.expired()) return false;
  auto token = std::make_shared<const bool>(true);
  unpaid_frame_ = token;
  lease_.keep(std::move(token));
  frame_paid_ = frame_.size();
  return true;
}

void NativeSession::wait_for_memory(Bytes rest) {
  held_.assign(rest.begin(), rest.end());
  pause(kForMemory);
  service_.wait_for_memory(
      handle_, [](Session& session) { static_cast<NativeSession&>(session).retry_memory(); });
}

void NativeSession::retry_memory() {
  if (closed_ || (pauses_ & kForMemory) == 0) return;
  const std::size_t missing = std::min(frame_.size() - frame_done_, held_.size());
  if (!pay_until(frame_done_ + missing)) {
    return service_.wait_for_memory(
        handle_, [](Session& session) { static_cast<NativeSession&>(session).retry_memory(); });
  }
  resume(kForMemory);
  proceed();
}

std::string_view NativeSession::overdue(std::chrono::steady_clock::time_point now) {
  const bool unfinished = head_done_ > 0;
  if (!unfinished || unfinished_.frame != frames_ || pauses_ != 0) {
    unfinished_ = {unfinished && pauses_ == 0 ? frames_ : 0, now, frame_done_};
    return {};
  }
  const auto elapsed = now - unfinished_.since;
  if (elapsed <= service_.memory().frame_grace()) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
  if (frame_done_ - unfinished_.bytes >=
      static_cast<std::uint64_t>(seconds) * kFrameBytesPerSecond) {
    return {};
  }
  NativeCounters::add(service_.counters().slow_frames, 1);
  return "a request that had begun to arrive did not go on";
}

void NativeSession::end_frame() {
  const Buffer frame = std::exchange(frame_, {});
  MemoryLease lease = std::move(lease_);
  service_.memory().complete(lease);
  head_done_ = 0;
  frame_done_ = frame_paid_ = 0;
  NativeCounters::add(service_.counters().requests, 1);
  if (load_le<std::uint32_t>(frame.data()) != frame.size() - 4) {
    const auto id = native::decode_correlation(frame);
    if (!id) return fail_connection(0, id.error());
    ++in_flight_;
    NativeCounters::add(service_.counters().too_large, 1);
    return fail_request(
        *id,
        Error(ErrorCode::kRecordTooLarge,
              "the request is larger than " + std::to_string(service_.memory().largest_request()) +
                  " bytes, a quarter of the broker's memory limit; send less at once or "
                  "raise the limit"));
  }
  auto decoded = native::decode_request(frame);
  if (!decoded) return fail_connection(0, decoded.error());
  if (!greeted_ && !std::holds_alternative<native::Hello>(decoded->request)) {
    return fail_connection(
        decoded->correlation,
        Error(ErrorCode::kInvalidArgument, "the first request of a connection must be Hello"));
  }
  dispatch(*decoded, std::move(lease));
}

void NativeSession::dispatch(native::RequestFrame& frame, MemoryLease lease) {
  ++in_flight_;
  if (in_flight_ >= service_.options().max_in_flight) pause(kForRequests);
  if (auto* request = std::get_if<native::Append>(&frame.request)) {
    return append(frame.correlation, *request, frame.attachment, std::move(lease));
  }
  request_lease_ = std::move(lease);
  std::visit(
      [this, &frame](auto& request) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(request)>, native::Append>) {
          handle(frame.correlation, request);
        }
      },
      frame.request);
  request_lease_ = MemoryLease();  // unless a job has it
}

// ---------------------------------------------------------------- back-pressure
void NativeSession::pause(Pause why) {
  if (pauses_ == 0) connection_.pause_reading();
  pauses_ |= why;
}

void NativeSession::resume(Pause why) {
  if ((pauses_ & why) == 0) return;
  pauses_ &= ~static_cast<unsigned>(why);
  if (pauses_ == 0) connection_.resume_reading();
}

void NativeSession::proceed() {
  flush();
  if (!blocked() && !held_.empty()) {
    const std::vector<std::byte> held = std::exchange(held_, {});
    consume(held);
    flush();
  }
  begin_job(jobs_);
  begin_job(queries_);
  begin_gets();
  close_if_finished();
}

void NativeSession::drained() {
  resume(kForOutput);
  pump_all();
  push_views();
  proceed();
}

void NativeSession::shutting_down() {
  if (std::exchange(finishing_, true) || closed_) return;
  pause(kForGood);
  cancel_fetches();
  while (!subscriptions_.empty()) {
    end_subscription(subscriptions_.begin()->first,
                     Error(ErrorCode::kShuttingDown,
                           "the connection is being closed; subscribe again elsewhere or later"));
  }
  while (!view_subscriptions_.empty()) {
    end_view_subscription(
        view_subscriptions_.begin()->first,
        Error(ErrorCode::kShuttingDown,
              "the connection is being closed; subscribe again elsewhere or later"));
  }
  cancel_view_waits();
  proceed();
}

// ---------------------------------------------------------------- answers
void NativeSession::answer(std::uint64_t correlation, const native::Response& response) {
  static_cast<void>(answer(correlation, response, {}, 0));
}

bool NativeSession::answer(std::uint64_t correlation, const native::Response& response,
                           Output attachment, std::uint64_t bytes) {
  Buffer head = native::encode(correlation, response, bytes);
  const bool fits = !head.empty();
  if (!fits) {
    NativeCounters::add(service_.counters().failures, 1);
    head = native::encode(
        correlation, native::Response(failure_of(
                         Error(ErrorCode::kRecordTooLarge,
                               "the answer does not fit into a frame; ask for less at once"))));
    attachment.clear();
    bytes = 0;
  }
  output_bytes_ += head.size() + bytes;
  output_.emplace_back(std::move(head));
  output_.insert(output_.end(), std::move_iterator(attachment.begin()),
                 std::move_iterator(attachment.end()));
  NativeCounters::add(service_.counters().sent_record_bytes, bytes);
  if (output_bytes_ > kOutputLowMark) flush();  // tells whether the client keeps up
  return fits;
}

void NativeSession::fail_request(std::uint64_t correlation, const Error& error) {
  NativeCounters::add(service_.counters().failures, 1);
  answer(correlation, native::Response(failure_of(error)));
  request_done();
}

void NativeSession::fail_connection(std::uint64_t correlation, const Error& error) {
  NativeCounters::add(service_.counters().malformed, 1);
  answer(correlation, native::Response(failure_of(error)));
  flush();
  closed_ = true;
  connection_.close();
}

void NativeSession::request_done() {
  RUNNEL_ASSERT(in_flight_ > 0);
  --in_flight_;
  if (in_flight_ <= service_.options().max_in_flight / 2) resume(kForRequests);
}

void NativeSession::flush() {
  output_bytes_ = 0;
  if (!output_.empty() && !closed_) connection_.send(std::exchange(output_, {}));
  if (connection_.unsent_bytes() > kOutputLowMark) pause(kForOutput);
}

void NativeSession::close_if_finished() {
  if (!finishing_ || closed_ || in_flight_ > 0 || !held_.empty()) return;
  if ((pauses_ & kForMemory) != 0) return;
  closed_ = true;
  connection_.close();
}

void NativeSession::completed(std::vector<Completion> completions) {
  if (closed_) return;
  for (Completion& completion : completions) {
    if (auto* outcome = std::get_if<storage::CommitOutcome>(&completion.what)) {
      committed(completion.correlation, std::move(*outcome));
    } else if (auto* done = std::get_if<FetchDone>(&completion.what)) {
      fetched(std::move(*done));
    } else if (const auto* news = std::get_if<WatchChanged>(&completion.what)) {
      changed(news->subscription);
    } else if (auto* commit = std::get_if<AppliedCommit>(&completion.what)) {
      stored(completion.correlation, std::move(*commit));
    } else if (auto* looked_at = std::get_if<AppendChecked>(&completion.what)) {
      checked(completion.correlation, std::move(*looked_at));
    } else if (auto* waited = std::get_if<ViewsApplied>(&completion.what)) {
      applied(std::move(*waited));
    } else if (auto* gets = std::get_if<GetsDone>(&completion.what)) {
      got(std::move(*gets));
    } else if (const auto* view = std::get_if<ViewChanged>(&completion.what)) {
      view_changed(view->subscription);
    } else if (auto* piece = std::get_if<ViewPushed>(&completion.what)) {
      pushed(std::move(*piece));
    } else {
      auto* job = std::get_if<JobDone>(&completion.what);
      if (job != nullptr) (job->is_query ? queries_ : jobs_).at_work = false;
      const native::Response& response =
          job != nullptr ? job->response : std::get<native::Response>(completion.what);
      if (std::holds_alternative<native::Failure>(response)) {
        NativeCounters::add(service_.counters().failures, 1);
      }
      Output attachment;
      std::uint64_t bytes = 0;
      if (job != nullptr) {
        for (Buffer& batch : job->batches) {
          bytes += batch.size();
          attachment.emplace_back(std::move(batch));
        }
      }
      static_cast<void>(answer(completion.correlation, response, std::move(attachment), bytes));
      request_done();
    }
  }
  proceed();
}

void NativeSession::add_job(Workers::Step step, MemoryLease lease) {
  jobs_.jobs.push_back({std::move(step), std::move(lease)});
  begin_job(jobs_);
}

void NativeSession::begin_job(JobQueue& queue) {
  if (queue.at_work || queue.jobs.empty() || closed_ || (pauses_ & kForOutput) != 0) return;
  queue.at_work = true;
  Job job = std::move(queue.jobs.front());
  queue.jobs.pop_front();
  Workers& workers = &queue == &queries_ ? service_.query_workers() : service_.workers();
  workers.run(queue.lane, std::move(job.step), std::move(job.lease));
}

// ---------------------------------------------------------------- hello and the unknown
void NativeSession::handle(std::uint64_t id, const native::Hello& request) {
  if (request.version_min > native::kVersionMax || request.version_max < native::kVersionMin ||
      request.version_min > request.version_max) {
    return fail_connection(
        id, Error(ErrorCode::kVersionMismatch,
                  "the client speaks versions " + std::to_string(request.version_min) + " to " +
                      std::to_string(request.version_max) + ", this broker " +
                      std::to_string(native::kVersionMin) + " to " +
                      std::to_string(native::kVersionMax) + "; upgrade the older of the two"));
  }
  greeted_ = true;
  client_name_ = request.client_name;
  native::HelloReply reply;
  reply.version = std::min(request.version_max, native::kVersionMax);
  reply.server_version = service_.options().server_version;
  reply.cluster_id = service_.store().id().to_string();
  reply.max_frame_bytes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(native::kMaxFrameBytes, service_.memory().largest_request()));
  answer(id, reply);
  request_done();
}

void NativeSession::handle(std::uint64_t id, const native::UnknownRequest&) {
  fail_request(id, Error(ErrorCode::kUnknownRequest,
                         "this broker does not know this kind of request; it may be older than "
                         "the client"));
}

// ---------------------------------------------------------------- partitions
Status NativeSession::charge(std::size_t partitions, MemoryLease& lease) {
  constexpr std::uint64_t kMost = kMaxConnectionPartitions * kPartitionCharge;
  const std::uint64_t bytes = partitions * kPartitionCharge;
  if (service_.memory().take_standing(bytes, kMost, share_, lease)) return {};
  if (share_->standing.load() + bytes > kMost) {
    return fail(ErrorCode::kTooManyPartitions,
                "subscriptions and waiting requests of a connection may have 100000 partitions "
                "together; use fewer or another connection");
  }
  if (partitions > kFewPartitions || !unpaid_standing_.expired()) {
    return fail(ErrorCode::kOverloaded,
                "the broker's memory for subscriptions and waiting requests is used up; try again "
                "later or raise its memory limit");
  }
  auto token = std::make_shared<const bool>(true);
  unpaid_standing_ = token;
  lease.keep(std::move(token));
  return {};
}

Result<storage::PartitionRef> NativeSession::partition(const native::TopicPartition& target) {
  if (const auto topic = partitions_.find(target.topic); topic != partitions_.end()) {
    const auto found = topic->second.find(target.partition.value());
    if (found != topic->second.end()) return found->second;
  }
  RUNNEL_TRY_ASSIGN(storage::PartitionRef found,
                    service_.store().partition(target.topic, target.partition));
  if (cached_partitions_ >= kMaxCachedPartitions) forget_partitions();
  partitions_[target.topic][target.partition.value()] = found;
  ++cached_partitions_;
  return found;
}

void NativeSession::forget_partitions() {
  partitions_.clear();
  cached_partitions_ = 0;
}

}  // namespace runnel::broker
