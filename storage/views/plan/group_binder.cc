#include "storage/views/plan/group_binder.h"

#include <algorithm>

namespace runnel::storage::views {

GroupBinder::GroupBinder(const sql::Query& query, const BoundFrom& from,
                         std::shared_ptr<const Zone> zone, std::string_view what)
    : query_(query),
      from_(from),
      scope_(from.scope),
      what_(what),
      where_(scope_.lookup(), zone, no_aggregates("WHERE")),
      keys_(scope_.lookup(), zone, no_aggregates("GROUP BY")),
      arguments_(scope_.lookup(), zone, no_aggregates("an aggregate's argument")),
      output_([this](const sql::ColumnRef& column,
                     sql::Place place) { return ungrouped(column, place); },
              std::move(zone), [this](const sql::Expression& part) { return grouped(part); }) {}

Status GroupBinder::bind_input() {
  if (query_.where) {
    RUNNEL_TRY_ASSIGN(plan_.filter, where_.condition(*query_.where, "WHERE"));
    RUNNEL_TRY(check_session(plan_.filter, query_.where->place));
  }
  for (const sql::ExpressionRef& key : query_.group_by) RUNNEL_TRY(bind_key(*key));
  return check_windowed();
}

Status GroupBinder::bind_having() {
  if (query_.having) {
    RUNNEL_TRY_ASSIGN(plan_.having, output_.condition(*query_.having, "HAVING"));
  }
  return {};
}

/// GROUP BY 1, GROUP BY an alias, GROUP BY an expression.
Result<const sql::Expression*> GroupBinder::key_expression(const sql::Expression& written) {
  if (const auto* const literal = std::get_if<sql::Literal>(&written.node);
      literal != nullptr && literal->kind == sql::LiteralKind::kInteger) {
    const std::size_t number = literal->text.size() > 4 ? 0 : std::stoul(literal->text);
    if (number == 0 || number > query_.items.size() || !query_.items[number - 1].expression) {
      return fail(
          error_at(written.place, "GROUP BY " + literal->text + " is no column of the SELECT"));
    }
    return query_.items[number - 1].expression.get();
  }
  const auto* const column = std::get_if<sql::ColumnRef>(&written.node);
  if (column == nullptr || !column->qualifier.empty() || scope_.has(*column)) return &written;
  for (const sql::SelectItem& item : query_.items) {
    if (item.alias && item.alias->text == column->name) return item.expression.get();
  }
  return &written;
}

Status GroupBinder::bind_key(const sql::Expression& written) {
  RUNNEL_TRY_ASSIGN(const sql::Expression* const expression, key_expression(written));
  KeyPlan key;
  key.name = to_sql(*expression);
  RUNNEL_TRY_ASSIGN(key.program, keys_.program(*expression));
  key.type = key.program.type();
  if (key.type.kind == TypeKind::kJson) {
    return fail(error_at(written.place,
                         "JSON can't be grouped by; ->> gives a part of it as "
                         "text"));
  }
  if (from_.window.kind != sql::WindowKind::kNone) {
    if (key.program.column() == from_.source.window_start_slot()) {
      key.role = KeyRole::kWindowStart;
    } else if (key.program.column() == from_.source.window_end_slot()) {
      key.role = KeyRole::kWindowEnd;
    }
  }
  if (key.role == KeyRole::kExpression) RUNNEL_TRY(check_session(key.program, written.place));
  const bool known = std::any_of(plan_.keys.begin(), plan_.keys.end(),
                                 [&](const KeyPlan& k) { return k.program.same_as(key.program); });
  if (known) return {};
  if (plan_.keys.size() == kMaxGroupColumns) {
    return fail(error_at(written.place,
                         "GROUP BY has at most " + std::to_string(kMaxGroupColumns) + " columns"));
  }
  plan_.keys.push_back(std::move(key));
  return {};
}

Status GroupBinder::check_windowed() const {
  if (from_.window.kind == sql::WindowKind::kNone) return {};
  const bool has = std::any_of(plan_.keys.begin(), plan_.keys.end(),
                               [](const KeyPlan& key) { return key.role != KeyRole::kExpression; });
  if (has) return {};
  return fail(
      error_at(query_.place, what_ + " over windows needs window_start or window_end in GROUP BY"));
}

Status GroupBinder::check_session(const Program& program, sql::Place place) const {
  if (from_.window.kind != sql::WindowKind::kSession || !program) return {};
  const bool reads = std::any_of(program.slots().begin(), program.slots().end(), [&](Slot slot) {
    return slot == from_.source.window_start_slot() || slot == from_.source.window_end_slot();
  });
  if (!reads) return {};
  return fail(error_at(place,
                       "a session's window_start and window_end are known when it is over: they "
                       "stand in the SELECT, in HAVING, and by themselves in GROUP BY"));
}

Result<OutputPlan> GroupBinder::bind_output(const sql::Expression& expression, std::string name) {
  OutputPlan output;
  output.name = std::move(name);
  RUNNEL_TRY_ASSIGN(output.program, output_.program(expression));
  output.type = output.program.type();
  if (output.program.column() && *output.program.column() < plan_.keys.size()) {
    output.key = *output.program.column();
    plan_.keys[*output.key].name = output.name;
  }
  return output;
}

/// A group key or an aggregate, wherever it stands in an output expression.
Result<std::optional<Bound>> GroupBinder::grouped(const sql::Expression& part) {
  const auto* const call = std::get_if<sql::Call>(&part.node);
  if (call != nullptr && is_aggregate(call->function)) {
    RUNNEL_TRY_ASSIGN(AggregatePlan aggregate, bind_aggregate(part, *call, arguments_));
    RUNNEL_TRY(check_session(aggregate.argument, part.place));
    RUNNEL_TRY(check_session(aggregate.second, part.place));
    RUNNEL_TRY(check_session(aggregate.filter, part.place));
    RUNNEL_TRY_ASSIGN(const Slot slot, slot_of(std::move(aggregate), part.place));
    return bound_column(slot, plan_.aggregates[slot - plan_.keys.size()].result);
  }
  if (call != nullptr) RUNNEL_TRY(check_function(*call, part.place));
  auto key = key_of(part);
  // A compiler that takes no more finds no keys: that is an error, not an answer.
  if (!key && keys_.is_spent()) RUNNEL_TRY(keys_.program(part));
  return key;
}

std::optional<Bound> GroupBinder::key_of(const sql::Expression& part) {
  if (std::holds_alternative<sql::Literal>(part.node)) return std::nullopt;
  // What is no expression over the input (it has an aggregate, say) is no key either; its parts
  // are looked at one by one then.
  const auto program = keys_.program(part);
  if (!program) return std::nullopt;
  for (std::size_t i = 0; i < plan_.keys.size(); ++i) {
    if (!plan_.keys[i].program.same_as(*program)) continue;
    return bound_column(static_cast<Slot>(i), plan_.keys[i].type);
  }
  return std::nullopt;
}

Result<Slot> GroupBinder::slot_of(AggregatePlan aggregate, sql::Place place) {
  const auto same = [&](const AggregatePlan& other) {
    return other.kind == aggregate.kind && other.distinct == aggregate.distinct &&
           other.parameter == aggregate.parameter && other.argument.same_as(aggregate.argument) &&
           other.second.same_as(aggregate.second) && other.filter.same_as(aggregate.filter);
  };
  const auto known = std::find_if(plan_.aggregates.begin(), plan_.aggregates.end(), same);
  const auto index = static_cast<std::size_t>(known - plan_.aggregates.begin());
  if (known == plan_.aggregates.end()) {
    if (index == kMaxAggregates) {
      return fail(error_at(
          place, what_ + " has at most " + std::to_string(kMaxAggregates) + " aggregates"));
    }
    plan_.aggregates.push_back(std::move(aggregate));
  }
  return static_cast<Slot>(plan_.keys.size() + index);
}

/// A column that is neither in GROUP BY nor in an aggregate.
Result<Bound> GroupBinder::ungrouped(const sql::ColumnRef& column, sql::Place place) const {
  RUNNEL_TRY(scope_.find(column, place));
  return fail(error_at(place, "the column '" + column.name +
                                  "' has many values in a group; add it to GROUP BY or "
                                  "aggregate it, as LAST(" +
                                  column.name + ") does"));
}

}  // namespace runnel::storage::views
