// The whole path of a commit and of a fetch, in memory.
#include <benchmark/benchmark.h>

#include <atomic>

#include "bench/measure.h"
#include "bench/micro/scratch.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::bench {
namespace {

using storage::Store;

Buffer build_batch(std::size_t record_bytes, int records) {
  const std::string value = filler(record_bytes);
  protocol::BatchBuilder builder;
  protocol::NewRecord record;
  record.timestamp = storage::Clock::system().now();
  record.value = value;
  for (int i = 0; i < records; ++i) builder.add(record);
  auto batch = builder.finish();
  RUNNEL_ASSERT(batch.has_value());
  return *batch;
}

class ScratchStore {
 public:
  ScratchStore() {
    storage::StoreOptions options;
    options.directory = directory_.path() + "/data";
    options.segment_bytes = 64u << 20;
    options.low_space_bytes = 0;
    options.ballast_bytes = 0;
    auto store = Store::open(std::move(options));
    if (!store) std::fprintf(stderr, "%s\n", store.error().message().c_str());
    RUNNEL_ASSERT(store.has_value());
    store_ = std::move(*store);
    storage::TopicSpec topic;
    topic.name = "bench";
    // Bounds what a long run keeps in memory.
    topic.configs["retention.bytes"] = std::to_string(256u << 20);
    RUNNEL_ASSERT(store_->create_topic(topic).has_value());
    auto partition = store_->partition(topic.name, PartitionIndex(0));
    RUNNEL_ASSERT(partition.has_value());
    partition_ = *partition;
  }
  ~ScratchStore() {
    partition_.reset();
    store_.reset();
  }
  ScratchStore(const ScratchStore&) = delete;
  ScratchStore& operator=(const ScratchStore&) = delete;

  [[nodiscard]] Store& store() { return *store_; }
  [[nodiscard]] const storage::PartitionRef& partition() const { return partition_; }
  [[nodiscard]] storage::CommitRequest request(const Buffer& batch) const {
    storage::CommitRequest request;
    storage::AppendItem item;
    item.partition = partition_;
    item.batches = Buffer::copy_of(batch.bytes());
    request.appends.push_back(std::move(item));
    return request;
  }

 private:
  ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
  storage::PartitionRef partition_;
};

void commit_one(benchmark::State& state) {
  ScratchStore scratch;
  const Buffer batch = build_batch(1024, 1);
  for (auto _ : state) {
    RUNNEL_ASSERT(scratch.store().commit_and_wait(scratch.request(batch)).result.has_value());
  }
}
BENCHMARK(commit_one)->UseRealTime();

/// Batches of 64 KiB, up to 64 in flight.
void commit_stream(benchmark::State& state) {
  ScratchStore scratch;
  const Buffer batch = build_batch(1024, 62);
  std::atomic<int> in_flight{0};
  for (auto _ : state) {
    for (int now = in_flight.load(); now >= 64; now = in_flight.load()) in_flight.wait(now);
    ++in_flight;
    scratch.store().commit(scratch.request(batch), [&](const storage::CommitOutcome& outcome) {
      RUNNEL_ASSERT(outcome.result.has_value());
      --in_flight;
      in_flight.notify_one();
    });
  }
  for (int now = in_flight.load(); now > 0; now = in_flight.load()) in_flight.wait(now);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(batch.size()));
}
BENCHMARK(commit_stream)->UseRealTime();

/// Finding `range` bytes from the start, from the middle or from the tail; nothing is copied.
void fetch_slices(benchmark::State& state) {
  ScratchStore scratch;
  const Buffer batch = build_batch(1024, 62);
  std::int64_t end = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto outcome = scratch.store().commit_and_wait(scratch.request(batch));
    RUNNEL_ASSERT(outcome.result.has_value());
    end = outcome.result->appends.front().last_offset.value() + 1;
  }
  const auto bytes = static_cast<std::uint32_t>(state.range(0));
  std::int64_t from = 0;
  for (auto _ : state) {
    storage::FetchRequest request;
    request.items.push_back({scratch.partition(), Offset(from), bytes});
    scratch.store().fetch(std::move(request), [](const storage::FetchResult& result) {
      RUNNEL_ASSERT(!result.front().error && result.front().bytes > 0);
    });
    from = (from + 7919) % end;
  }
}
BENCHMARK(fetch_slices)->Arg(1)->Arg(1 << 20);

}  // namespace
}  // namespace runnel::bench
