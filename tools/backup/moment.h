// A moment of the past that a restored directory is brought to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/backup/chain.h"

namespace runnel::tools {

struct Moment {
  std::optional<std::int64_t> time;          ///< milliseconds since 1970
  std::vector<storage::OffsetLimit> limits;  ///< instead of it
  [[nodiscard]] bool is_given() const { return time || !limits.empty(); }
  /// "up to 2026-...", "before offset 5000 of orders[0]"
  [[nodiscard]] std::string text() const;
};

struct MomentReport {
  std::uint64_t commits = 0;  ///< that follow the backup
  std::int64_t last = 0;      ///< time of the last of them; milliseconds since 1970
  /// The commit that is the moment was found and cut off. Else the backups end just before it, or
  /// nothing was committed between it and the next one.
  bool reached = false;
};

/// Cuts the journal of `directory`, which was restored from `chain`, off at `moment`, and verifies
/// all of the directory. kNotFound: the backups do not lead to it. kInvalidArgument: the clock was
/// set back around it. kCorrupt: records of that moment lay in files that are in no backup, or
/// can't be read.
[[nodiscard]] Result<MomentReport> bring_to(const std::string& directory, const Chain& chain,
                                            const Moment& moment);

}  // namespace runnel::tools
