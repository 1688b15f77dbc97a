// A view's groups as rows.
#include <algorithm>
#include <limits>

#include "storage/views/engine/cursor.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/view_reader.h"
#include "storage/views/query/pipeline.h"
#include "storage/views/types/decimal.h"

namespace runnel::storage::views {
namespace {

/// Views of views of views.
constexpr int kMaxViewDepth = 16;
/// Ranges that IN lists may make of one scan; more are one range.
constexpr std::size_t kMaxRanges = 1000;

// ---------------------------------------------------------------- ranges
Value value_of(const Program& constant) {
  Arena arena;
  Value value;
  const RowError error = constant.evaluate({}, arena, value);
  RUNNEL_ASSERT(error == RowError::kNone);
  return value;  // a constant's text is the program's
}

/// The next value of the type; nothing: none is known.
std::optional<Value> successor(const Value& value, const Type& type) {
  switch (value.tag()) {
    case Tag::kBigint:
      if (value.as_bigint() == std::numeric_limits<std::int64_t>::max()) return std::nullopt;
      return Value::bigint(value.as_bigint() + 1);
    case Tag::kTimestamp:
      if (value.as_timestamp() == std::numeric_limits<std::int64_t>::max()) return std::nullopt;
      return Value::timestamp(value.as_timestamp() + 1);
    case Tag::kDate:
      if (value.as_date() == std::numeric_limits<std::int32_t>::max()) return std::nullopt;
      return Value::date(value.as_date() + 1);
    case Tag::kDecimal: {
      const Int128 most = power_of_ten(kMaxDigits) - 1;
      const Int128 unscaled = unscaled_at(value, type.scale);
      if (unscaled >= most) return std::nullopt;
      return Value::decimal(unscaled + 1, type.scale);
    }
    default:
      return std::nullopt;
  }
}

const ColumnBounds* bounds_of_key(const ViewPlan& view, std::span<const ColumnBounds> bounds,
                                  std::size_t key) {
  for (const ColumnBounds& one : bounds) {
    if (one.slot >= view.outputs.size()) continue;
    if (view.outputs[one.slot].key == static_cast<Slot>(key)) return &one;
  }
  return nullptr;
}

/// Each of the ranges with each of the values behind its prefix, in the order of the groups.
bool extend(std::vector<ReadRange>& ranges, const std::vector<Program>& any) {
  std::vector<Value> values;
  for (const Program& one : any) values.push_back(value_of(one));
  std::sort(values.begin(), values.end(),
            [](const Value& a, const Value& b) { return compare(a, b) < 0; });
  values.erase(std::unique(values.begin(), values.end()), values.end());
  if (ranges.size() * values.size() > kMaxRanges) return false;
  std::vector<ReadRange> extended;
  for (const ReadRange& range : ranges) {
    for (const Value& value : values) {
      extended.push_back(range);
      extended.back().prefix.push_back(value);
    }
  }
  ranges = std::move(extended);
  return true;
}

// ---------------------------------------------------------------- views with state
std::string key_text(const ViewPlan& view, const ReadRow& row) {
  std::string text;
  for (std::size_t i = 0; i < view.keys.size(); ++i) {
    text += (text.empty() ? "" : ", ") + view.keys[i].name + " = " + to_string(row.groups[i]);
  }
  return text.empty() ? "the view's one row" : "the row with " + text;
}

}  // namespace

std::optional<Reading::Unsound> unsound_of(const Definition& definition, const ReadRow& row,
                                           std::span<const Slot> wanted) {
  const ViewPlan& view = *definition.view;
  const auto failed = [&](const Program& program) {
    return std::any_of(program.slots().begin(), program.slots().end(), [&](Slot slot) {
      return slot >= view.keys.size() && row.groups[slot].is_null();
    });
  };
  std::string names;
  std::vector<Slot> slots;
  for (const Slot slot : wanted) {
    if (slot >= view.outputs.size() || view.outputs[slot].key) continue;
    if (!row.outputs[slot].is_null() && !failed(view.outputs[slot].program)) continue;
    names += (names.empty() ? "" : ", ") + view.outputs[slot].name;
    slots.push_back(slot);
  }
  if (view.having && failed(view.having)) {
    names = "HAVING";
    slots.clear();
  } else if (slots.empty()) {
    return std::nullopt;
  }
  return Reading::Unsound{
      std::move(slots), Error(ErrorCode::kInvalidArgument,
                              names + " of " + key_text(view, row) + " in view " + definition.name +
                                  " can't be told: " + std::string(meaning_of(row.error)) +
                                  "; leave the row out with WHERE, or the column")};
}

Result<std::unique_ptr<ViewReader>> open_state(const Definition& view, Reading& reading) {
  const ViewPlan& plan = *view.view;
  if (reading.snapshot.state == nullptr) {
    return fail(ErrorCode::kNotAvailable,
                "the rows of view " + view.name +
                    " can't be had: the state of the views does not open; `runnel view list` says "
                    "why");
  }
  RUNNEL_TRY_ASSIGN(auto reader, ViewReader::open(plan, view.id, *reading.snapshot.state));
  // No rows at all would look like an answer.
  if (view.failure && reader->cursors().empty()) {
    return fail(ErrorCode::kNotAvailable, "view " + view.name + " has failed before it read " +
                                              "anything: " + view.failure->message());
  }
  for (const auto& [partition, cursor] : reader->cursors()) {
    reading.positions.push_back({plan.source.topic,
                                 PartitionIndex(static_cast<std::int32_t>(partition)),
                                 Offset(cursor.next)});
  }
  reading.generation = view.id.generation;
  reading.sequence = reader->sequence();
  return reader;
}

void note_condition(const Definition& view, std::vector<std::string>& notices) {
  if (view.failure) {
    notices.push_back("view " + view.name +
                      " has stopped, and its rows are as of then: " + view.failure->message());
  } else if (view.paused) {
    notices.push_back("view " + view.name + " is paused: ALTER MATERIALIZED VIEW " + view.name +
                      " RESUME goes on with it");
  }
  if (view.skipped > 0) {
    notices.push_back("view " + view.name + " is not complete: " + std::to_string(view.skipped) +
                      " offsets were removed from the log before they were read");
  }
  if (view.building) {
    notices.push_back("view " + view.name + " is still being built from what was there before it");
  }
}

std::string bounded_notice(const Definition& view, std::uint64_t rows) {
  return std::to_string(rows) + (rows == 1 ? " row" : " rows") + " of view " + view.name +
         " had more distinct values than are kept: what counts or sums them is a lower bound there";
}

namespace {

Status read_state(const Definition& view, std::span<const ReadRange> ranges,
                  std::span<const Slot> slots, Reading& reading, const GroupVisit& visit) {
  const ViewPlan& plan = *view.view;
  RUNNEL_TRY_ASSIGN(const auto reader, open_state(view, reading));
  std::vector<Value> values(view.source->row_slots());
  std::uint64_t bounded = 0;
  bool going_on = true;
  Status trouble;
  const auto take = [&](const ReadRow& row) -> Result<bool> {
    RUNNEL_TRY(reading.check_time());
    reading.unsound.reset();
    if (row.error != RowError::kNone) reading.unsound = unsound_of(view, row, slots);
    bounded += row.overflow > 0 ? 1 : 0;
    std::copy(row.outputs.begin(), row.outputs.end(), values.begin());
    const bool windowed = plan.window.kind != sql::WindowKind::kNone;
    values[view.source->final_slot()] = windowed ? Value::boolean(row.final) : Value::null();
    return visit(row.groups, values);
  };
  for (const ReadRange& range : ranges) {
    RUNNEL_TRY(reader->read(range, [&](const ReadRow& row) {
      auto taken = take(row);
      if (!taken) trouble = fail(taken.error());
      going_on = taken && *taken;
      return going_on;
    }));
    RUNNEL_TRY(trouble);
    if (!going_on) break;
  }
  reading.unsound.reset();
  if (bounded > 0) reading.notices.push_back(bounded_notice(view, bounded));
  return {};
}

// ---------------------------------------------------------------- views of views
Status read_computed(const Definition& view, std::span<const Slot> slots, Reading& reading,
                     const GroupVisit& visit) {
  const ViewPlan& plan = *view.view;
  PipelinePlan pipeline;
  pipeline.source = &plan.source;
  pipeline.window = &plan.window;
  pipeline.filter = &plan.filter;
  pipeline.keys = plan.keys;
  pipeline.aggregates = plan.aggregates;
  pipeline.grouped = true;
  pipeline.wanted.slots = plan.slots_read;
  Arena arena;
  std::vector<Value> values(view.source->row_slots());
  return run_pipeline(pipeline, reading, [&](const PipelineRow& row) -> Result<bool> {
    arena.clear();
    const auto trouble = [&](RowError error, std::string_view column) {
      return fail(ErrorCode::kInvalidArgument,
                  std::string(column) + " of view " + view.name +
                      " can't be told: " + std::string(meaning_of(error)));
    };
    if (row.group->error != RowError::kNone) {
      return trouble(row.group->error, plan.aggregates[row.group->failed].sql);
    }
    if (plan.having) {
      bool through = false;
      const RowError error = plan.having.passes(row.values, arena, through);
      if (error != RowError::kNone) return trouble(error, "HAVING");
      if (!through) return true;
    }
    for (const Slot slot : slots) {
      if (slot >= plan.outputs.size()) continue;
      const RowError error = plan.outputs[slot].program.evaluate(row.values, arena, values[slot]);
      if (error != RowError::kNone) return trouble(error, plan.outputs[slot].name);
    }
    return visit(row.values, values);
  });
}

}  // namespace

std::vector<ReadRange> ranges_of(const ViewPlan& view, std::span<const ColumnBounds> bounds) {
  std::vector<ReadRange> ranges(1);
  const bool session = view.window.kind == sql::WindowKind::kSession;
  for (std::size_t i = 0; i < view.keys.size(); ++i) {
    if (session && view.keys[i].role != KeyRole::kExpression) continue;
    const ColumnBounds* const bound = bounds_of_key(view, bounds, i);
    if (bound == nullptr) break;
    if (!bound->any.empty() && extend(ranges, bound->any)) continue;
    for (ReadRange& range : ranges) {
      if (bound->from) range.from = value_of(bound->from);
      if (!bound->upto) continue;
      const Value upto = value_of(bound->upto);
      range.before = bound->upto_is_excluded ? upto : successor(upto, view.keys[i].type);
    }
    break;
  }
  return ranges;
}

Status read_groups(const Definition& view, std::span<const ReadRange> ranges,
                   std::span<const Slot> slots, Reading& reading, const GroupVisit& visit) {
  note_condition(view, reading.notices);
  if (!view.over_view()) return read_state(view, ranges, slots, reading, visit);
  if (++reading.depth > kMaxViewDepth) {
    return fail(ErrorCode::kInvalidArgument,
                "views read each other more than " + std::to_string(kMaxViewDepth) + " deep");
  }
  const Status read = read_computed(view, slots, reading, visit);
  --reading.depth;
  return read;
}

Status read_view(const Definition& view, const Wanted& wanted, Reading& reading,
                 const RowVisit& visit) {
  std::int64_t number = 0;
  return read_groups(view, ranges_of(*view.view, wanted.bounds), wanted.slots, reading,
                     [&](std::span<const Value>, std::span<Value> row) {
                       return visit(row, {kNoTime, 0, number++});
                     });
}

Status read_rows(const SourcePlan& source, const Wanted& wanted, Reading& reading,
                 const RowVisit& visit) {
  if (!source.topic.empty()) return read_topic(source, wanted, reading, visit);
  const DefinitionRef view = reading.snapshot.definitions->find(source.name);
  if (view == nullptr || view->view == nullptr) {
    return fail(ErrorCode::kNotFound, "there is no view '" + source.name + "' any more");
  }
  return read_view(*view, wanted, reading, visit);
}

}  // namespace runnel::storage::views
