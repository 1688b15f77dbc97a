// Backups that follow each other, put together so that a moment between two of them can be
// restored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/log/cut.h"
#include "tools/backup/manifest.h"

namespace runnel::tools {

struct Chain {
  /// The last backup before the moment, with what later ones have of the segments behind it.
  Backup backup;
  /// The journal as the backup itself has it ends here; nothing before it may be cut off.
  storage::Position from;
  /// Why the later ones do not lead on to the moment, if they do not: what was written meanwhile is
  /// in none of them. It may still lie before that.
  std::string broken;
  /// Where the journal ends that the last of them has; nothing where that can't be told.
  std::optional<storage::Position> end;
  std::string last;        ///< id of that one
  std::int64_t taken = 0;  ///< when that one was
  bool is_passed = true;   ///< one of them is behind the moment: it lies in the journal
};

/// Where several backups are followed by the moment, as after a clock was set back.
enum class Passage {
  kOnly,   ///< none will do
  kFirst,  ///< the first will do
};

/// `backups` in the order in which they were made.
/// kNotFound: there is none that early, or none that late. kInvalidArgument: see Passage.
[[nodiscard]] Result<Chain> chain_to_time(const std::vector<Backup>& backups, std::int64_t time,
                                          Passage passage = Passage::kOnly);
/// Of several limits the one that is passed first counts. kNotFound: the first backup is beyond one
/// of them already, or none knows the partition. kInvalidArgument: see Passage.
[[nodiscard]] Result<Chain> chain_to_limits(const std::vector<Backup>& backups,
                                            const std::vector<storage::OffsetLimit>& limits,
                                            Passage passage = Passage::kOnly);

/// "orders[0]=5000". kInvalidArgument.
[[nodiscard]] Result<storage::OffsetLimit> parse_limit(std::string_view text);

}  // namespace runnel::tools
