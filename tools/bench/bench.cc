// runnel bench produce | consume | latency | mixed
#include <unistd.h>

#include <array>
#include <cstdio>
#include <future>
#include <memory>

#include "broker/net/sockets.h"
#include "protocol/text/units.h"
#include "tools/bench/load.h"
#include "tools/bench/process.h"
#include "tools/cli.h"
#include "tools/text/json.h"

namespace runnel::tools {
namespace {

struct BenchArguments {
  LoadPlan plan;
  std::string broker;
  std::string record_size = "1KiB";
  std::string batch_size = "64KiB";
  std::string durability = "synced";
  std::string output = "text";
  int pid = 0;  ///< of the broker; 0: as its statistics say
  bool keep = false;
};

std::string_view name_of(protocol::native::Durability durability) {
  constexpr std::array<std::string_view, 3> kNames{"none", "written", "synced"};
  return kNames[static_cast<std::size_t>(durability)];
}

std::string number(double value, int digits) {
  std::array<char, 48> out{};
  std::snprintf(out.data(), out.size(), "%.*f", digits, value);
  return out.data();
}

/// A topic that lives as long as the measurement, unless the user named one of their own.
class BenchTopic {
 public:
  static Result<std::unique_ptr<BenchTopic>> make(Client client, LoadPlan& plan, bool keep) {
    const bool own = plan.topic.empty();
    if (own) {
      plan.topic = "bench-" + std::to_string(::getpid()) + "-" + std::to_string(now_millis());
    }
    TopicSpec spec;
    spec.name = plan.topic;
    spec.partitions = plan.partitions;
    spec.if_not_exists = !own;
    RUNNEL_TRY_ASSIGN(const auto topic, settle(client.admin().create_topic(spec).get()));
    plan.partitions = static_cast<std::int32_t>(topic.partitions.size());
    return std::make_unique<BenchTopic>(std::move(client), own && !keep ? plan.topic : "");
  }
  BenchTopic(Client client, std::string remove)
      : client_(std::move(client)), remove_(std::move(remove)) {}
  ~BenchTopic() {
    if (remove_.empty()) return;
    if (const auto gone = client_.admin().delete_topic(remove_).get(); !gone) {
      std::fprintf(stderr, "topic %s stays: %s\n", remove_.c_str(), gone.error().message().c_str());
    }
  }
  BenchTopic(const BenchTopic&) = delete;
  BenchTopic& operator=(const BenchTopic&) = delete;

 private:
  Client client_;
  std::string remove_;
};

/// What the broker's process used between start and stop().
class BrokerUse {
 public:
  /// A process id that the broker names means something here only if it runs here.
  BrokerUse(Client& client, const std::string& address, int pid) : pid_(pid) {
    const auto endpoint = broker::parse_endpoint(address);
    if (pid_ == 0 && endpoint && broker::is_loopback(endpoint->host)) {
      const auto statistics = client.admin().statistics().get();
      if (statistics) {
        for (const Statistic& s : *statistics) {
          if (s.name == "process.id") pid_ = static_cast<int>(s.value);
        }
      }
    }
    if (pid_ != 0) before_ = process_use(pid_);
  }
  void stop() {
    if (before_) after_ = process_use(pid_);
  }
  [[nodiscard]] bool known() const { return after_.has_value(); }
  [[nodiscard]] double cpu_seconds() const { return after_->cpu_seconds - before_->cpu_seconds; }
  [[nodiscard]] std::uint64_t resident_bytes() const { return after_->resident_bytes; }

