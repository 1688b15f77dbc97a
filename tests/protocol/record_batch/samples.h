// Batches that the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "protocol/base/bytes.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::protocol {

inline constexpr std::array kAllCodecs = {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4,
                                          Codec::kZstd};
inline constexpr std::array kCompressingCodecs = {Codec::kGzip, Codec::kSnappy, Codec::kLz4,
                                                  Codec::kZstd};

struct OwnedHeader {
  std::string key;
  std::optional<std::string> value;
  friend bool operator==(const OwnedHeader&, const OwnedHeader&) = default;
};

/// A record that owns its bytes: what goes into a builder and what came out of a reader.
struct OwnedRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<OwnedHeader> headers;
  friend bool operator==(const OwnedRecord&, const OwnedRecord&) = default;
};

inline std::optional<std::string_view> view_of(const std::optional<std::string>& text) {
  return text ? std::optional<std::string_view>(*text) : std::nullopt;
}
inline std::optional<std::string> copy_of(const std::optional<std::string_view>& text) {
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

inline void add_to(BatchBuilder& builder, const OwnedRecord& record) {
  std::vector<RecordHeader> headers;
  for (const OwnedHeader& h : record.headers) headers.push_back({h.key, view_of(h.value)});
  builder.add({Timestamp(record.timestamp), view_of(record.key), view_of(record.value), headers});
}

inline Buffer batch_of(const std::vector<OwnedRecord>& records, BatchOptions options = {}) {
  BatchBuilder builder(options);
  for (const OwnedRecord& record : records) add_to(builder, record);
  auto batch = builder.finish();
  if (!batch) ADD_FAILURE() << batch.error().to_string();
  return batch.value_or(Buffer());
}

inline Result<std::vector<OwnedRecord>> read_all(Bytes batch,
                                                 std::size_t max_bytes = kMaxDecompressedBytes) {
  RUNNEL_TRY_ASSIGN(auto reader, RecordReader::open(batch, max_bytes));
  std::vector<OwnedRecord> records;
  while (true) {
    RUNNEL_TRY_ASSIGN(const auto record, reader.next());
    if (!record) return records;
    OwnedRecord owned{record->offset.value(),
                      record->timestamp.value(),
                      copy_of(record->key),
                      copy_of(record->value),
                      {}};
    for (const RecordHeader& h : record->headers) {
      owned.headers.push_back({std::string(h.key), copy_of(h.value)});
    }
    records.push_back(std::move(owned));
  }
}

/// Every variant of a record: nulls and empty texts, headers with and without values, binary bytes,
/// times that go back, and values of more than one, two and three length bytes.
inline std::vector<OwnedRecord> sample_records() {
  std::vector<OwnedRecord> records = {
      {0, 1'700'000'000'000, "key", "value", {}},
      {0, 1'700'000'000'001, std::nullopt, "no key", {}},
      {0, 1'699'999'999'000, "a tombstone", std::nullopt, {}},
      {0, 1'700'000'000'500, std::nullopt, std::nullopt, {}},
      {0, 1'700'000'000'500, "", "", {{"", ""}}},
      {0,
       1'700'000'100'000,
       std::string("\0\xff\x80", 3),
       std::string(300, 'v'),
       {{"trace", "abc"}, {"no value", std::nullopt}, {"empty", ""}, {"trace", "again"}}},
      {0, 1'700'000'100'001, std::string(8192, 'k'), std::string(20'000, 'v'), {}},
  };
  for (std::size_t i = 0; i < records.size(); ++i) records[i].offset = static_cast<int>(i);
  return records;
}

/// Sets the length field to the batch's real size and the CRC to that of its bytes.
inline void seal(MutableBytes batch) {
  store_be(batch.data() + 8, static_cast<std::int32_t>(batch.size() - kBatchLengthOverhead));
  store_be(batch.data() + 17, crc32c(batch.subspan(21)));
}

/// A sealed batch of `count` records whose payload is `payload` as it is.
inline Buffer batch_around(Bytes payload, std::int32_t count, Codec codec = Codec::kNone) {
  Buffer batch = Buffer::allocate(kBatchHeaderBytes + payload.size());
  std::fill_n(batch.mutable_data(), kBatchHeaderBytes, std::byte{0});
  store_be(batch.mutable_data() + 16, kBatchMagic);
  store_be(batch.mutable_data() + 21, static_cast<std::uint16_t>(codec));
  store_be(batch.mutable_data() + 23, count - 1);
  store_be(batch.mutable_data() + 57, count);
  std::copy(payload.begin(), payload.end(), batch.mutable_data() + kBatchHeaderBytes);
  seal(batch.mutable_bytes());
  return batch;
}

/// Calls body(engine) for `rounds` seeds; a failure names its seed, and RUNNEL_SEED=<seed> runs
/// that one alone.
template <class Body>
void for_each_engine(std::uint64_t first, std::uint64_t rounds, Body body) {
  if (const char* chosen = std::getenv("RUNNEL_SEED")) {
    first = std::strtoull(chosen, nullptr, 10);
    rounds = 1;
  }
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE("to repeat: RUNNEL_SEED=" + std::to_string(seed));
    std::mt19937_64 engine(seed);
    body(engine);
    if (::testing::Test::HasFailure()) return;
  }
}

inline std::size_t up_to(std::mt19937_64& engine, std::size_t most) {
  return static_cast<std::size_t>(engine() % (most + 1));
}

inline std::string random_text(std::mt19937_64& engine, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(engine());
  return text;
}

}  // namespace runnel::protocol
