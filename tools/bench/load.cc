#include "tools/bench/load.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_map>

#include "protocol/record_batch/record_batch.h"
#include "tools/bench/wire.h"
#include "tools/cli.h"

namespace runnel::tools {
namespace {

namespace native = protocol::native;
using Clock = std::chrono::steady_clock;

/// How long a fetch waits at the end of a log that is being followed.
constexpr std::uint32_t kFollowWaitMillis = 500;
/// Small enough that the allocator keeps the replies' memory for the next ones: fresh pages for
/// each reply would cost this side more than receiving does.
constexpr std::uint32_t kFetchBytes = 1u << 20;

/// Bytes that neither compress to nothing nor depend on chance.
std::string filler(std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t state = 0x9E3779B97F4A7C15ULL;
  for (char& c : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>('!' + state % 90);
  }
  return out;
}

Result<Buffer> build_batch(const LoadPlan& plan) {
  const std::string value = filler(plan.record_bytes);
  protocol::BatchBuilder builder;
  for (std::uint64_t i = 0; i < records_per_batch(plan); ++i) {
    protocol::NewRecord record;
    record.timestamp = Timestamp(now_millis());
    record.value = value;
    builder.add(record);
  }
  return builder.finish();
}

/// One connection's part of an append load: partitions number, number + connections, ... in turn.
class Appender {
 public:
  Appender(const LoadPlan& plan, unsigned number, const Buffer& batch, std::uint64_t batches)
      : plan_(plan), number_(number), batch_(batch), batches_(batches) {}

  Result<LoadResult> run(Clock::time_point start) {
    RUNNEL_TRY_ASSIGN(auto connection, WireConnection::open(plan_.address));
    const auto interval = batch_interval();
    due_.clear();
    for (std::uint64_t sent = 0; sent < batches_ || !due_.empty();) {
      const auto due =
          interval.count() > 0 ? start + interval * static_cast<std::int64_t>(sent) : Clock::now();
      const bool may_send = sent < batches_ && due_.size() < plan_.depth;
      // Open loop: replies are taken until the next request is due, and it counts from then.
      if (may_send && due <= Clock::now()) {
        RUNNEL_TRY(connection.send(make_head(sent), batch_));
        due_.emplace(sent, due);
        ++sent;
      } else if (!due_.empty() && (!may_send || connection.wait_readable(due))) {
        RUNNEL_TRY(take_reply(connection));
      } else if (due_.empty()) {
        std::this_thread::sleep_until(due);
      }
    }
    return std::move(result_);
  }

 private:
  /// The request's number is its correlation id: appends to several partitions may be answered in
  /// any order.
  [[nodiscard]] Buffer make_head(std::uint64_t request) const {
    native::Append append;
    native::AppendPartition part;
    const std::uint64_t turn = number_ + request * plan_.connections;
    const auto partitions = static_cast<std::uint64_t>(plan_.partitions);
    const bool shared = partitions <= plan_.connections;  // then each stays with one
    part.target = {plan_.topic, PartitionIndex(static_cast<std::int32_t>((shared ? number_ : turn) %
                                                                         partitions))};
    part.bytes = static_cast<std::uint32_t>(batch_.size());
    append.partitions.push_back(std::move(part));
    append.durability = plan_.durability;
    return native::encode(request, append, batch_.size());
  }

  [[nodiscard]] std::chrono::nanoseconds batch_interval() const {
    if (plan_.rate <= 0) return std::chrono::nanoseconds(0);
    const double batches_a_second =
        plan_.rate / static_cast<double>(records_per_batch(plan_)) / plan_.connections;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / batches_a_second));
  }

  Status take_reply(WireConnection& connection) {
    RUNNEL_TRY_ASSIGN(const auto reply, connection.receive());
    RUNNEL_TRY(check_response(reply.response));
    const auto* appended = std::get_if<native::AppendReply>(&reply.response);
    if (appended == nullptr) return fail(ErrorCode::kMalformed, "an append got another reply");
    const auto sent = due_.find(reply.correlation);
    if (sent == due_.end()) return fail(ErrorCode::kMalformed, "a reply to no request");
    const auto latency = Clock::now() - sent->second;
    due_.erase(sent);
    result_.latency_nanos.record(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(latency).count()));
    result_.durability = std::min(result_.durability, appended->durability);
    result_.records += records_per_batch(plan_);
    result_.bytes += batch_.size();
    ++result_.requests;
    return {};
  }

  const LoadPlan& plan_;
  const unsigned number_;
  const Buffer& batch_;
  const std::uint64_t batches_;
  std::unordered_map<std::uint64_t, Clock::time_point> due_;
  LoadResult result_;
};

