#include "storage/views/query/query.h"

#include <algorithm>

#include "storage/views/engine/key_encoding.h"
#include "storage/views/query/adhoc.h"
#include "storage/views/query/collector.h"
#include "storage/views/query/lookup.h"
#include "storage/views/query/pipeline.h"
#include "storage/views/types/within_memory.h"

namespace runnel::storage::views {
namespace {

/// Computes the columns of each row and hands them on.
class Projection {
 public:
  Projection(const QueryPlan& plan, Reading& reading) : plan_(plan), collector_(plan, reading) {}

  Result<bool> add(const PipelineRow& row) {
    arena_.clear();
    const SourcePlan* const source = plan_.source ? &*plan_.source : nullptr;
    if (row.group != nullptr) {
      if (row.group->error != RowError::kNone) {
        return fail(ErrorCode::kInvalidArgument, plan_.aggregates[row.group->failed].sql + ": " +
                                                     std::string(meaning_of(row.group->error)));
      }
      if (plan_.having) {
        bool through = false;
        const RowError error = plan_.having.passes(row.values, arena_, through);
        if (error != RowError::kNone) {
          return fail(row_error_at(plan_.having_place, error, nullptr, {}));
        }
        if (!through) return true;
      }
      bounded_ += row.group->overflow > 0 ? 1 : 0;
    }
    values_.clear();
    const auto compute = [&](const Program& program, sql::Place place) -> Status {
      const RowError error = program.evaluate(row.values, arena_, values_.emplace_back());
      if (error == RowError::kNone) return {};
      return fail(row_error_at(place, error, row.group == nullptr ? source : nullptr, row.place));
    };
    for (std::size_t i = 0; i < plan_.outputs.size(); ++i) {
      RUNNEL_TRY(compute(plan_.outputs[i].program, plan_.places[i]));
    }
    for (const OrderPlan& order : plan_.order) RUNNEL_TRY(compute(order.program, order.place));
    return collector_.add(values_);
  }

  Result<AnswerRows> take(std::vector<std::string>& notices) {
    if (bounded_ > 0) {
      notices.push_back(std::to_string(bounded_) + (bounded_ == 1 ? " group" : " groups") +
                        " had more distinct values than are kept: what counts or sums them is a "
                        "lower bound there; APPROX_COUNT_DISTINCT has no limit");
    }
    return collector_.take();
  }

 private:
  const QueryPlan& plan_;
  Collector collector_;
  Arena arena_;
  std::vector<Value> values_;
  std::uint64_t bounded_ = 0;
};

PipelinePlan pipeline_of(const QueryPlan& plan, Joined* joined) {
  PipelinePlan pipeline;
  pipeline.source = plan.source ? &*plan.source : nullptr;
  pipeline.window = &plan.window;
  pipeline.filter = &plan.filter;
  pipeline.keys = plan.keys;
  pipeline.aggregates = plan.aggregates;
  pipeline.grouped = plan.grouped;
  pipeline.wanted = {plan.slots_read, plan.bounds};
  pipeline.joined = joined;
  pipeline.where_place = plan.where_place;
  return pipeline;
}

ColumnRole role_of(const ViewPlan* view, const QueryPlan& plan, const OutputPlan& output) {
  std::optional<Slot> column = output.program.column();
  if (plan.grouped && column) {
    if (*column >= plan.keys.size()) return ColumnRole::kMeasure;
    if (view == nullptr) return ColumnRole::kDimension;
    column = plan.keys[*column].program.column();
  }
  if (view == nullptr || !column || *column >= view->outputs.size()) return ColumnRole::kPlain;
  return view->outputs[*column].key ? ColumnRole::kDimension : ColumnRole::kMeasure;
}

Result<Answer> answer_query(const sql::Query& query, std::string_view sql,
                            const ReadSnapshot& snapshot, const QueryLimits& limits) {
  if (query.beyond) return run_beyond(sql, snapshot, limits);
  RUNNEL_TRY_ASSIGN(const auto zone, zone_of(query, *snapshot.definitions));
  RUNNEL_TRY_ASSIGN(const QueryPlan plan, bind_query(query, *snapshot.definitions, zone));
  Reading reading(snapshot, limits);
  Projection projection(plan, reading);
  std::unique_ptr<Joined> joined;
  if (!plan.joins.empty()) {
    RUNNEL_TRY_ASSIGN(joined, Joined::read(plan, reading));
  }
  RUNNEL_TRY(run_pipeline(pipeline_of(plan, joined.get()), reading,
                          [&](const PipelineRow& row) { return projection.add(row); }));
  Answer answer;
  RUNNEL_TRY_ASSIGN(answer.rows, projection.take(reading.notices));
  answer.tag = "SELECT";
  const DefinitionRef read =
      plan.source ? snapshot.definitions->find(plan.source->name) : DefinitionRef();
  const ViewPlan* const view = read != nullptr ? read->view.get() : nullptr;
  for (const OutputPlan& output : plan.outputs) {
    answer.columns.push_back({output.name, output.type, role_of(view, plan, output)});
  }
  answer.positions = reading.take_positions();
  // Two views have no sequence in common.
  if (plan.joins.empty()) {
    answer.generation = reading.generation;
    answer.sequence = reading.sequence;
  }
  answer.notices = std::move(reading.notices);
  return answer;
}

}  // namespace

Result<Answer> run_query(const sql::Query& query, std::string_view sql,
                         const ReadSnapshot& snapshot, const QueryLimits& limits) {
  return within_memory("the query", [&] { return answer_query(query, sql, snapshot, limits); });
}

}  // namespace runnel::storage::views
