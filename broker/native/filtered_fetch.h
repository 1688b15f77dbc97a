// A fetch with a filter: what was read is looked through, off the loop thread, a piece at a time,
// and the records that pass go out in batches of their own with their offsets kept.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/filter/record_filter.h"
#include "protocol/native/messages.h"
#include "protocol/record_batch/abort_filter.h"
#include "protocol/record_batch/batch_filter.h"
#include "storage/env/clock.h"
#include "storage/env/memory_budget.h"
#include "storage/store.h"

namespace runnel::broker {

/// Batches that are read for one answer, at most, or one batch.
inline constexpr std::uint64_t kMaxFilterScanBytes = 8u << 20;
/// Bytes of records, decompressed, that are looked at for one answer; a batch is finished.
inline constexpr std::uint64_t kMaxFilterWorkBytes = 64u << 20;
/// Other connections have their turn after this; a batch is finished.
inline constexpr std::chrono::milliseconds kFilterPiece{2};
/// An answer ends after so much work, also within a batch: the next fetch goes on there.
inline constexpr std::chrono::milliseconds kMaxFilterTime{500};
/// A batch that unpacks to more than 64 times its size, or than this, asks the memory budget for
/// the most that one can take.
inline constexpr std::size_t kUsualUnpackedBytes = 8u << 20;

/// Used by one thread at a time.
class FilteredFetch {
 public:
  struct Item {
    std::size_t head = 0;  ///< its place in the answer
    Offset from;
    std::uint32_t max_bytes = 0;  ///< of what passes
    storage::FetchedPartition read;
  };
  /// `heads`: the answer's partitions; those that `items` name have no batches yet.
  FilteredFetch(std::shared_ptr<const protocol::RecordFilter> filter,
                std::vector<protocol::native::FetchedPartition> heads, std::vector<Item> items,
                std::uint64_t max_bytes, storage::Clock& clock, storage::MemoryBudget& memory);

  /// Looks through some batches. True when the answer is complete.
  [[nodiscard]] bool work();
  /// Taken once, when it is complete.
  [[nodiscard]] protocol::native::FetchReply take_reply();
  [[nodiscard]] std::vector<Buffer> take_batches() { return std::move(batches_); }

 private:
  enum class Step { kNext, kNoMore, kTimeIsUp };
  /// Goes on with the next batch of the partition at hand.
  [[nodiscard]] Result<Step> next_batch();
  /// Where it stopped, if time was up within the batch.
  [[nodiscard]] Result<std::optional<Offset>> filter(const Buffer& batch);
  [[nodiscard]] Result<protocol::FilteredBatch> look_through(const Buffer& batch,
                                                             const protocol::KeepRecord& passes);
  void begin_item();
  void end_item();
  [[nodiscard]] bool is_enough(const Item& item) const;
  /// Cheap: asks the clock once a quarter of a megabyte.
  [[nodiscard]] bool is_time_up();

  const std::shared_ptr<const protocol::RecordFilter> filter_;
  std::vector<protocol::native::FetchedPartition> heads_;
  std::vector<Item> items_;
  const std::uint64_t max_bytes_;
  storage::Clock& clock_;
  storage::MemoryBudget& memory_;
  std::chrono::nanoseconds worked_{0};       ///< in earlier pieces
  std::chrono::nanoseconds piece_begun_{0};  ///< by the clock
  std::uint64_t looked_at_clock_ = 0;        ///< looked_at_ when it was last asked
  std::vector<Buffer> batches_;
  std::uint64_t bytes_ = 0;       ///< of batches_
  std::uint64_t looked_at_ = 0;   ///< bytes of records
  std::size_t item_ = 0;          ///< at hand
  std::size_t slice_ = 0;         ///< of the item, to be read next
  Buffer read_;                   ///< of the slice before it, what is left to be looked through
  Offset next_;                   ///< behind what was looked through
  std::uint64_t item_bytes_ = 0;  ///< of what passed
  std::optional<protocol::AbortFilter> aborted_;
};

}  // namespace runnel::broker
