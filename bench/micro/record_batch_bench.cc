// The record batch: checksum, build, validate, read. Throughput counts uncompressed record bytes,
// for the checksum the bytes it covers.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {
namespace {

constexpr std::size_t kBatchBytes = 64 << 10;
constexpr std::size_t kValueBytes = 1 << 10;

void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

std::string noise(std::size_t size) {
  std::mt19937_64 engine(1);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(engine());
  return text;
}

/// 1 KiB values that compress to about half: noise written in hexadecimal digits.
std::vector<std::string> values() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::vector<std::string> all;
  std::mt19937_64 engine(2);
  for (std::size_t i = 0; i < kBatchBytes / kValueBytes; ++i) {
    std::string value(kValueBytes, '\0');
    for (char& c : value) c = kDigits[engine() % kDigits.size()];
    all.push_back(std::move(value));
  }
  return all;
}

Buffer build(BatchBuilder& builder, const std::vector<std::string>& all) {
  for (const std::string& value : all) builder.add({Timestamp(1'700'000'000'000), "key", value});
  auto batch = builder.finish();
  RUNNEL_ASSERT(batch.has_value());
  return *std::move(batch);
}

Buffer batch_of(Codec codec) {
  BatchOptions options;
  options.codec = codec;
  BatchBuilder builder(options);
  return build(builder, values());
}

void each_codec(benchmark::internal::Benchmark* bench) {
  bench->ArgName("codec");
  for (int codec = 0; codec <= static_cast<int>(Codec::kZstd); ++codec) bench->Arg(codec);
}

Codec codec_of(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  state.SetLabel(std::string(name_of(codec)));
  return codec;
}

void BM_Crc32c(benchmark::State& state) {
  const std::string text = noise(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(as_bytes(text)));
  count_bytes(state, text.size());
  state.SetLabel(crc32c_is_accelerated() ? "the processor's instruction" : "tables");
}
BENCHMARK(BM_Crc32c)->Arg(100)->Arg(1 << 10)->Arg(kBatchBytes)->Arg(1 << 20);

void BM_Crc32cPortable(benchmark::State& state) {
  const std::string text = noise(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crc32c_portable(as_bytes(text)));
  count_bytes(state, text.size());
}
BENCHMARK(BM_Crc32cPortable)->Arg(kBatchBytes);

void BM_BuildBatch(benchmark::State& state) {
  const std::vector<std::string> all = values();
  BatchOptions options;
  options.codec = codec_of(state);
  BatchBuilder builder(options);
  for (auto _ : state) benchmark::DoNotOptimize(build(builder, all).data());
  count_bytes(state, kBatchBytes);
}
BENCHMARK(BM_BuildBatch)->Apply(each_codec);

void BM_ReadBatch(benchmark::State& state) {
  const Buffer batch = batch_of(codec_of(state));
  for (auto _ : state) {
    auto reader = RecordReader::open(batch.bytes());
    RUNNEL_ASSERT(reader.has_value());
    while (true) {
      const auto record = reader->next();
      RUNNEL_ASSERT(record.has_value());
      if (!*record) break;
      benchmark::DoNotOptimize((*record)->value->data());
    }
  }
  count_bytes(state, kBatchBytes);
}
BENCHMARK(BM_ReadBatch)->Apply(each_codec);

template <Depth kDepth>
void BM_ValidateBatch(benchmark::State& state) {
  const Buffer batch = batch_of(codec_of(state));
  for (auto _ : state) {
    const auto size = validate_batch(batch.bytes(), kDepth);
    RUNNEL_ASSERT(size.has_value());
    benchmark::DoNotOptimize(*size);
  }
  if (kDepth != Depth::kHeader) count_bytes(state, kBatchBytes);
}
BENCHMARK(BM_ValidateBatch<Depth::kHeader>)->Arg(0);
BENCHMARK(BM_ValidateBatch<Depth::kCrc>)->Apply(each_codec);
BENCHMARK(BM_ValidateBatch<Depth::kRecords>)->Apply(each_codec);

void BM_CheckCompressedHead(benchmark::State& state) {
  const Codec codec = codec_of(state);
  const Buffer batch = batch_of(codec);
  const Bytes records = batch.bytes().subspan(kBatchHeaderBytes);
  for (auto _ : state) {
    const auto valid = check_compressed_head(codec, records);
    RUNNEL_ASSERT(valid.has_value());
    benchmark::DoNotOptimize(valid);
  }
}
BENCHMARK(BM_CheckCompressedHead)->DenseRange(1, static_cast<int>(Codec::kZstd));

}  // namespace
}  // namespace runnel::protocol
