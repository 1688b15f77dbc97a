#include "storage/views/query/pipeline.h"

#include <algorithm>

#include "storage/views/engine/cursor.h"
#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

class Pipeline {
 public:
  Pipeline(const PipelinePlan& plan, Reading& reading, const PipelineVisit& visit, Windows windows)
      : plan_(plan),
        reading_(reading),
        visit_(visit),
        windows_(std::move(windows)),
        groups_({plan.keys, plan.aggregates, plan.window, 0}) {}

  Status run() {
    if (plan_.source == nullptr) {
      std::vector<Value> nothing;
      RUNNEL_TRY_ASSIGN(going_on_, take(nothing, {}));
    } else {
      RUNNEL_TRY(read_rows(*plan_.source, plan_.wanted, reading_,
                           [this](std::span<Value> row, const RecordPlace& place) {
                             return take_joined(row, place);
                           }));
    }
    if (!plan_.grouped) return {};
    return groups_.visit(windows_.gap_micros(), [this](const GroupRow& group) -> Result<bool> {
      RUNNEL_TRY(reading_.check_time());
      return visit_({group.values, {}, &group});
    });
  }

 private:
  /// A row of the source, once for each of its partners.
  Result<bool> take_joined(std::span<Value> row, const RecordPlace& place) {
    if (plan_.joined == nullptr) return take(row, place);
    // Which partners it has goes by columns that may have no meaning.
    if (reading_.unsound) return fail(reading_.unsound->error);
    return plan_.joined->combine(row, place, [this](std::span<Value> wide, const RecordPlace& at) {
      return take(wide, at);
    });
  }

  /// A row, once for each of its windows.
  Result<bool> take(std::span<Value> row, const RecordPlace& place) {
    arena_.clear();
    if (windows_.kind() == sql::WindowKind::kNone) return take_window(row, place, 0);
    // What WHERE leaves out needs no time; where it reads the window it is asked again.
    const Value& time = row[plan_.window->time];
    if (time.is_null()) {
      RUNNEL_TRY_ASSIGN(const bool through, passes(row, place));
      if (!through) return true;
      return fail(row_error_at({}, RowError::kNullTime, plan_.source, place));
    }
    const std::int64_t instant = time.as_timestamp();
    if (instant < kMinTimestamp || instant > kMaxTimestamp) {
      return fail(row_error_at({}, RowError::kOutOfRange, plan_.source, place));
    }
    if (windows_.kind() == sql::WindowKind::kSession) return take_window(row, place, instant);
    for (const WindowSpan& span : windows_.of(instant)) {
      row[plan_.source->window_start_slot()] = Value::timestamp(span.start);
      row[plan_.source->window_end_slot()] = Value::timestamp(span.end);
      RUNNEL_TRY_ASSIGN(const bool going_on, take_window(row, place, instant));
      if (!going_on) return false;
    }
    return true;
  }

  Result<bool> passes(std::span<const Value> row, const RecordPlace& place) {
    bool through = true;
    if (plan_.filter != nullptr && *plan_.filter) {
      if (reads_unsound(*plan_.filter)) return fail(reading_.unsound->error);
      const RowError error = plan_.filter->passes(row, arena_, through);
      if (error != RowError::kNone) {
        return fail(row_error_at(plan_.where_place, error, plan_.source, place));
      }
    }
    if (through && reading_.unsound) return fail(reading_.unsound->error);
    return through;
  }

  [[nodiscard]] bool reads_unsound(const Program& program) const {
    if (!reading_.unsound) return false;
    const std::vector<Slot>& slots = reading_.unsound->slots;
    return std::any_of(program.slots().begin(), program.slots().end(), [&](Slot slot) {
      return std::find(slots.begin(), slots.end(), slot) != slots.end();
    });
  }

  Result<bool> take_window(std::span<const Value> row, const RecordPlace& place,
                           std::int64_t instant) {
    RUNNEL_TRY_ASSIGN(const bool through, passes(row, place));
    if (!through) return true;
    if (!plan_.grouped) return visit_({row, place, nullptr});
    const RowError error = groups_.add(row, place, instant, windows_.gap_micros());
    if (error != RowError::kNone) {
      return fail(row_error_at({}, error, plan_.source, place).within(groups_.problem()));
    }
    RUNNEL_TRY(reading_.check_memory(groups_.bytes()));
    return true;
  }

  const PipelinePlan& plan_;
  Reading& reading_;
  const PipelineVisit& visit_;
  Windows windows_;
  Groups groups_;
  Arena arena_;
  bool going_on_ = true;
};

}  // namespace

Status run_pipeline(const PipelinePlan& plan, Reading& reading, const PipelineVisit& visit) {
  RUNNEL_TRY_ASSIGN(Windows windows, Windows::make(*plan.window));
  return Pipeline(plan, reading, visit, std::move(windows)).run();
}

}  // namespace runnel::storage::views
