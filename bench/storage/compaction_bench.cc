// runnel_compaction_bench: what producers feel while the log is compacted. The same open load of
// keyed records goes to a topic that is not compacted and then to one that is.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <random>
#include <thread>

#include "bench/measure.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace runnel::bench {
namespace {

using storage::Store;

struct Plan {
  std::string directory;
  double gigabytes = 2;  ///< 10^9 bytes for each of the two topics
  double megabytes_per_second = 50;
  std::uint64_t keys = 200'000;
  std::uint32_t batch_bytes = 64u << 10;
  std::uint32_t record_bytes = 1024;
  std::uint64_t page_cache_bytes = std::numeric_limits<std::uint64_t>::max();
  bool json = false;
};

/// Commits at a steady rate and how long each took from when it was due.
class Load {
 public:
  Load(const Plan& plan, Store& store, storage::PartitionRef partition)
      : plan_(plan),
        store_(store),
        partition_(std::move(partition)),
        value_(filler(plan.record_bytes)) {}

  Status run() {
    const auto start = SteadyClock::now();
    const auto total = static_cast<std::uint64_t>(plan_.gigabytes * 1e9);
    for (std::uint64_t sent = 0; sent < total && !failed();) {
      const auto due =
          start + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(
                      static_cast<double>(sent) / 1e6 / plan_.megabytes_per_second));
      RUNNEL_TRY_ASSIGN(Buffer batch, build());
      sent += batch.size();
      std::this_thread::sleep_until(due);
      commit(std::move(batch), due);
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return in_flight_ == 0; });
    if (error_) return fail(*error_);
    return {};
  }
  [[nodiscard]] const Histogram& nanos() const { return nanos_; }

 private:
  Result<Buffer> build() {
    protocol::BatchBuilder builder;
    protocol::NewRecord record;
    record.timestamp = storage::Clock::system().now();
    record.value = value_;
    do {
      const std::string key = std::to_string(random_() % plan_.keys);
      record.key = key;
      builder.add(record);
    } while (builder.bytes() + plan_.record_bytes + 24 <= plan_.batch_bytes);
    return builder.finish();
  }
  void commit(Buffer batch, SteadyClock::time_point due) {
    storage::CommitRequest request;
    storage::AppendItem item;
    item.partition = partition_;
    item.batches = std::move(batch);
    request.appends.push_back(std::move(item));
    {
      const std::lock_guard lock(mutex_);
      ++in_flight_;
    }
    store_.commit(std::move(request), [this, due](const storage::CommitOutcome& outcome) {
      const std::lock_guard lock(mutex_);
      nanos_.record(nanos_since(due));
      if (!outcome.result && !error_) error_ = outcome.result.error();
      --in_flight_;
      changed_.notify_one();
    });
  }
  bool failed() {
    const std::lock_guard lock(mutex_);
    return error_.has_value();
  }

  const Plan& plan_;
  Store& store_;
  const storage::PartitionRef partition_;
  const std::string value_;
  std::mt19937_64 random_{1};
  std::mutex mutex_;
  std::condition_variable changed_;
  Histogram nanos_;
  std::uint64_t in_flight_ = 0;
  std::optional<Error> error_;
};

/// The load on a topic of its own; what it saw goes to `figures` under `name`.
Result<Histogram> measure(const Plan& plan, Store& store, const std::string& name,
                          const std::string& policy, Figures& figures) {
  RUNNEL_TRY(store.create_topic({name, 1, {{"cleanup.policy", policy}}}));
  RUNNEL_TRY_ASSIGN(auto partition, store.partition(name, PartitionIndex(0)));
  const auto before = store.stats();
  Load load(plan, store, std::move(partition));
  Stopwatch watch;
  RUNNEL_TRY(load.run());
  watch.stop();
  const auto after = store.stats();
  const auto millis = [](std::uint64_t n) { return static_cast<double>(n) / 1e6; };
  figures.add(
      name + "_mb_per_second",
      static_cast<double>(after.appended_bytes - before.appended_bytes) / 1e6 / watch.seconds());
  figures.add(name + "_ack_p50_ms", millis(load.nanos().value_at(50)));
  figures.add(name + "_ack_p99_ms", millis(load.nanos().value_at(99)));
  figures.add(name + "_ack_max_ms", millis(load.nanos().max()));
  figures.add(name + "_cpu_seconds", watch.cpu_seconds());
  figures.add(name + "_compaction_read", after.cleaner_read_bytes - before.cleaner_read_bytes);
  figures.add(name + "_compaction_written",
              after.cleaner_written_bytes - before.cleaner_written_bytes);
  return load.nanos();
}

Result<Figures> run_on(const Plan& plan, const std::string& directory) {
  storage::StoreOptions options;
  options.directory = directory;
  options.page_cache_bytes = plan.page_cache_bytes;
  options.on_fatal = [](const Error& error) {
    std::fprintf(stderr, "the store failed: %s\n", error.message().c_str());
  };
  RUNNEL_TRY_ASSIGN(const auto store, Store::open(std::move(options)));
  Figures figures;
  figures.add("bench", "compaction");
  figures.add("durability", "synced");
  RUNNEL_TRY_ASSIGN(const Histogram without, measure(plan, *store, "plain", "delete", figures));
  RUNNEL_TRY(store->delete_topic("plain"));
  RUNNEL_TRY_ASSIGN(const Histogram with, measure(plan, *store, "compacted", "compact", figures));
  figures.add("p99_ratio",
              static_cast<double>(with.value_at(99)) /
                  static_cast<double>(std::max<std::uint64_t>(1, without.value_at(99))));
  RUNNEL_TRY(store->close());
  return figures;
}

int run(int argc, char** argv) {
  Plan plan;
  plan.directory = std::filesystem::current_path();
  CLI::App app("What producers feel while the log is compacted", "runnel_compaction_bench");
  app.add_option("--dir", plan.directory, "Where the store's directory is made")
      ->check(CLI::ExistingDirectory);
  app.add_option("--gb", plan.gigabytes, "10^9 bytes for each of the two topics")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rate", plan.megabytes_per_second, "MB a second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--keys", plan.keys, "Different keys")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--page-cache", plan.page_cache_bytes, "The store's page cache in bytes; 0: none");
  app.add_flag("--json", plan.json, "One JSON object instead of lines");
  CLI11_PARSE(app, argc, argv);
  std::string directory = plan.directory + "/compaction-bench-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) {
    std::fprintf(stderr, "runnel_compaction_bench: cannot make a directory in %s\n",
                 plan.directory.c_str());
    return 1;
  }
  const auto figures = run_on(plan, directory);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  if (!figures) {
    std::fprintf(stderr, "runnel_compaction_bench: %s\n", figures.error().message().c_str());
    return 1;
  }
  figures->print(plan.json);
  return 0;
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  return runnel::bench::run(argc, argv);
}
