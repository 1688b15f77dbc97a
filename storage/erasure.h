// Erasure of one key's records, and the receipt that says what became of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/base/strong.h"

namespace runnel::storage {

inline constexpr std::size_t kMaxErasures = 10'000;      ///< known at the same time
inline constexpr std::size_t kMaxPendingErasures = 100;  ///< of them, not finished
inline constexpr std::size_t kMaxErasureIdBytes = 64;
inline constexpr std::size_t kMaxErasedRanges = 1'000;  ///< named in one receipt

/// Offsets of records that were erased, none between them kept.
struct ErasedRange {
  PartitionIndex partition;
  Offset first;
  Offset last;
  friend bool operator==(const ErasedRange&, const ErasedRange&) = default;
};

/// What was asked for and how far it is. Names no key: the receipt is kept when the key is gone.
struct Erasure {
  struct Part {
    PartitionIndex index;
    Offset end;                 ///< records before it are meant
    std::uint64_t records = 0;  ///< that were removed
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::string id;
  std::string topic;
  Timestamp requested = kNoTimestamp;
  Timestamp removed = kNoTimestamp;  ///< from then on nobody can read them
  /// From then on no file of the directory holds them, but for what repairs put aside.
  Timestamp gone = kNoTimestamp;
  std::vector<Part> parts;
  std::vector<ErasedRange> ranges;  ///< kMaxErasedRanges at most, by partition and offset
  bool ranges_cut = false;          ///< there were more
  std::uint64_t dedup_keys = 0;     ///< that guarded these records and went with them
  std::uint64_t segments_left = 0;  ///< files that may hold them, when last looked; not kept
  std::string problem;  ///< why the last attempt got no further, or what it passed over; not kept

  [[nodiscard]] std::uint64_t records() const noexcept {
    std::uint64_t sum = 0;
    for (const Part& part : parts) sum += part.records;
    return sum;
  }
};

}  // namespace runnel::storage
