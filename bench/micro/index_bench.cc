// The index: applying a commit group's entries, and finding them.
#include <benchmark/benchmark.h>

#include "bench/micro/scratch.h"
#include "protocol/base/bytes.h"
#include "storage/index/index.h"

namespace runnel::bench {
namespace {

using storage::Family;
using storage::Index;
using storage::Mutations;

constexpr std::uint64_t kPartitions = 64;
constexpr std::size_t kValueBytes = 24;

std::string key_of(std::uint64_t partition, std::uint64_t offset) {
  std::string key(12, '\0');
  store_be(key.data(), static_cast<std::uint32_t>(partition));
  store_be(key.data() + 4, offset);
  return key;
}

std::unique_ptr<Index> open_index(const ScratchDirectory& directory) {
  storage::IndexOptions options;
  options.directory = directory.path() + "/index";
  options.file_system = &storage::FileSystem::posix();
  auto index = Index::open(std::move(options));
  if (!index) std::fprintf(stderr, "%s\n", index.error().message().c_str());
  RUNNEL_ASSERT(index.has_value());
  return std::move(*index);
}

/// Groups of one entry for each of `entries` batches.
void index_apply(benchmark::State& state) {
  const ScratchDirectory directory;
  const auto index = open_index(directory);
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  const std::string value(kValueBytes, 'v');
  std::uint64_t next = 0;
  for (auto _ : state) {
    Mutations group;
    for (std::uint64_t i = 0; i < entries; ++i, ++next) {
      group.put(Family::kIndex, key_of(next % kPartitions, next), value);
    }
    RUNNEL_ASSERT(index->apply(group).has_value());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(index_apply)->Arg(1)->Arg(64);

class Filled {
 public:
  static constexpr std::uint64_t kEntries = 200'000;
  Filled() : index_(open_index(directory_)) {
    const std::string value(kValueBytes, 'v');
    for (std::uint64_t i = 0; i < kEntries;) {
      Mutations group;
      for (int n = 0; n < 1000; ++n, ++i) {
        group.put(Family::kIndex, key_of(i % kPartitions, i), value);
      }
      RUNNEL_ASSERT(index_->apply(group).has_value());
    }
    RUNNEL_ASSERT(index_->flush().has_value());
  }
  [[nodiscard]] Index& index() { return *index_; }

 private:
  ScratchDirectory directory_;
  std::unique_ptr<Index> index_;
};

void index_get(benchmark::State& state) {
  Filled filled;
  std::uint64_t i = 0;
  for (auto _ : state) {
    i = (i + 7919) % Filled::kEntries;
    benchmark::DoNotOptimize(filled.index().get(Family::kIndex, key_of(i % kPartitions, i)));
  }
}
BENCHMARK(index_get);

/// What a fetch asks that the tail in memory does not answer: the batch that holds an offset.
void index_floor(benchmark::State& state) {
  Filled filled;
  std::uint64_t i = 0;
  for (auto _ : state) {
    i = (i + 7919) % Filled::kEntries;
    const std::uint64_t partition = i % kPartitions;
    RUNNEL_ASSERT(filled.index()
                      .scan_from_floor(Family::kIndex, key_of(partition, 0),
                                       key_of(partition, i + 1), key_of(partition + 1, 0),
                                       storage::Index::Reads::kDisk,
                                       [](std::string_view key, std::string_view) {
                                         benchmark::DoNotOptimize(key.data());
                                         return false;
                                       })
                      .has_value());
  }
}
BENCHMARK(index_floor);

}  // namespace
}  // namespace runnel::bench
