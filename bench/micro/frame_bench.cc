// Frames: sealing (the checksum over all bytes) and operations.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/measure.h"
#include "storage/commit/operations.h"
#include "storage/segments/frame.h"

namespace runnel::bench {
namespace {

void seal(benchmark::State& state) {
  const std::string batch = filler(64u << 10);
  const auto batches = static_cast<std::size_t>(state.range(0));
  const std::vector<Bytes> payload(batches, as_bytes(batch));
  const std::string operations(8 * batches, '\4');
  storage::FrameHeader header;
  header.operations_bytes = static_cast<std::uint32_t>(operations.size());
  header.payload_bytes = static_cast<std::uint32_t>(batches * batch.size());
  for (auto _ : state) {
    ++header.sequence;
    benchmark::DoNotOptimize(storage::seal_frame(header, as_bytes(operations), payload, 1));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(header.payload_bytes));
}
BENCHMARK(seal)->Arg(1)->Arg(64);

void read_header(benchmark::State& state) {
  storage::FrameHeader header;
  const auto bytes = storage::seal_frame(header, {}, {}, 1);
  for (auto _ : state) benchmark::DoNotOptimize(storage::read_frame_header(bytes));
}
BENCHMARK(read_header);

void encode_append(benchmark::State& state) {
  storage::AppendOperation append;
  append.partition = PartitionId(1234);
  append.bytes = 64u << 10;
  for (auto _ : state) {
    ByteWriter writer;
    storage::encode_operation(writer, append);
    benchmark::DoNotOptimize(writer);
  }
}
BENCHMARK(encode_append);

void encode_and_decode_put(benchmark::State& state) {
  const storage::Mutations::Change change{storage::Mutations::Kind::kPut, storage::Family::kMeta,
                                          std::string(40, 'k'), std::string(60, 'v')};
  for (auto _ : state) {
    ByteWriter writer;
    storage::encode_operation(writer, change);
    ByteReader reader(writer.bytes());
    benchmark::DoNotOptimize(storage::decode_operation(reader));
  }
}
BENCHMARK(encode_and_decode_put);

}  // namespace
}  // namespace runnel::bench
