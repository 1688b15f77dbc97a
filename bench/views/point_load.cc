// runnel_point_load: point queries of a view, so many in flight on each connection, while events
// are appended at a set rate. Queries a second, how long they took, the broker's processor time.
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "bench/floor/sockets.h"
#include "bench/measure.h"
#include "bench/views/donations.h"
#include "protocol/base/bytes.h"
#include "protocol/native/codec.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::bench {
namespace {

namespace native = protocol::native;

constexpr std::size_t kReceiveBytes = 256u << 10;
constexpr std::uint32_t kPartitions = 4;
/// Appended together: ten milliseconds' worth at 50,000 a second.
constexpr std::uint64_t kEventsPerBatch = 500;
constexpr std::uint64_t kBatches = 40;
/// Every so many answers one is looked into.
constexpr std::uint64_t kCheckEvery = 64;

struct Plan {
  std::string broker;
  std::string view = "by_campaign";
  std::string topic = "donations";
  unsigned connections = 1;
  std::uint64_t in_flight = 128;
  std::uint64_t events_per_second = 50'000;
  double seconds = 10;
  int pid = 0;  ///< of the broker; 0: its processor time is not told
};

/// Frames both ways. One thread.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const std::string& address) {
    RUNNEL_TRY_ASSIGN(Socket socket, Socket::connect(address));
    std::unique_ptr<Connection> made(new Connection(std::move(socket)));
    RUNNEL_TRY(made->socket_.send(as_bytes(native::kPreface)));
    native::Hello hello;
    hello.client_name = "runnel-point-load";
    RUNNEL_TRY(made->socket_.send(native::encode(0, native::Request(hello)).bytes()));
    RUNNEL_TRY(made->receive());
    RUNNEL_TRY(made->next());
    return made;
  }
  Status send(Bytes bytes) { return socket_.send(bytes); }
  /// Waits for more bytes.
  Status receive() {
    filled_ -= taken_;
    std::memmove(buffer_.mutable_data(), buffer_.data() + taken_, filled_);
    taken_ = 0;
    RUNNEL_TRY_ASSIGN(const std::size_t got,
                      socket_.receive_some(buffer_.mutable_bytes().subspan(filled_)));
    filled_ += got;
    return {};
  }
  /// The next whole frame; empty: more has to be received first.
  Result<Buffer> next() {
    const Bytes rest = buffer_.bytes().subspan(taken_, filled_ - taken_);
    RUNNEL_TRY_ASSIGN(const auto size, native::frame_size(rest, native::kMaxFrameBytes));
    if (!size || *size > rest.size()) return Buffer();
    taken_ += *size;
    return buffer_.slice(taken_ - *size, *size);
  }
  /// Sends one and waits for its answer.
  Result<native::ResponseFrame> call(const Buffer& head, Bytes attachment) {
    RUNNEL_TRY(send(head.bytes()));
    RUNNEL_TRY(send(attachment));
    while (true) {
      RUNNEL_TRY_ASSIGN(const Buffer frame, next());
      if (!frame.empty()) return native::decode_response(frame);
      RUNNEL_TRY(receive());
    }
  }

 private:
  explicit Connection(Socket socket)
      : socket_(std::move(socket)), buffer_(Buffer::allocate(kReceiveBytes)) {}
  Socket socket_;
  Buffer buffer_;
  std::size_t taken_ = 0;
  std::size_t filled_ = 0;
};

Status check(const Buffer& frame) {
  RUNNEL_TRY_ASSIGN(const auto answer, native::decode_response(frame));
  if (const auto* failure = std::get_if<native::Failure>(&answer.response)) {
    return fail(failure->code, failure->message);
  }
  const auto* reply = std::get_if<native::SqlReply>(&answer.response);
  if (reply != nullptr && reply->answers.size() == 1 && reply->answers[0].rows <= 1) return {};
  return fail(ErrorCode::kInternal, "an answer is no group");
}

/// Asks for campaigns at random and keeps `in_flight` questions on the way.
Status ask(const Plan& plan, unsigned seed, SteadyClock::time_point end, Histogram& nanos) {
  RUNNEL_TRY_ASSIGN(const auto connection, Connection::open(plan.broker));
  std::mt19937_64 dice(seed);
  std::vector<SteadyClock::time_point> sent(plan.in_flight);
  const auto question = [&](std::uint64_t slot, std::string& out) {
    native::ViewGet get;
    get.view = plan.view;
    get.key.emplace_back(Donations::campaign_name(dice() % Donations::kCampaigns));
    out += as_text(native::encode(slot, native::Request(std::move(get))).bytes());
    sent[slot] = SteadyClock::now();
  };
  std::string out;
  for (std::uint64_t slot = 0; slot < plan.in_flight; ++slot) question(slot, out);
  RUNNEL_TRY(connection->send(as_bytes(out)));
  std::uint64_t answers = 0;
  while (SteadyClock::now() < end) {
    out.clear();
    while (true) {
      RUNNEL_TRY_ASSIGN(const Buffer frame, connection->next());
      if (frame.empty()) break;
      // Without the cells behind the message.
      const auto message = load_le<std::uint32_t>(frame.data() + sizeof(std::uint32_t));
      RUNNEL_TRY_ASSIGN(const std::uint64_t slot, native::decode_correlation(frame.slice(
                                                      0, native::kFrameHeaderBytes + message)));
      nanos.record(nanos_since(sent[slot]));
      if (answers++ % kCheckEvery == 0) RUNNEL_TRY(check(frame));
      question(slot, out);
    }
    if (!out.empty()) RUNNEL_TRY(connection->send(as_bytes(out)));
    RUNNEL_TRY(connection->receive());
  }
  return {};
}

