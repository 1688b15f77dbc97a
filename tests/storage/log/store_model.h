// What a store should hold, as plain values in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/strong.h"

namespace runnel::storage {

struct ModelRecord {
  std::string value;
  Timestamp time;
  int transaction = -1;  ///< place in ModelPartition::transactions
  bool control = false;
};

struct ModelTransaction {
  enum class State { kOpen, kCommitted, kAborted };
  int producer = 0;
  std::int64_t first = 0;
  std::int64_t marker = -1;  ///< -1: it is open
  State state = State::kOpen;
};

/// A transactional producer as a partition knows it.
struct ModelProducer {
  std::int16_t epoch = 0;
  std::int32_t next_sequence = 0;
  int open = -1;  ///< place in ModelPartition::transactions
};

struct ModelBatch {
  std::int64_t base = 0;
  std::int64_t last = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_before = 0;
  Timestamp max_time = kNoTimestamp;
};

struct SentBatch {
  std::int32_t sequence = 0;
  std::vector<std::string> values;
  std::int64_t base = 0;
};

struct ModelPartition {
  std::vector<ModelRecord> records;  // by offset
  std::vector<ModelBatch> batches;
  std::int64_t start = 0;
  std::uint64_t bytes = 0;
  std::map<int, std::vector<SentBatch>> producers;
  std::vector<ModelTransaction> transactions;
  std::map<int, ModelProducer> writers;                                 // transactional producers
  std::map<std::string, std::pair<std::int64_t, std::uint64_t>> dedup;  // key -> offset, hash

  [[nodiscard]] std::int64_t next() const { return static_cast<std::int64_t>(records.size()); }
  [[nodiscard]] const ModelRecord& at(std::int64_t offset) const {
    return records[static_cast<std::size_t>(offset)];
  }
  [[nodiscard]] std::int64_t stable() const {
    for (const ModelTransaction& t : transactions) {  // by first offset
      if (t.marker < 0) return std::max(start, t.first);
    }
    return next();
  }
  [[nodiscard]] bool is_committed(std::int64_t offset) const {
    const ModelRecord& r = at(offset);
    if (r.control || offset >= stable()) return false;
    return r.transaction < 0 || transactions[static_cast<std::size_t>(r.transaction)].state ==
                                    ModelTransaction::State::kCommitted;
  }
  void add(const std::vector<std::string>& values, Timestamp time, std::uint64_t batch_bytes,
           int transaction = -1, bool control = false) {
    ModelBatch b{next(), next() - 1, batch_bytes, bytes, time};
    for (const auto& v : values) records.push_back({v, time, transaction, control});
    b.last = next() - 1;
    batches.push_back(b);
    bytes += batch_bytes;
  }
  [[nodiscard]] std::uint64_t bytes_kept() const {
    std::uint64_t before = 0;
    for (const auto& b : batches) {
      if (b.last < start) before = b.bytes_before + b.bytes;
    }
    return bytes - before;
  }
};

struct ModelTopic {
  std::int64_t retention_ms = -1;
  std::int64_t retention_bytes = -1;
  std::vector<ModelPartition> partitions;
};

struct ModelOffset {
  std::int64_t offset = 0;
  Timestamp committed;
  std::string metadata;
};

}  // namespace runnel::storage
