// Reads some partitions from given places and writes what passes a filter as text. Runs on a
// worker, a piece at a time, so that others have their turn.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/http/record_text.h"
#include "broker/sessions/memory_gate.h"
#include "protocol/filter/record_filter.h"
#include "protocol/record_batch/record_batch.h"
#include "protocol/text/time.h"
#include "storage/env/clock.h"
#include "storage/store.h"

namespace runnel::broker::http {

/// Where a place is in a partition now, by what readers may see. Blocking. kOffsetOutOfRange:
/// behind its end.
[[nodiscard]] Result<Offset> find_place(const storage::Store& store,
                                        const storage::PartitionRef& partition,
                                        const protocol::Place& place);

/// One partition that is read.
struct ReadFrom {
  std::int32_t partition = 0;
  storage::PartitionRef ref;
  Offset next;
  std::optional<Offset> end;  ///< exclusive; nullopt: as far as there are records
};

/// What to read, and how much at most.
struct ScanLimits {
  std::size_t records = 100;
  std::size_t bytes = 0;                ///< of text; one record may be more
  std::uint32_t read_bytes = 1u << 20;  ///< of batches at a time; one batch may be more
};

/// Used by one thread at a time.
class RecordScan {
 public:
  /// Writes one record behind what was written before; `scan`'s cursor() is already behind it.
  using Write = std::function<void(const protocol::Record&, std::int32_t partition,
                                   const RecordScan& scan, std::string& out)>;

  RecordScan(storage::Store& store, MemoryGate& memory, storage::Clock& clock,
             std::shared_ptr<const protocol::RecordFilter> filter, std::vector<ReadFrom> from,
             ScanLimits limits, Write write);

  /// Reads on for about 2 ms. True: the text is complete.
  [[nodiscard]] bool work();
  /// Why nothing could be read; only if there is no text.
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  [[nodiscard]] std::string take_text() { return std::exchange(text_, {}); }
  [[nodiscard]] std::size_t records() const noexcept { return count_; }
  /// Records that the filter can't judge.
  [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_; }
  [[nodiscard]] const std::vector<ReadFrom>& from() const noexcept { return from_; }
  [[nodiscard]] Cursor cursor() const;
  /// Nothing was left to read when it looked.
  [[nodiscard]] bool at_end() const noexcept { return at_end_; }
  /// Begins anew where it ended, with an empty text.
  void restart();

 private:
  [[nodiscard]] bool is_full() const noexcept;
  /// One piece of one partition. False: it has nothing (more) to read now.
  [[nodiscard]] Result<bool> read_piece(ReadFrom& from, std::size_t quota);
  [[nodiscard]] Status read_batch(ReadFrom& from, Bytes batch, std::size_t quota);
  [[nodiscard]] Result<protocol::RecordReader> open(Bytes batch, MemoryLease& lease);

  storage::Store& store_;
  MemoryGate& memory_;
  storage::Clock& clock_;
  const std::shared_ptr<const protocol::RecordFilter> filter_;
  std::vector<ReadFrom> from_;
  const ScanLimits limits_;
  const Write write_;
  std::string text_;
  std::size_t count_ = 0;
  std::size_t taken_ = 0;  ///< of the partition at hand in this round
  std::uint64_t unreadable_ = 0;
  std::uint64_t looked_at_ = 0;
  std::chrono::nanoseconds worked_{0};
  std::size_t at_ = 0;     ///< of from_, to be read next
  bool progress_ = false;  ///< in this round
  bool at_end_ = false;
  std::optional<Error> error_;
};

}  // namespace runnel::broker::http