 private:
  int pid_;
  std::optional<ProcessUse> before_, after_;
};

/// A measurement's figures, in the order they are shown. Values are JSON.
using Figures = std::vector<std::pair<std::string, std::string>>;

void add_load(Figures& out, const std::string& prefix, const LoadResult& load) {
  const double bytes = static_cast<double>(load.bytes);
  out.emplace_back(prefix + "records", std::to_string(load.records));
  out.emplace_back(prefix + "requests", std::to_string(load.requests));
  out.emplace_back(prefix + "seconds", number(load.seconds, 3));
  out.emplace_back(prefix + "mb_per_second", number(bytes / load.seconds / 1e6, 1));
  out.emplace_back(prefix + "records_per_second",
                   number(static_cast<double>(load.records) / load.seconds, 0));
  constexpr std::array<std::pair<const char*, double>, 5> kPercentiles{
      {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"max", 100}}};
  for (const auto& [name, percentile] : kPercentiles) {
    const auto nanos = static_cast<double>(load.latency_nanos.value_at(percentile));
    out.emplace_back(prefix + "latency_" + name + "_us", number(nanos / 1000, 1));
  }
}

void add_plan(Figures& out, const std::string& kind, const LoadPlan& plan,
              protocol::native::Durability durability) {
  out.emplace_back("bench", json_string(kind));
  out.emplace_back("durability", json_string(name_of(durability)));
  out.emplace_back("loop", json_string(plan.rate > 0 ? "open" : "closed"));
  if (plan.rate > 0) out.emplace_back("rate_records_per_second", number(plan.rate, 0));
  out.emplace_back("record_bytes", std::to_string(plan.record_bytes));
  out.emplace_back("records_per_batch", std::to_string(records_per_batch(plan)));
  out.emplace_back("connections", std::to_string(plan.connections));
  out.emplace_back("depth", std::to_string(plan.depth));
  out.emplace_back("partitions", std::to_string(plan.partitions));
}

void add_use(Figures& out, const BrokerUse& use, std::uint64_t bytes) {
  if (!use.known()) return;
  out.emplace_back("broker_cpu_seconds", number(use.cpu_seconds(), 2));
  out.emplace_back("broker_cpu_seconds_per_gb",
                   number(use.cpu_seconds() / (static_cast<double>(bytes) / 1e9), 3));
  out.emplace_back("broker_rss_mib",
                   number(static_cast<double>(use.resident_bytes()) / (1 << 20), 1));
}

Status show(const Figures& figures, const std::string& output) {
  std::string out = output == "json" ? "{" : "";
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const auto& [name, value] = figures[i];
    if (output == "json") {
      out += (i > 0 ? ",\n " : "") + json_string(name) + ": " + value;
    } else {
      // A word carries JSON's quotes, which only JSON wants.
      const bool word = value.starts_with('"');
      out += name + std::string(name.size() < 28 ? 28 - name.size() : 1, ' ') +
             (word ? value.substr(1, value.size() - 2) : value) + "\n";
    }
  }
  return write_out(output == "json" ? out + "}\n" : out);
}

Result<LoadPlan> plan_of(const BenchArguments& arguments) {
  LoadPlan plan = arguments.plan;
  plan.address = arguments.broker.empty() ? "127.0.0.1:9092" : arguments.broker;
  RUNNEL_TRY_ASSIGN(plan.record_bytes, protocol::parse_size(arguments.record_size));
  RUNNEL_TRY_ASSIGN(plan.batch_bytes, protocol::parse_size(arguments.batch_size));
  using protocol::native::Durability;
  plan.durability = arguments.durability == "none"      ? Durability::kNone
                    : arguments.durability == "written" ? Durability::kWritten
                                                        : Durability::kSynced;
  return plan;
}

/// Appends are `produce` and `latency`; they differ in their defaults.
Result<ExitCode> bench_append(const std::string& kind, const BenchArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto plan, plan_of(arguments));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(plan.address));
  RUNNEL_TRY_ASSIGN(const auto topic, BenchTopic::make(client, plan, arguments.keep));
  BrokerUse use(client, plan.address, arguments.pid);
  RUNNEL_TRY_ASSIGN(const auto load, run_append(plan));
  use.stop();
  Figures figures;
  add_plan(figures, kind, plan, load.durability);
  add_load(figures, "", load);
  add_use(figures, use, load.bytes);
  RUNNEL_TRY(show(figures, arguments.output));
  return ExitCode::kOk;
}

/// Reads what it wrote before, or a topic that is there.
Result<ExitCode> bench_consume(const BenchArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto plan, plan_of(arguments));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(plan.address));
  const bool fill = plan.topic.empty();
  RUNNEL_TRY_ASSIGN(const auto topic, BenchTopic::make(client, plan, arguments.keep));
  if (fill) {
    LoadPlan filling = plan;
    filling.rate = 0;
    filling.connections = static_cast<unsigned>(plan.partitions);
    filling.depth = 8;
    RUNNEL_TRY_ASSIGN(const auto filled, run_append(filling));
    plan.records = filled.records;
  }
  BrokerUse use(client, plan.address, arguments.pid);
  RUNNEL_TRY_ASSIGN(const auto load, run_fetch(plan));
  use.stop();
  Figures figures;
  add_plan(figures, "consume", plan, plan.durability);
  add_load(figures, "", load);
  add_use(figures, use, load.bytes);
  RUNNEL_TRY(show(figures, arguments.output));
  return ExitCode::kOk;
}

