// runnel_push_load: a subscriber of a view while events are appended at a set rate. How long after
// its acknowledgement an event was told, and the broker's processor time.
#include <poll.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <deque>
#include <iostream>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "bench/measure.h"
#include "bench/views/load.h"
#include "protocol/base/bytes.h"
#include "protocol/native/codec.h"

namespace runnel::bench {
namespace {

namespace native = protocol::native;

/// More than is sent in any run: the subscriber never holds the broker up for want of it.
constexpr std::uint64_t kCredit = std::uint64_t{1} << 50;
/// What was acknowledged is told by then, or not at all.
constexpr std::chrono::seconds kPatience{10};
constexpr int kLookMs = 100;

struct Plan {
  std::string broker;
  std::string view = "by_campaign";
  std::string topic = "donations";
  std::string mode = "latest";
  std::uint64_t events_per_second = 10'000;
  std::uint64_t events_per_batch = 100;
  double seconds = 10;
  int pid = 0;  ///< of the broker; 0: its processor time is not told
};

/// What was acknowledged, until it is told. Thread safe.
class Acknowledged {
 public:
  void put(const Feeder::Appended& batch) {
    const auto now = SteadyClock::now();
    const std::lock_guard lock(mutex_);
    if (batch.end <= told_[batch.partition]) {  // the answer to the append came later
      lags_.record(0);
    } else {
      waiting_[batch.partition].push_back({batch.end, now});
    }
  }
  /// Everything before the offset has been told.
  void told(std::uint32_t partition, std::int64_t next) {
    const std::lock_guard lock(mutex_);
    if (partition >= kFedPartitions) return;
    told_[partition] = std::max(told_[partition], next);
    auto& waiting = waiting_[partition];
    for (; !waiting.empty() && waiting.front().end <= next; waiting.pop_front()) {
      lags_.record(nanos_since(waiting.front().at));
    }
  }
  [[nodiscard]] bool all_told() {
    const std::lock_guard lock(mutex_);
    return std::all_of(waiting_.begin(), waiting_.end(), [](const auto& q) { return q.empty(); });
  }
  [[nodiscard]] Histogram lags() {
    const std::lock_guard lock(mutex_);
    return lags_;
  }

 private:
  struct Batch {
    std::int64_t end = 0;
    SteadyClock::time_point at;
  };
  std::mutex mutex_;
  std::array<std::deque<Batch>, kFedPartitions> waiting_;
  std::array<std::int64_t, kFedPartitions> told_{};
  Histogram lags_;  ///< of batches, all of which are as large
};

/// Follows the view, and counts what it tells.
class Subscriber {
 public:
  explicit Subscriber(Acknowledged& acknowledged) : acknowledged_(acknowledged) {}

