// From rows to groups or columns; private to query/*.cc.
#pragma once

#include <functional>
#include <span>

#include "storage/views/query/groups.h"
#include "storage/views/query/joined.h"
#include "storage/views/query/reading.h"

namespace runnel::storage::views {

/// What WHERE, windows and GROUP BY make of a source's rows: of a query, or of a view that is
/// computed from another's rows. Everything outlives the pipeline.
struct PipelinePlan {
  const SourcePlan* source = nullptr;  ///< null: one row without columns
  const WindowPlan* window = nullptr;
  const Program* filter = nullptr;
  std::span<const KeyPlan> keys;
  std::span<const AggregatePlan> aggregates;
  bool grouped = false;
  Wanted wanted;             ///< of the source
  Joined* joined = nullptr;  ///< null: nothing is joined to it
  sql::Place where_place;
};

/// The row that outputs are computed from: the input row, or of a group its keys and aggregates.
struct PipelineRow {
  std::span<const Value> values;
  RecordPlace place;                ///< of an input row
  const GroupRow* group = nullptr;  ///< null: it is an input row
};
using PipelineVisit = std::function<Result<bool>(const PipelineRow& row)>;

/// Calls `visit` for each, until it returns false. An expression that fails is an error, never a
/// row left out.
[[nodiscard]] Status run_pipeline(const PipelinePlan& plan, Reading& reading,
                                  const PipelineVisit& visit);

}  // namespace runnel::storage::views
