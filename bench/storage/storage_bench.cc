// runnel_storage_bench: the store alone, without a network.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "bench/measure.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace runnel::bench {
namespace {

using storage::Store;

struct StoragePlan {
  std::string directory;
  double gigabytes = 2;  ///< 10^9 bytes, in all
  std::uint32_t batch_bytes = 64u << 10;
  std::uint32_t record_bytes = 1024;
  std::int32_t partitions = 1;
  unsigned threads = 1;                    ///< that commit, each its own partitions in turn
  std::uint64_t window_bytes = 16u << 20;  ///< most that is unanswered, all threads together
  std::uint64_t count = 0;                 ///< of single records instead, each a commit
  unsigned depth = 1;                      ///< of them in flight
  std::uint64_t memory_bytes = 256u << 20;
  bool json = false;
};

/// At most `limit` in flight; the first error stays.
class Window {
 public:
  explicit Window(std::uint64_t limit) : limit_(limit) {}
  /// False after an error.
  bool enter(std::uint64_t amount) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return used_ + amount <= limit_ || used_ == 0 || error_; });
    used_ += amount;
    return !error_;
  }
  void leave(std::uint64_t amount, const std::optional<Error>& error) {
    const std::lock_guard lock(mutex_);
    used_ -= amount;
    if (error && !error_) error_ = error;
    changed_.notify_one();
  }
  Status wait_until_empty() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return used_ == 0; });
    if (error_) return fail(*error_);
    return {};
  }

 private:
  const std::uint64_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t used_ = 0;
  std::optional<Error> error_;
};

/// Bytes this process made the kernel write to disks. 0 where the kernel does not count them.
std::uint64_t disk_write_bytes() {
  std::ifstream file("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  return 0;
}

/// A batch of records of `record_bytes`, as many as fit into `batch_bytes` but at least one.
Result<Buffer> build_batch(std::uint32_t record_bytes, std::uint32_t batch_bytes) {
  const std::string value = filler(record_bytes);
  protocol::BatchBuilder builder;
  protocol::NewRecord record;
  record.timestamp = storage::Clock::system().now();
  record.value = value;
  do {
    builder.add(record);
  } while (builder.bytes() + record_bytes + 16 <= batch_bytes);
  return builder.finish();
}

/// A store in a new directory that is removed afterwards.
class ScratchStore {
 public:
  static Result<std::unique_ptr<ScratchStore>> make(const StoragePlan& plan) {
    std::string directory = plan.directory + "/storage-bench-XXXXXX";
    if (::mkdtemp(directory.data()) == nullptr) {
      return system_error("cannot make a directory in " + plan.directory);
    }
    auto scratch = std::make_unique<ScratchStore>(directory);
    storage::StoreOptions options;
    options.directory = directory;
    options.memory_bytes = plan.memory_bytes;
    options.on_fatal = [](const Error& error) {
      std::fprintf(stderr, "the store failed: %s\n", error.message().c_str());
    };
    RUNNEL_TRY_ASSIGN(scratch->store_, Store::open(std::move(options)));
    storage::TopicSpec topic;
    topic.name = "bench";
    topic.partitions = plan.partitions;
    RUNNEL_TRY(scratch->store_->create_topic(topic));
    for (std::int32_t i = 0; i < plan.partitions; ++i) {
      RUNNEL_TRY_ASSIGN(auto partition, scratch->store_->partition(topic.name, PartitionIndex(i)));
      scratch->partitions_.push_back(std::move(partition));
    }
    return scratch;
  }
  explicit ScratchStore(std::string directory) : directory_(std::move(directory)) {}
  ~ScratchStore() {
    partitions_.clear();
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  ScratchStore(const ScratchStore&) = delete;
  ScratchStore& operator=(const ScratchStore&) = delete;

  [[nodiscard]] Store& store() { return *store_; }
  [[nodiscard]] const std::vector<storage::PartitionRef>& partitions() const { return partitions_; }

 private:
  std::string directory_;
  std::unique_ptr<Store> store_;
  std::vector<storage::PartitionRef> partitions_;
};

/// Copies of one batch. The store stamps the bytes in place, so each commit under way needs its
/// own; they are used again, so that making them is not what is measured. Thread safe.
class Batches {
 public:
  explicit Batches(Bytes batch) : batch_(batch) {}
  [[nodiscard]] Buffer take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        Buffer buffer = std::move(free_.back());
        free_.pop_back();
        return buffer;
      }
    }
    return Buffer::copy_of(batch_);
  }
  void give_back(Buffer buffer) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(buffer));
  }

 private:
  const Bytes batch_;
  std::mutex mutex_;
  std::vector<Buffer> free_;
};

storage::CommitRequest request_of(const storage::PartitionRef& partition, Buffer batch) {
  storage::CommitRequest request;
  storage::AppendItem item;
  item.partition = partition;
  item.batches = std::move(batch);
  request.appends.push_back(std::move(item));
  return request;
}

std::optional<Error> error_of(const storage::CommitOutcome& outcome) {
  if (outcome.result) return std::nullopt;
  return outcome.result.error();
}

/// Thread `number` commits `commits` batches to its share of the partitions in turn.
void ingest_on(ScratchStore& scratch, const StoragePlan& plan, Batches& batches, Window& window,
               unsigned number, std::uint64_t commits) {
  const auto& partitions = scratch.partitions();
  std::size_t at = number % partitions.size();
  for (std::uint64_t i = 0; i < commits; ++i) {
    Buffer batch = batches.take();
    if (!window.enter(batch.size())) {
      window.leave(batch.size(), std::nullopt);
      return;
    }
    scratch.store().commit(request_of(partitions[at], batch),
                           [&window, &batches, batch](const storage::CommitOutcome& outcome) {
                             batches.give_back(batch);
                             window.leave(batch.size(), error_of(outcome));
                           });
    at = (at + plan.threads) % partitions.size();
  }
}

