// Definitions as the store keeps them: an entry each in its state map, so that they are durable,
// in order with everything else, and in every backup.
//
//   key    "view/" and the definition's number as 8 hex digits; "view/next": the next number u32;
//          "view-gone/" and a view's name: the last generation u16 of one that was dropped, behind
//          which one of the same name begins; "view-gone/" alone: of all others that were
//   value  format u8 = 2, name block, kind u8 (0 source, 1 table, 2 view, 3 stream), paused u8,
//          created i64 (ms), versions uv, then of each:
//            generation u16, built u8 (0, 1, or 2: it was, and its state was lost), text block,
//            inputs uv, blocks, altered uv, pairs of blocks, topic id 16 bytes, start uv, pairs of
//            partition uv, offset uv, skipped u64, failure u16 (0: none), its message block,
//            and, not in format 1: defaults u8, begun i64 (ms), rules of its time zone block
//
// Little-endian; uv and block as in view-state.md. Format, name and kind stay where they are in
// every format to come. docs/formats/view-definitions.md is the page with a worked example.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/strong.h"
#include "protocol/base/uuid.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/sql/ast.h"
#include "storage/views/worker/topic_views.h"

namespace runnel::storage::views {

inline constexpr std::string_view kDefinitionPrefix = "view/";
inline constexpr std::string_view kNextNumberKey = "view/next";
/// Not below "view/", where versions that read format 1 take every key for a definition's.
inline constexpr std::string_view kGonePrefix = "view-gone/";
inline constexpr std::string_view kOldGonePrefix = "view/gone/";  ///< read, and no longer written
/// Names of views that were dropped, each with its last generation; of more, the greatest is known.
inline constexpr std::size_t kMaxGoneNames = 10'000;

inline constexpr std::uint16_t kFirstGeneration = 1;

/// Stored: never renumbered.
inline constexpr std::uint8_t kDefaultsWithoutMaxAhead = 0;  ///< of format 1: no max_ahead
inline constexpr std::uint8_t kNewestDefaults = 1;           ///< max_ahead is a day

/// How a definition reads at one time. Replacing a view makes the next one beside it.
struct StoredVersion {
  std::uint16_t generation = kFirstGeneration;
  bool built = false;  ///< it was as far as the topic once
  /// It was built and read, and its state, which was lost, is computed again.
  bool lost = false;
  std::string sql;                  ///< the statement, as it was written
  std::vector<std::string> inputs;  ///< the statements of the sources and tables that it reads
  std::vector<std::pair<std::string, std::string>> altered;  ///< options of ALTER, in order
  Uuid topic;                                                ///< that it reads; zero: none
  StartOffsets start;                                        ///< where it begins
  std::uint64_t skipped = 0;     ///< offsets that were gone, and that RESUME went over
  std::optional<Error> failure;  ///< it can't go on
  /// Which defaults hold for options that the statement does not name.
  std::uint8_t defaults = kNewestDefaults;
  Timestamp begun;         ///< it is computed of the log as it was then, or later
  std::string zone_rules;  ///< of its time zone when it began (zone_rules.h); may be empty

  friend bool operator==(const StoredVersion& a, const StoredVersion& b);
};

struct StoredDefinition {
  std::uint32_t number = 0;  ///< never given twice
  std::string name;
  sql::ObjectKind kind = sql::ObjectKind::kSource;
  bool paused = false;
  Timestamp created;
  std::vector<StoredVersion> versions;  ///< 1, or 2: what is read, and what is to replace it

  [[nodiscard]] std::string encode() const;
  /// kFormatTooNew, kCorrupt; name and kind are set where they could be read.
  [[nodiscard]] Status decode(std::string_view value);
};

[[nodiscard]] std::string definition_key(std::uint32_t number);
/// nullopt: the key is no definition's.
[[nodiscard]] std::optional<std::uint32_t> definition_number(std::string_view key);

}  // namespace runnel::storage::views
