// SELECT by SQLite, for what the views' own SQL does not have: subqueries, WITH, UNION, OVER. What
// a question reads is copied into tables in memory first; nothing else can be reached.
//
// SQLite has no decimals: it would compute with them in floating point, and silently. So DECIMAL
// columns are texts here, in the order of numbers; a question may show, compare, sort, group and
// join by them, and is refused where it would compute with them (decimal_guard.h).
//
//   BOOLEAN 0 and 1, BIGINT, DOUBLE as they are; DECIMAL, VARCHAR, JSON, DATE texts;
//   TIMESTAMPTZ a text in UTC with six digits of a fraction, which any ISO 8601 compares with
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "storage/views/plan/program.h"

namespace runnel::storage::views {

struct AdhocColumn {
  std::string name;
  Type type;
};

/// What a question may name.
class AdhocRelations {
 public:
  using Visit = std::function<Result<bool>(std::span<const Value> row)>;

  virtual ~AdhocRelations() = default;
  [[nodiscard]] virtual std::vector<std::string> names() const = 0;
  [[nodiscard]] virtual std::vector<AdhocColumn> columns(const std::string& name) const = 0;
  /// Its rows, as wide as it has columns; those that are not in `wanted` may be NULL.
  [[nodiscard]] virtual Status read(const std::string& name, std::span<const std::size_t> wanted,
                                    const Visit& visit) = 0;
};

struct AdhocLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::size_t max_bytes = 0;                     ///< of what SQLite holds
  const std::atomic<bool>* cancelled = nullptr;  ///< true: nobody waits any more; null: never
};

struct AdhocAnswer {
  std::vector<AdhocColumn> columns;
  std::vector<std::string> notices;
};

/// Gives each row to `visit` until it returns false. A value's tag need not be its column's type:
/// what an expression gives is only known when all rows are, and is BIGINT, DOUBLE or VARCHAR.
/// One question at a time is answered in a process; others wait. Errors: kInvalidArgument, also
/// for what would hold more than the limits; kTimeout; kCancelled; those of `relations` and of
/// `visit`.
[[nodiscard]] Result<AdhocAnswer> run_sqlite(std::string_view sql, AdhocRelations& relations,
                                             const AdhocLimits& limits,
                                             const AdhocRelations::Visit& visit);

}  // namespace runnel::storage::views