/// Producers and followers at once.
Result<ExitCode> bench_mixed(const BenchArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto plan, plan_of(arguments));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(plan.address));
  RUNNEL_TRY_ASSIGN(const auto topic, BenchTopic::make(client, plan, arguments.keep));
  LoadPlan reading = plan;
  // Whole batches are written, so that is what there will be to read.
  const std::uint64_t batch = records_per_batch(plan);
  reading.records = std::max<std::uint64_t>(plan.connections, plan.records / batch) * batch;
  BrokerUse use(client, plan.address, arguments.pid);
  std::atomic<bool> stop{false};
  auto followed = std::async(std::launch::async, [&] { return run_fetch(reading, Follow{&stop}); });
  const auto appended = run_append(plan);
  // Without the appends the followers would wait for ever.
  if (!appended) stop.store(true);
  const auto read = followed.get();
  if (!appended) return fail(appended.error());
  if (!read) return fail(read.error());
  use.stop();
  Figures figures;
  add_plan(figures, "mixed", plan, appended->durability);
  add_load(figures, "produce_", *appended);
  add_load(figures, "consume_", *read);
  add_use(figures, use, appended->bytes + read->bytes);
  RUNNEL_TRY(show(figures, arguments.output));
  return ExitCode::kOk;
}

void add_options(CLI::App& command, BenchArguments& arguments) {
  LoadPlan& plan = arguments.plan;
  add_broker_option(command, arguments.broker);
  command.add_option("--topic", plan.topic, "Topic; default: one that is deleted afterwards")
      ->type_name("TOPIC");
  command.add_option("--records", plan.records, "Records in all; whole batches are sent")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--record-size", arguments.record_size, "Bytes of a record's value")
      ->capture_default_str();
  command.add_option("--batch-bytes", arguments.batch_size, "Bytes of a batch")
      ->capture_default_str();
  command.add_option("--connections", plan.connections, "Connections")
      ->check(between(1, 10'000))
      ->capture_default_str();
  command.add_option("--partitions", plan.partitions, "Partitions of the topic")
      ->check(between(1, 100'000))
      ->capture_default_str();
  command.add_option("--depth", plan.depth, "Requests in flight on a connection")
      ->check(between(1, 1000))
      ->capture_default_str();
  command
      .add_option("--rate", plan.rate,
                  "Records a second (open loop: latency from when a request was due); "
                  "0: as fast as it goes (closed loop)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--durability", arguments.durability, "none, written or synced")
      ->check(CLI::IsMember({"none", "written", "synced"}))
      ->capture_default_str();
  command.add_option("--pid", arguments.pid,
                     "The broker's process, for its CPU and memory; default: as it says itself");
  command.add_flag("--keep", arguments.keep, "Leave the topic there");
  command.add_option("-o,--output", arguments.output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

}  // namespace

void add_bench(Cli& cli) {
  CLI::App* bench = cli.app.add_subcommand("bench", "Measure a broker");
  bench->require_subcommand(1);
  const auto add = [&](const char* name, const char* text, const LoadPlan& defaults,
                       const std::function<Result<ExitCode>(const BenchArguments&)>& work) {
    const auto arguments = std::make_shared<BenchArguments>();
    arguments->plan = defaults;
    arguments->batch_size = protocol::format_size(defaults.batch_bytes);
    CLI::App* command = bench->add_subcommand(name, text);
    add_options(*command, *arguments);
    command->callback(
        [&cli, arguments, work] { cli.action = [arguments, work] { return work(*arguments); }; });
  };
  LoadPlan bulk;
  bulk.connections = 8;
  bulk.partitions = 8;
  bulk.depth = 4;
  LoadPlan single;
  single.records = 10'000;
  single.batch_bytes = 0;  // one record a batch
  LoadPlan steady = bulk;
  steady.rate = 20'000;
  steady.records = 200'000;
  steady.batch_bytes = 16u << 10;
  add("produce", "Append throughput", bulk,
      [](const BenchArguments& a) { return bench_append("produce", a); });
  add("latency", "Append latency, one record a request", single,
      [](const BenchArguments& a) { return bench_append("latency", a); });
  add("consume", "Catch-up read throughput", bulk, bench_consume);
  add("mixed", "Appends at a rate while others follow", steady, bench_mixed);
}

}  // namespace runnel::tools