/// One connection's part of a fetch load: partitions number, number + connections, ...
class Fetcher {
 public:
  Fetcher(const LoadPlan& plan, unsigned number, Follow follow, std::atomic<std::uint64_t>& left)
      : plan_(plan), follow_(follow), left_(left) {
    for (auto p = static_cast<std::int32_t>(number); p < plan.partitions;
         p += static_cast<std::int32_t>(plan.connections)) {
      native::FetchPartition part;
      part.target = {plan.topic, PartitionIndex(p)};
      part.max_bytes = kFetchBytes;
      request_.partitions.push_back(std::move(part));
    }
    request_.max_bytes = kFetchBytes;
    request_.max_wait_ms = follow.stop != nullptr ? kFollowWaitMillis : 0;
  }

  Result<LoadResult> run() {
    if (request_.partitions.empty()) return std::move(result_);
    RUNNEL_TRY_ASSIGN(auto connection, WireConnection::open(plan_.address));
    while (left_.load() > 0 && !stopped()) {
      const auto start = Clock::now();
      RUNNEL_TRY_ASSIGN(const auto reply, connection.call(request_));
      RUNNEL_TRY_ASSIGN(const std::uint64_t records, take(reply));
      if (records == 0 && follow_.stop == nullptr) break;
      // A reply without records was a wait for the producers: the follower's, not the broker's.
      if (records == 0) continue;
      result_.latency_nanos.record(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count()));
      ++result_.requests;
      result_.records += records;
      result_.last_reply = Clock::now();
      std::uint64_t left = left_.load();
      while (!left_.compare_exchange_weak(left, left - std::min(left, records))) {
      }
    }
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool stopped() const { return follow_.stop != nullptr && follow_.stop->load(); }

  /// Walks the batches' headers only: a consumer's decoding is not what is measured.
  Result<std::uint64_t> take(const native::ResponseFrame& frame) {
    const auto* fetched = std::get_if<native::FetchReply>(&frame.response);
    if (fetched == nullptr) return fail(ErrorCode::kMalformed, "a fetch got another reply");
    std::uint64_t records = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < fetched->partitions.size(); ++i) {
      const native::FetchedPartition& part = fetched->partitions[i];
      if (part.error != ErrorCode::kOk) return fail(part.error, part.error_message);
      const std::size_t end = at + part.bytes;
      while (at < end) {
        const Bytes rest = frame.attachment.bytes().subspan(at, end - at);
        RUNNEL_TRY_ASSIGN(
            const std::size_t size,
            protocol::validate_batch(rest, protocol::Depth::kHeader, protocol::Gaps::kAllowed));
        const protocol::BatchView batch(rest);
        if (!batch.is_control()) records += static_cast<std::uint64_t>(batch.record_count());
        request_.partitions[i].offset = batch.last_offset() + 1;
        at += size;
      }
      result_.bytes += part.bytes;
    }
    return records;
  }

  const LoadPlan& plan_;
  const Follow follow_;
  std::atomic<std::uint64_t>& left_;
  native::Fetch request_;
  LoadResult result_;
};

/// Runs `work(i)` on a thread each and adds up what they saw.
Result<LoadResult> on_threads(unsigned count,
                              const std::function<Result<LoadResult>(unsigned)>& work) {
  std::vector<Result<LoadResult>> results(count, LoadResult());
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < count; ++i) {
      threads.emplace_back([&results, &work, i] { results[i] = work(i); });
    }
  }
  LoadResult total;
  total.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (auto& result : results) {
    if (!result) return fail(result.error());
    total.records += result->records;
    total.bytes += result->bytes;
    total.requests += result->requests;
    total.last_reply = std::max(total.last_reply, result->last_reply);
    total.durability = std::min(total.durability, result->durability);
    total.latency_nanos.merge(result->latency_nanos);
  }
  return total;
}

}  // namespace

std::uint64_t records_per_batch(const LoadPlan& plan) {
  // Of each record: value, lengths, deltas and key length, about 10 bytes more.
  const std::size_t room =
      plan.batch_bytes - std::min(plan.batch_bytes, protocol::kBatchHeaderBytes);
  const std::uint64_t share = plan.records / std::max(plan.connections, 1u);
  return std::max<std::uint64_t>(1, std::min(room / (plan.record_bytes + 10), share));
}

Result<LoadResult> run_append(const LoadPlan& plan) {
  RUNNEL_TRY_ASSIGN(const Buffer batch, build_batch(plan));
  const std::uint64_t batches =
      std::max<std::uint64_t>(plan.connections, plan.records / records_per_batch(plan));
  const auto start = Clock::now();
  return on_threads(plan.connections, [&](unsigned i) {
    const std::uint64_t share =
        batches / plan.connections + (i < batches % plan.connections ? 1 : 0);
    return Appender(plan, i, batch, share).run(start);
  });
}

Result<LoadResult> run_fetch(const LoadPlan& plan, Follow follow) {
  std::atomic<std::uint64_t> left{plan.records};
  const auto start = Clock::now();
  auto load = on_threads(plan.connections,
                         [&](unsigned i) { return Fetcher(plan, i, follow, left).run(); });
  // The wait of the other connections for an end is not reading.
  if (load && load->records > 0) {
    load->seconds = std::chrono::duration<double>(load->last_reply - start).count();
  }
  return load;
}

}  // namespace runnel::tools
