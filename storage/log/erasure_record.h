// An erasure as the index keeps it until it is finished, and as a receipt afterwards.
// docs/formats/index.md has the value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/uuid.h"
#include "storage/erasure.h"

namespace runnel::storage {

/// A key by its hash: the index must not be the place where it outlives its records.
struct KeyHash {
  std::uint64_t seed = 0;  ///< random, of this erasure alone
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const KeyHash&, const KeyHash&) = default;
};
[[nodiscard]] KeyHash hash_key(std::string_view key, std::uint64_t seed) noexcept;

struct ErasureRecord {
  Erasure shown;
  Uuid topic_id;
  KeyHash key;                    ///< all zero once it is finished
  std::vector<Offset> rewritten;  ///< of each part: up to here no such record is in the log
  std::uint32_t journal_end = 0;  ///< journal segments up to this one may hold the records
  std::uint32_t dedup_first = 0;  ///< journal segments from this one ...
  std::uint32_t dedup_last = 0;   ///< ... to this one hold dedup keys that were erased; 0: none
};

/// What a list shows of it: no ranges, and the records of all partitions as one part, of partition
/// -1.
[[nodiscard]] Erasure in_short(const Erasure& erasure);
/// What is kept in memory of it: in short, if it is finished.
[[nodiscard]] ErasureRecord to_remember(ErasureRecord record);

[[nodiscard]] std::string encode(const ErasureRecord& record);
/// The id comes from the key. kCorrupt.
[[nodiscard]] Result<ErasureRecord> decode_erasure(std::string_view id, std::string_view value);

}  // namespace runnel::storage
