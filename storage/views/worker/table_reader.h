// Reads a table's topic into memory: what is durable and committed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"
#include "storage/views/json/decoder.h"
#include "storage/views/worker/table.h"

namespace runnel::storage::views {

/// All versions of all rows of one table.
inline constexpr std::size_t kMaxTableBytes = 128u << 20;

/// One thread at a time.
class TableReader {
 public:
  /// `plan` must outlive it.
  explicit TableReader(const SourcePlan& plan);

  /// Reads on to the topic's end as it is now. Errors: kUnknownTopic, also where the topic is
  /// another one by now; kInvalidArgument: above kMaxTableBytes; kCorrupt, kIo.
  [[nodiscard]] Status catch_up(Store& store);
  [[nodiscard]] const Table& table() const noexcept { return table_; }
  [[nodiscard]] const SourcePlan& plan() const noexcept { return plan_; }
  /// Records that are no rows of the table: they can't be decoded, or have no whole primary key.
  [[nodiscard]] std::uint64_t bad_records() const noexcept { return bad_records_; }

 private:
  struct Part {
    PartitionRef partition;
    Offset next{0};
  };
  [[nodiscard]] Status open(Store& store);
  [[nodiscard]] Status read(Store& store, std::size_t part);
  [[nodiscard]] Status take(std::size_t part, const FetchedPartition& head, Bytes batches);
  void apply(std::size_t part, const protocol::Record& record);

  const SourcePlan& plan_;
  Table table_;
  Decoder decoder_;
  std::vector<Part> parts_;
  std::uint64_t bad_records_ = 0;
};

}  // namespace runnel::storage::views
