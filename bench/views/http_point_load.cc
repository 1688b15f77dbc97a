// runnel_http_point_load: point queries of a view over HTTP, one in flight on each connection,
// while events are appended at a set rate. With --etag each question names the version of the
// answer before.
#include <poll.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <charconv>
#include <iostream>
#include <random>
#include <thread>

#include "bench/measure.h"
#include "bench/views/donations.h"
#include "bench/views/load.h"

namespace runnel::bench {
namespace {

/// Appended together: ten milliseconds' worth at 50,000 a second.
constexpr std::uint64_t kEventsPerBatch = 500;
constexpr std::size_t kReceiveBytes = 64u << 10;
constexpr int kPatienceMs = 10'000;
constexpr std::string_view kLengthHeader = "\r\nContent-Length: ";
constexpr std::string_view kEtagHeader = "\r\nETag: ";

struct Plan {
  std::string broker;
  std::string view = "by_campaign";
  std::string topic = "donations";
  unsigned connections = 64;
  std::uint64_t events_per_second = 50'000;
  double seconds = 10;
  bool etag = false;
  int pid = 0;  ///< of the broker; 0: its processor time is not told
};

/// The value of a header as the broker writes it; empty: there is none.
std::string_view header(std::string_view head, std::string_view name) {
  const std::size_t at = head.find(name);
  if (at == std::string_view::npos) return {};
  head.remove_prefix(at + name.size());
  return head.substr(0, head.find("\r\n"));
}

/// One connection, with a question on its way.
struct Asker {
  Socket socket;
  std::string received;
  std::string etag;
  SteadyClock::time_point sent;
};

struct Answers {
  Histogram nanos;
  std::uint64_t not_modified = 0;
};

Status ask(const Plan& plan, std::mt19937_64& dice, Asker& asker) {
  // With --etag the same group again: a version names the view and not the group.
  const std::string group =
      Donations::campaign_name(plan.etag ? 0 : dice() % Donations::kCampaigns);
  std::string text = "GET /api/v1/views/" + plan.view + "/rows?key=" + group +
                     " HTTP/1.1\r\nHost: " + plan.broker + "\r\n";
  if (plan.etag && !asker.etag.empty()) text += "If-None-Match: " + asker.etag + "\r\n";
  text += "\r\n";
  asker.sent = SteadyClock::now();
  return asker.socket.send(as_bytes(text));
}

/// True: an answer is complete, and was taken.
Result<bool> take(Asker& asker, Answers& answers) {
  const std::size_t end = asker.received.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::string_view head = std::string_view(asker.received).substr(0, end + 2);
  const bool same = head.starts_with("HTTP/1.1 304");
  if (!same && !head.starts_with("HTTP/1.1 200")) {
    return fail(ErrorCode::kInternal, "answered with " + asker.received.substr(0, 300));
  }
  std::size_t length = 0;
  const std::string_view text = header(head, kLengthHeader);
  std::from_chars(text.data(), text.data() + text.size(), length);
  if (same) length = 0;
  if (asker.received.size() < end + 4 + length) return false;
  asker.etag = header(head, kEtagHeader);
  answers.not_modified += same ? 1 : 0;
  answers.nanos.record(nanos_since(asker.sent));
  asker.received.erase(0, end + 4 + length);
  return true;
}

Status ask_all(const Plan& plan, SteadyClock::time_point end, Answers& answers) {
  std::mt19937_64 dice(1);
  std::vector<Asker> askers(plan.connections);
  std::vector<pollfd> ready;
  for (Asker& asker : askers) {
    RUNNEL_TRY_ASSIGN(asker.socket, Socket::connect(plan.broker));
    ready.push_back({asker.socket.descriptor(), POLLIN, 0});
    RUNNEL_TRY(ask(plan, dice, asker));
  }
  Buffer room = Buffer::allocate(kReceiveBytes);
  while (SteadyClock::now() < end) {
    if (::poll(ready.data(), ready.size(), kPatienceMs) <= 0) {
      return fail(ErrorCode::kTimeout, "the broker does not answer");
    }
    for (std::size_t i = 0; i < askers.size(); ++i) {
      if (ready[i].revents == 0) continue;
      Asker& asker = askers[i];
      RUNNEL_TRY_ASSIGN(const std::size_t got, asker.socket.receive_some(room.mutable_bytes()));
      asker.received += as_text(room.bytes().first(got));
      RUNNEL_TRY_ASSIGN(const bool complete, take(asker, answers));
      if (complete) RUNNEL_TRY(ask(plan, dice, asker));
    }
  }
  return {};
}

Status run(const Plan& plan) {
  std::atomic<bool> stop = false;
  Status fed;
  std::thread feeder([&] {
    fed = [&]() -> Status {
      if (plan.events_per_second == 0) return {};
      RUNNEL_TRY_ASSIGN(auto made, Feeder::open(plan.broker, plan.topic, plan.events_per_second,
                                                kEventsPerBatch));
      while (!stop.load()) RUNNEL_TRY(made->append());
      return {};
    }();
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));  // both are at work when it begins
  const double cpu = cpu_seconds_of(plan.pid);
  Stopwatch watch;
  Answers answers;
  const Status asked =
      ask_all(plan,
              SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                       std::chrono::duration<double>(plan.seconds)),
              answers);
  watch.stop();
  const double broker = cpu_seconds_of(plan.pid) - cpu;
  stop = true;
  feeder.join();
  RUNNEL_TRY(fed);
  RUNNEL_TRY(asked);
  const auto count = static_cast<double>(answers.nanos.count());
  Figures figures;
  figures.add("bench", "http_point_queries");
  figures.add("connections", std::uint64_t{plan.connections});
  figures.add("events_per_second", plan.events_per_second);
  figures.add("requests_per_second", count / watch.seconds());
  figures.add("not_modified", static_cast<double>(answers.not_modified) / count);
  figures.add_latency(answers.nanos);
  figures.add("own_cpu_of_a_core", watch.cpu_seconds() / watch.seconds());
  if (plan.pid != 0) figures.add("broker_cpu_us_a_request", broker * 1e6 / count);
  figures.add("seconds", watch.seconds());
  figures.print(true);
  return {};
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  runnel::bench::Plan plan;
  CLI::App app{"Point queries of a view over HTTP while events are appended"};
  app.add_option("--broker", plan.broker, "HOST:PORT")->required();
  app.add_option("--view", plan.view, "whose key is a campaign's name")->capture_default_str();
  app.add_option("--topic", plan.topic, "of four partitions")->capture_default_str();
  app.add_option("--connections", plan.connections, "each with one request in flight")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--events-per-second", plan.events_per_second, "0: none")->capture_default_str();
  app.add_option("--seconds", plan.seconds, "how long")->capture_default_str();
  app.add_flag("--etag", plan.etag, "name the version of the answer before");
  app.add_option("--pid", plan.pid, "the broker's: tells its processor time");
  CLI11_PARSE(app, argc, argv);
  const auto done = runnel::bench::run(plan);
  if (done) return 0;
  std::cerr << "runnel_http_point_load: " << done.error().to_string() << '\n';
  return 1;
}