  Status subscribe(const Plan& plan) {
    RUNNEL_TRY_ASSIGN(connection_, Connection::open(plan.broker));
    native::SubscribeView request;
    request.view = plan.view;
    request.credit_bytes = kCredit;
    if (plan.mode == "changes") request.mode = native::SubscribeView::Mode::kChanges;
    RUNNEL_TRY(connection_->call(native::encode(1, native::Request(std::move(request)))));
    return {};
  }
  /// Until `stop` and everything is told.
  Status run(const std::atomic<bool>& stop) {
    SteadyClock::time_point stopped{};
    while (true) {
      RUNNEL_TRY_ASSIGN(const Buffer frame, connection_->next());
      if (!frame.empty()) {
        RUNNEL_TRY(take(frame));
        continue;
      }
      if (stop.load()) {
        if (acknowledged_.all_told()) return {};
        if (stopped == SteadyClock::time_point()) stopped = SteadyClock::now();
        if (SteadyClock::now() > stopped + kPatience) {
          return fail(ErrorCode::kTimeout, "events were acknowledged and not told, after " +
                                               std::to_string(deliveries_) + " deliveries");
        }
      }
      pollfd ready{connection_->socket().descriptor(), POLLIN, 0};
      if (::poll(&ready, 1, kLookMs) > 0) RUNNEL_TRY(connection_->receive());
    }
  }
  [[nodiscard]] std::uint64_t deliveries() const noexcept { return deliveries_; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::uint64_t resets() const noexcept { return resets_; }
  /// The view's events, by the rows that were told.
  [[nodiscard]] std::uint64_t events() const {
    std::uint64_t sum = 0;
    for (const auto& [key, n] : counts_) sum += n;
    return sum;
  }

 private:
  Status take(const Buffer& frame) {
    RUNNEL_TRY_ASSIGN(const auto answer, native::decode_response(frame));
    if (const auto* failure = std::get_if<native::Failure>(&answer.response)) {
      return fail(failure->code, failure->message);
    }
    const auto* delivery = std::get_if<native::ViewDelivery>(&answer.response);
    if (delivery == nullptr) return fail(ErrorCode::kInternal, "not a delivery");
    if (!delivery->columns.empty()) columns_ = delivery->columns.size();
    if (delivery->kind == native::ViewDelivery::Kind::kReset) {
      ++resets_;
      counts_.clear();
    }
    ++deliveries_;
    rows_ += delivery->rows;
    RUNNEL_TRY(take_rows(delivery->rows, answer.attachment.bytes()));
    for (const native::ViewPosition& p : delivery->positions) {
      acknowledged_.told(static_cast<std::uint32_t>(p.partition.value()), p.next.value());
    }
    return {};
  }
  /// The second column counts the group's events.
  Status take_rows(std::uint32_t rows, Bytes bytes) {
    ByteReader in(bytes);
    for (std::uint32_t r = 0; r < rows; ++r) {
      static_cast<void>(in.le<std::uint8_t>());
      const std::string key(in.text());
      for (std::size_t c = 0; c < columns_; ++c) {
        const auto cell = native::read_cell(in);
        if (c != 1 || !cell) continue;
        std::uint64_t n = 0;
        std::from_chars(cell->data(), cell->data() + cell->size(), n);
        counts_[key] = n;
      }
    }
    return in.at_end() ? Status() : fail(ErrorCode::kInternal, "rows of another size");
  }

  Acknowledged& acknowledged_;
  std::unique_ptr<Connection> connection_;
  std::size_t columns_ = 0;
  std::unordered_map<std::string, std::uint64_t> counts_;
  std::uint64_t deliveries_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t resets_ = 0;
};

Status feed(const Plan& plan, Acknowledged& acknowledged, bool followed, std::uint64_t& appended) {
  const auto end = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                            std::chrono::duration<double>(plan.seconds));
  if (plan.events_per_second == 0) {
    std::this_thread::sleep_until(end);
    return {};
  }
  RUNNEL_TRY_ASSIGN(auto feeder, Feeder::open(plan.broker, plan.topic, plan.events_per_second,
                                              plan.events_per_batch));
  while (SteadyClock::now() < end) {
    RUNNEL_TRY_ASSIGN(const Feeder::Appended batch, feeder->append());
    if (followed) acknowledged.put(batch);
  }
  appended = feeder->appended();
  return {};
}

Status run(const Plan& plan) {
  const bool follows = plan.mode != "none";
  Acknowledged acknowledged;
  Subscriber subscriber(acknowledged);
  if (follows) RUNNEL_TRY(subscriber.subscribe(plan));
  std::atomic<bool> stop = false;
  Status told;
  std::thread following([&] {
    if (follows) told = subscriber.run(stop);
  });
  const double cpu = cpu_seconds_of(plan.pid);
  Stopwatch watch;
  std::uint64_t appended = 0;
  const Status fed = feed(plan, acknowledged, follows, appended);
  stop = true;
  following.join();
  watch.stop();
  const double broker = cpu_seconds_of(plan.pid) - cpu;
  RUNNEL_TRY(fed);
  RUNNEL_TRY(told);
  Figures figures;
  figures.add("bench", "push");
  figures.add("mode", plan.mode);
  figures.add("events", appended);
  figures.add("events_per_second", static_cast<double>(appended) / watch.seconds());
  if (follows) {
    figures.add("deliveries", subscriber.deliveries());
    figures.add("rows", subscriber.rows());
    figures.add("resets", subscriber.resets());
    figures.add("events_by_rows", subscriber.events());
    figures.add_latency(acknowledged.lags());
  }
  figures.add("own_cpu_of_a_core", watch.cpu_seconds() / watch.seconds());
  if (plan.pid != 0) {
    figures.add("broker_cpu_seconds", broker);
    figures.add("broker_cpu_of_a_core", broker / watch.seconds());
  }
  figures.add("seconds", watch.seconds());
  figures.print(true);
  return {};
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  runnel::bench::Plan plan;
  CLI::App app{"A subscriber of a view while events are appended"};
  app.add_option("--broker", plan.broker, "HOST:PORT")->required();
  app.add_option("--view", plan.view, "whose second column counts events")->capture_default_str();
  app.add_option("--topic", plan.topic, "of four partitions")->capture_default_str();
  app.add_option("--mode", plan.mode, "none: nobody subscribes")
      ->capture_default_str()
      ->check(CLI::IsMember({"none", "latest", "changes"}));
  app.add_option("--events-per-second", plan.events_per_second, "0: none")->capture_default_str();
  app.add_option("--events-per-batch", plan.events_per_batch, "appended together")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  app.add_option("--seconds", plan.seconds, "how long")->capture_default_str();
  app.add_option("--pid", plan.pid, "the broker's: tells its processor time");
  CLI11_PARSE(app, argc, argv);
  const auto done = runnel::bench::run(plan);
  if (done) return 0;
  std::cerr << "runnel_push_load: " << done.error().to_string() << '\n';
  return 1;
}
