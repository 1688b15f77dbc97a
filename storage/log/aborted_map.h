// What a reader must look at in a partition's list of aborted transactions, without walking it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "protocol/base/strong.h"
#include "storage/log/records.h"

namespace runnel::storage {

/// A summary of the list: it is cut into blocks of kBlock entries, and of each block is remembered
/// what tells whether a fetch can do without it. While one transaction is open for long, thousands
/// of others are aborted beside it, and none of them ends the walk from one offset to the end of
/// the long one. With the summary that walk is a few blocks. Not thread safe.
class AbortedMap {
 public:
  static constexpr std::size_t kBlock = 128;

  /// Markers, both ends included.
  struct Range {
    Offset first;
    Offset last;
  };

  /// In the order of the markers, each once.
  void add(const AbortedRecord& aborted);
  /// The marker of the last entry that was added; kNoOffset without any.
  [[nodiscard]] Offset last() const noexcept {
    return blocks_.empty() ? kNoOffset : blocks_.back().last;
  }
  /// Where entries stand that touch [from, next): all of them, and no more others than share a
  /// block with one. Ascending, apart from each other.
  [[nodiscard]] std::vector<Range> find(Offset from, Offset next) const;
  /// Entries whose marker is before `start` are gone.
  void forget_before(Offset start);

 private:
  struct Block {
    Offset first;   ///< marker of its first entry
    Offset last;    ///< marker of its last entry
    Offset begin;   ///< the least first offset of its transactions
    Offset stable;  ///< the stable offset after its last entry
    std::size_t entries = 0;
  };
  std::vector<Block> blocks_;
};

}  // namespace runnel::storage