Result<Figures> run_ingest(const StoragePlan& plan) {
  RUNNEL_TRY_ASSIGN(const Buffer batch, build_batch(plan.record_bytes, plan.batch_bytes));
  RUNNEL_TRY_ASSIGN(const auto scratch, ScratchStore::make(plan));
  const auto total = static_cast<std::uint64_t>(plan.gigabytes * 1e9);
  const std::uint64_t commits = std::max<std::uint64_t>(1, total / batch.size() / plan.threads);
  const auto before = scratch->store().stats();
  const std::uint64_t disk_before = disk_write_bytes();
  Window window(plan.window_bytes);
  Batches batches(batch.bytes());
  Stopwatch watch;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < plan.threads; ++i) {
      threads.emplace_back([&, i] { ingest_on(*scratch, plan, batches, window, i, commits); });
    }
  }
  RUNNEL_TRY(window.wait_until_empty());
  watch.stop();
  // The index reaches the disk when the store closes, if not before: it counts as well.
  const auto after = scratch->store().stats();
  RUNNEL_TRY(scratch->store().close());
  const auto appended = static_cast<double>(after.appended_bytes - before.appended_bytes);
  const std::uint64_t bytes = commits * plan.threads * batch.size();
  Figures figures;
  figures.add("bench", "storage-ingest");
  figures.add("durability", "synced");
  figures.add("batch_bytes", std::uint64_t{batch.size()});
  figures.add("partitions", static_cast<std::uint64_t>(plan.partitions));
  figures.add("threads", std::uint64_t{plan.threads});
  figures.add_throughput(bytes, watch.seconds());
  figures.add_cpu(bytes, watch.cpu_seconds());
  figures.add("commits", after.commits - before.commits);
  figures.add("syncs", after.syncs - before.syncs);
  figures.add("segment_amplification",
              static_cast<double>(after.written_bytes - before.written_bytes) / appended);
  figures.add("write_amplification",
              static_cast<double>(disk_write_bytes() - disk_before) / appended);
  return figures;
}

Result<Figures> run_singles(const StoragePlan& plan) {
  RUNNEL_TRY_ASSIGN(const Buffer batch, build_batch(plan.record_bytes, 0));
  RUNNEL_TRY_ASSIGN(const auto scratch, ScratchStore::make(plan));
  Window window(plan.depth);
  std::mutex mutex;
  Histogram nanos;
  Stopwatch watch;
  const auto& partitions = scratch->partitions();
  for (std::uint64_t i = 0; i < plan.count; ++i) {
    if (!window.enter(1)) {
      window.leave(1, std::nullopt);
      break;
    }
    const auto start = SteadyClock::now();
    scratch->store().commit(
        request_of(partitions[i % partitions.size()], Buffer::copy_of(batch.bytes())),
        [&, start](const storage::CommitOutcome& outcome) {
          {
            const std::lock_guard lock(mutex);
            nanos.record(nanos_since(start));
          }
          window.leave(1, error_of(outcome));
        });
  }
  RUNNEL_TRY(window.wait_until_empty());
  watch.stop();
  RUNNEL_TRY(scratch->store().close());
  Figures figures;
  figures.add("bench", "storage-singles");
  figures.add("durability", "synced");
  figures.add("record_bytes", std::uint64_t{plan.record_bytes});
  figures.add("depth", std::uint64_t{plan.depth});
  figures.add("partitions", static_cast<std::uint64_t>(plan.partitions));
  figures.add("count", plan.count);
  figures.add("per_second", static_cast<double>(plan.count) / watch.seconds());
  figures.add_latency(nanos);
  return figures;
}

int run(int argc, char** argv) {
  StoragePlan plan;
  plan.directory = std::filesystem::current_path();
  CLI::App app("The store alone: throughput of synced batches, or latency of single records",
               "runnel_storage_bench");
  app.add_option("--dir", plan.directory, "Where the store's directory is made")
      ->check(CLI::ExistingDirectory);
  app.add_option("--gb", plan.gigabytes, "10^9 bytes in all")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch-bytes", plan.batch_bytes, "Most bytes of a batch")->capture_default_str();
  app.add_option("--record-bytes", plan.record_bytes, "Bytes of a record's value")
      ->capture_default_str();
  app.add_option("--partitions", plan.partitions, "Partitions, written in turn")
      ->check(CLI::Range(1, storage::kMaxPartitionsPerTopic))
      ->capture_default_str();
  app.add_option("--threads", plan.threads, "Threads that commit")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--window", plan.window_bytes, "Most unanswered bytes")->capture_default_str();
  app.add_option("--singles", plan.count, "This many single records instead, for their latency")
      ->capture_default_str();
  app.add_option("--depth", plan.depth, "Single records in flight")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--memory", plan.memory_bytes, "The store's memory in bytes")
      ->capture_default_str();
  app.add_flag("--json", plan.json, "One JSON object instead of lines");
  CLI11_PARSE(app, argc, argv);
  const auto figures = plan.count > 0 ? run_singles(plan) : run_ingest(plan);
  if (!figures) {
    std::fprintf(stderr, "runnel_storage_bench: %s\n", figures.error().message().c_str());
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
