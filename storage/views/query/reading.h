// The rows of what a FROM names, one after the other; private to query/*.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/views/engine/aggregates.h"
#include "storage/views/engine/view_reader.h"
#include "storage/views/plan/query_plan.h"
#include "storage/views/query/query.h"

namespace runnel::storage::views {

/// What a query is held to, and what it has learned on its way.
class Reading {
 public:
  Reading(const ReadSnapshot& from, const QueryLimits& within) : snapshot(from), limits(within) {}

  /// kTimeout behind the deadline, kCancelled. Cheap: looks at the clock now and then.
  [[nodiscard]] Status check_time();
  /// kInvalidArgument: `bytes` is more than a query may hold.
  [[nodiscard]] Status check_memory(std::size_t bytes) const;

  /// By topic and partition; of one that was read twice the lesser.
  [[nodiscard]] std::vector<Position> take_positions();

  const ReadSnapshot& snapshot;
  const QueryLimits& limits;
  std::vector<Position> positions;
  std::uint16_t generation = 0;
  std::uint64_t sequence = 0;
  std::vector<std::string> notices;
  int depth = 0;  ///< of views that read views

  /// Of the row at hand, something of which could not be computed: an error where the row passes
  /// WHERE, or where WHERE reads that.
  struct Unsound {
    std::vector<Slot> slots;  ///< these have no meaning; empty: whether there is the row at all
    Error error;
  };
  std::optional<Unsound> unsound;

 private:
  unsigned calls_ = 0;
};

/// One row: slots as SourcePlan says, which the visitor may write to. Of use during the call alone.
/// False: no more of them.
using RowVisit = std::function<Result<bool>(std::span<Value> row, const RecordPlace& place)>;

/// Which rows are wanted; more may be given.
struct Wanted {
  std::span<const Slot> slots;           ///< others are NULL
  std::span<const ColumnBounds> bounds;  ///< of the source's columns
};

/// A view's, a source's or a table's; `name` is in the snapshot's definitions.
[[nodiscard]] Status read_rows(const SourcePlan& source, const Wanted& wanted, Reading& reading,
                               const RowVisit& visit);

/// The records of a source's topic from its start to its last stable offsets, or the newest record
/// of each key of a table's. What can't be decoded is left out, and a notice says so.
[[nodiscard]] Status read_topic(const SourcePlan& source, const Wanted& wanted, Reading& reading,
                                const RowVisit& visit);

/// The rows of a view that has state, or is computed from another's rows.
[[nodiscard]] Status read_view(const Definition& view, const Wanted& wanted, Reading& reading,
                               const RowVisit& visit);

/// One group of a view: its keys and aggregates, and its row as read_view() gives it.
using GroupVisit = std::function<Result<bool>(std::span<const Value> groups, std::span<Value> row)>;
/// The same rows, of these ranges of groups (which a view of a view does not heed).
[[nodiscard]] Status read_groups(const Definition& view, std::span<const ReadRange> ranges,
                                 std::span<const Slot> slots, Reading& reading,
                                 const GroupVisit& visit);

/// The state of a view that keeps one; where it is goes to `reading`. kNotAvailable: there is none,
/// or the view failed before it had any.
[[nodiscard]] Result<std::unique_ptr<ViewReader>> open_state(const Definition& view,
                                                             Reading& reading);
/// What of a row can't be told because something of it could not be computed; nullopt: nothing that
/// is wanted.
[[nodiscard]] std::optional<Reading::Unsound> unsound_of(const Definition& definition,
                                                         const ReadRow& row,
                                                         std::span<const Slot> wanted);
/// What a reader has to know of a view that is not as it should be.
void note_condition(const Definition& view, std::vector<std::string>& notices);
/// So many rows have less distinct values than there were.
[[nodiscard]] std::string bounded_notice(const Definition& view, std::uint64_t rows);

/// What of a view's groups has to be read; in order, none overlaps another. One without bounds:
/// all of them.
[[nodiscard]] std::vector<ReadRange> ranges_of(const ViewPlan& view,
                                               std::span<const ColumnBounds> bounds);

/// "line 1, column 8: division by zero; record 17 of donations-0".
[[nodiscard]] Error row_error_at(std::optional<sql::Place> place, RowError error,
                                 const SourcePlan* source, const RecordPlace& at);

}  // namespace runnel::storage::views
