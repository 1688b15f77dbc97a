// Walking the batch headers of a run of batches in a segment file, reading no more than it must.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/env/file_system.h"

namespace runnel::storage {

/// Steps through batches that lie one behind the other in [position, position + length).
/// Not thread safe. Holds one window of the file.
class BatchWalker {
 public:
  BatchWalker(const File& file, std::uint64_t position, std::uint64_t length)
      : file_(file), at_(position), end_(position + length) {}

  struct Step {
    std::uint64_t position = 0;  ///< of the batch in the file
    std::uint64_t bytes = 0;     ///< whole batch
    Offset base;
    Offset last;
    Timestamp max_timestamp;
  };
  /// The next batch's header; nullopt at the end. kCorrupt if a length can't be right.
  [[nodiscard]] Result<std::optional<Step>> next();

 private:
  [[nodiscard]] Status fill();

  const File& file_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::vector<std::byte> window_;
  std::uint64_t window_at_ = 0;
};

/// Calls `f(BatchView, Bytes batch)` for each batch in `batches`; the bytes hold whole batches.
template <class F>
void for_each_batch(Bytes batches, F&& f) {
  while (!batches.empty()) {
    const protocol::BatchView view(batches);
    const std::size_t bytes = view.total_bytes();
    RUNNEL_ASSERT(bytes <= batches.size());
    f(view, batches.first(bytes));
    batches = batches.subspan(bytes);
  }
}

}  // namespace runnel::storage
