// A store on a simulated disk with a clock that stands still, and short ways to use it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/record_batch/record_batch.h"
#include "storage/env/manual_clock.h"
#include "storage/stats.h"
#include "storage/store.h"
#include "tests/support/seeds.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {

struct BatchSpec {
  std::vector<std::string> values;
  Timestamp time = Timestamp(1'700'000'000'000);
  ProducerId producer = kNoProducer;
  ProducerEpoch epoch = kNoEpoch;
  std::int32_t sequence = kNoSequence;
  bool transactional = false;
};

inline Buffer make_batch(const BatchSpec& spec) {
  protocol::BatchOptions options;
  options.producer_id = spec.producer;
  options.producer_epoch = spec.epoch;
  options.base_sequence = spec.sequence;
  options.transactional = spec.transactional;
  protocol::BatchBuilder builder(options);
  for (const auto& v : spec.values) builder.add({spec.time, std::nullopt, v, {}});
  auto batch = builder.finish();
  EXPECT_TRUE(batch.has_value());
  return *batch;
}

inline Buffer make_batch(std::vector<std::string> values) {
  return make_batch(BatchSpec{std::move(values)});
}

class StoreFixture : public ::testing::Test {
 protected:
  StoreFixture() : fs(1), random(1) {}

  StoreOptions options() {
    StoreOptions o;
    o.directory = "data";
    o.memory_bytes = memory_bytes;
    o.segment_bytes = 1u << 20;
    o.low_space_bytes = 0;
    o.ballast_bytes = 0;
    o.background = false;
    o.file_system = &fs;
    o.clock = &clock;
    o.random = &random;
    o.log = [this](LogLevel level, std::string_view text) {
      if (level == LogLevel::kError) errors.emplace_back(text);
    };
    return o;
  }
  void open() {
    auto opened = Store::open(options());
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    store = std::move(*opened);
    store->start_expiry();
  }
  void reopen() {
    store.reset();
    open();
  }
  /// The power goes while the store runs, and comes back.
  void crash(CutMode mode = CutMode::kDropAll) {
    fs.power_off(mode);
    store.reset();
    fs.boot();
    open();
  }
  void create(const std::string& topic, int partitions = 1, ConfigMap configs = {}) {
    const auto made = store->create_topic({topic, partitions, std::move(configs)});
    ASSERT_TRUE(made.has_value()) << made.error().to_string();
  }
  PartitionRef ref(const std::string& topic, int index = 0) {
    auto p = store->partition(topic, PartitionIndex(index));
    EXPECT_TRUE(p.has_value());
    return p.value_or(nullptr);
  }
  CommitOutcome append(const std::string& topic, Buffer batch, int index = 0,
                       Durability durability = Durability::kSynced) {
    CommitRequest request;
    request.appends.push_back({ref(topic, index), std::move(batch), {}, std::nullopt});
    request.durability = durability;
    return store->commit_and_wait(std::move(request));
  }
  /// Values from `from` on, read as records.
  std::vector<std::string> values(const std::string& topic, Offset from = Offset(0),
                                  int index = 0) {
    std::vector<std::string> out;
    const auto info = store->partition_info(ref(topic, index));
    Offset at = std::max(from, info.log_start);
    while (at < info.high_watermark) {
      auto fetched = store->fetch_and_wait({{{ref(topic, index), at, 1u << 20}}});
      EXPECT_FALSE(fetched[0].head.error) << fetched[0].head.error->to_string();
      if (fetched[0].head.error || fetched[0].batches.empty()) break;
      for (Bytes rest = fetched[0].batches.bytes(); !rest.empty();) {
        const auto size = protocol::validate_batch(rest, protocol::Depth::kRecords);
        EXPECT_TRUE(size.has_value());
        auto reader = protocol::RecordReader::open(rest.first(*size));
        for (auto r = reader->next(); r && *r; r = reader->next()) {
          if ((*r)->offset >= at) out.emplace_back((*r)->value.value_or(""));
        }
        rest = rest.subspan(*size);
      }
      at = fetched[0].head.next;
    }
    return out;
  }
  static ErrorCode code(const CommitOutcome& o) {
    return o.result ? ErrorCode::kOk : o.result.error().code();
  }

  std::uint64_t memory_bytes = 64u << 20;
  SimFileSystem fs;
  ManualClock clock;
  SeededRandom random;
  std::vector<std::string> errors;
  std::unique_ptr<Store> store;
};

/// The same, opened.
class StoreTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }
};

}  // namespace runnel::storage
