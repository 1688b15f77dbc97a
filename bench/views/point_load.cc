// runnel_point_load: point queries of a view, so many in flight on each connection, while events
// are appended at a set rate. Queries a second, how long they took, the broker's processor time.
#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>
#include <random>
#include <thread>

#include "bench/measure.h"
#include "bench/views/donations.h"
#include "bench/views/load.h"
#include "protocol/base/bytes.h"
#include "protocol/native/codec.h"

namespace runnel::bench {
namespace {

namespace native = protocol::native;

/// Appended together: ten milliseconds' worth at 50,000 a second.
constexpr std::uint64_t kEventsPerBatch = 500;
/// Every so many answers one is looked into.
constexpr std::uint64_t kCheckEvery = 64;
/// Stands in a request that was made before its turn for whose it is.
constexpr std::uint64_t kMark = 0x52756e6e656c2121;

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

Status check(const Buffer& frame) {
  RUNNEL_TRY_ASSIGN(const auto answer, native::decode_response(frame));
  if (const auto* failure = std::get_if<native::Failure>(&answer.response)) {
    return fail(failure->code, failure->message);
  }
  const auto* reply = std::get_if<native::SqlReply>(&answer.response);
  if (reply != nullptr && reply->answers.size() == 1 && reply->answers[0].rows <= 1) return {};
  return fail(ErrorCode::kInternal, "an answer is no group");
}

/// A question about each campaign, made beforehand: the load must not be what is measured.
struct Question {
  std::string frame;
  std::size_t mark_at = 0;
};
std::vector<Question> make_questions(const Plan& plan) {
  char mark[sizeof kMark];
  store_le(mark, kMark);
  std::vector<Question> questions;
  for (std::size_t n = 0; n < Donations::kCampaigns; ++n) {
    native::ViewGet get;
    get.view = plan.view;
    get.key.emplace_back(Donations::campaign_name(n));
    Question& question = questions.emplace_back();
    question.frame = as_text(native::encode(kMark, native::Request(std::move(get))).bytes());
    question.mark_at = question.frame.find(std::string_view(mark, sizeof mark));
  }
  return questions;
}

/// Asks for campaigns at random and keeps `in_flight` questions on the way.
Status ask(const Plan& plan, unsigned seed, SteadyClock::time_point end, Histogram& nanos) {
  RUNNEL_TRY_ASSIGN(const auto connection, Connection::open(plan.broker));
  std::mt19937_64 dice(seed);
  std::vector<SteadyClock::time_point> sent(plan.in_flight);
  const std::vector<Question> questions = make_questions(plan);
  const auto question = [&](std::uint64_t slot, std::string& out) {
    const Question& one = questions[dice() % questions.size()];
    out += one.frame;
    store_le(out.data() + out.size() - one.frame.size() + one.mark_at, slot);
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
  RUNNEL_TRY_ASSIGN(auto feeder,
                    Feeder::open(plan.broker, plan.topic, plan.events_per_second, kEventsPerBatch));
  while (!stop.load()) {
    RUNNEL_TRY(feeder->append());
    appended = feeder->appended();
  }
  return {};
}

Status run(const Plan& plan) {
  std::atomic<bool> stop = false;
  std::uint64_t appended = 0;
  Status fed;
  std::thread feeder([&] { fed = feed(plan, stop, appended); });
  std::this_thread::sleep_for(std::chrono::seconds(1));  // both are at work when it begins
  const double cpu = cpu_seconds_of(plan.pid);
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
  const double broker = cpu_seconds_of(plan.pid) - cpu;
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
  figures.add("own_cpu_of_a_core", watch.cpu_seconds() / watch.seconds());
  if (plan.pid != 0) {
    figures.add("broker_cpu_seconds", broker);
    figures.add("broker_cpu_us_a_query", broker * 1e6 / static_cast<double>(all.count()));
  }
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