/// Appends events at the rate until `stop`.
Status feed(const Plan& plan, const std::atomic<bool>& stop, std::uint64_t& appended) {
  if (plan.events_per_second == 0) return {};
  RUNNEL_TRY_ASSIGN(const auto connection, Connection::open(plan.broker));
  std::vector<Buffer> batches;
  Donations donations(7);
  for (std::uint64_t b = 0; b < kBatches; ++b) {
    protocol::BatchBuilder builder;
    for (std::uint64_t i = 0; i < kEventsPerBatch; ++i) {
      const std::uint64_t n = b * kEventsPerBatch + i;
      const std::string text = Donations::json(n, donations.make(n, kBatches * kEventsPerBatch));
      builder.add({Timestamp(1'700'000'000'000), std::nullopt, text, {}});
    }
    RUNNEL_TRY_ASSIGN(batches.emplace_back(), builder.finish());
  }
  const auto began = SteadyClock::now();
  for (std::uint64_t n = 0; !stop.load(); ++n) {
    const std::chrono::duration<double> due(static_cast<double>(n * kEventsPerBatch) /
                                            static_cast<double>(plan.events_per_second));
    std::this_thread::sleep_until(began + std::chrono::duration_cast<SteadyClock::duration>(due));
    const Buffer& batch = batches[n % kBatches];
    native::Append append;
    native::AppendPartition& to = append.partitions.emplace_back();
    to.target = {plan.topic, PartitionIndex(static_cast<std::int32_t>(n % kPartitions))};
    to.bytes = static_cast<std::uint32_t>(batch.size());
    const Buffer head = native::encode(n, native::Request(std::move(append)), batch.size());
    RUNNEL_TRY_ASSIGN(const auto answer, connection->call(head, batch.bytes()));
    if (const auto* failure = std::get_if<native::Failure>(&answer.response)) {
      return fail(failure->code, failure->message);
    }
    appended += kEventsPerBatch;
  }
  return {};
}

double cpu_seconds_of(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 2)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Status run(const Plan& plan) {
  std::atomic<bool> stop = false;
  std::uint64_t appended = 0;
  Status fed;
  std::thread feeder([&] { fed = feed(plan, stop, appended); });
  std::this_thread::sleep_for(std::chrono::seconds(1));  // both are at work when it begins
  const double cpu = plan.pid == 0 ? 0 : cpu_seconds_of(plan.pid);
  Stopwatch watch;
  const auto end = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                            std::chrono::duration<double>(plan.seconds));
  std::vector<Histogram> nanos(plan.connections);
  std::vector<Status> asked(plan.connections);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < plan.connections; ++i) {
    threads.emplace_back([&, i] { asked[i] = ask(plan, i + 1, end, nanos[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  watch.stop();
  const double broker = plan.pid == 0 ? 0 : cpu_seconds_of(plan.pid) - cpu;
  stop = true;
  feeder.join();
  RUNNEL_TRY(fed);
  Histogram all;
  for (unsigned i = 0; i < plan.connections; ++i) {
    RUNNEL_TRY(asked[i]);
    all.merge(nanos[i]);
  }
  Figures figures;
  figures.add("bench", "point_queries");
  figures.add("connections", std::uint64_t{plan.connections});
  figures.add("in_flight", plan.in_flight);
  figures.add("queries", all.count());
  figures.add("queries_per_second", static_cast<double>(all.count()) / watch.seconds());
  figures.add("events_per_second", static_cast<double>(appended) / (watch.seconds() + 1));
  figures.add_latency(all);
  figures.add("own_cpu_seconds", watch.cpu_seconds());
  if (plan.pid != 0) figures.add("broker_cpu_seconds", broker);
  figures.add("seconds", watch.seconds());
  figures.print(true);
  return {};
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  runnel::bench::Plan plan;
  CLI::App app{"Point queries of a view while events are appended"};
  app.add_option("--broker", plan.broker, "HOST:PORT")->required();
  app.add_option("--view", plan.view, "whose key is a campaign's name")->capture_default_str();
  app.add_option("--topic", plan.topic, "of four partitions")->capture_default_str();
  app.add_option("--connections", plan.connections, "each with a thread")->capture_default_str();
  app.add_option("--in-flight", plan.in_flight, "on each connection")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--events-per-second", plan.events_per_second, "0: none")->capture_default_str();
  app.add_option("--seconds", plan.seconds, "how long")->capture_default_str();
  app.add_option("--pid", plan.pid, "the broker's: tells its processor time");
  CLI11_PARSE(app, argc, argv);
  const auto done = runnel::bench::run(plan);
  if (done) return 0;
  std::cerr << "runnel_point_load: " << done.error().to_string() << '\n';
  return 1;
}
