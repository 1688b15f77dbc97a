#include <algorithm>

#include "storage/views/plan/scope.h"

namespace runnel::storage::views {
namespace {

/// Binds the grouped SELECT of a view. The input row is what FROM gives; the output row the group
/// keys and the aggregates.
class ViewBinder {
 public:
  ViewBinder(const sql::Query& query, ViewPlan& plan, BoundFrom& from,
             std::shared_ptr<const Zone> zone)
      : query_(query),
        plan_(plan),
        scope_(from.scope),
        where_(scope_.lookup(), zone, no_aggregates("WHERE")),
        keys_(scope_.lookup(), zone, no_aggregates("GROUP BY")),
        arguments_(scope_.lookup(), zone, no_aggregates("an aggregate's argument")),
        output_([this](const sql::ColumnRef& column,
                       sql::Place place) { return ungrouped(column, place); },
                std::move(zone), [this](const sql::Expression& part) { return grouped(part); }) {}

  Status bind() {
    if (query_.where) {
      RUNNEL_TRY_ASSIGN(plan_.filter, where_.condition(*query_.where, "WHERE"));
    }
    for (const sql::ExpressionRef& key : query_.group_by) RUNNEL_TRY(bind_key(*key));
    RUNNEL_TRY(check_windowed());
    for (const sql::SelectItem& item : query_.items) RUNNEL_TRY(bind_item(item));
    if (query_.having) {
      RUNNEL_TRY_ASSIGN(plan_.having, output_.condition(*query_.having, "HAVING"));
    }
    if (plan_.keys.empty() && plan_.aggregates.empty()) {
      return fail(error_at(query_.place,
                           "a view needs GROUP BY or an aggregate; INSERT INTO topic SELECT "
                           "passes records on one by one"));
    }
    return {};
  }

 private:
  /// GROUP BY 1, GROUP BY an alias, GROUP BY an expression.
  Result<const sql::Expression*> key_expression(const sql::Expression& written) {
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

  Status bind_key(const sql::Expression& written) {
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
    const bool windowed = plan_.window.kind != sql::WindowKind::kNone;
    if (windowed && key.program.column() == plan_.source.window_start_slot()) {
      key.role = KeyRole::kWindowStart;
    } else if (windowed && key.program.column() == plan_.source.window_end_slot()) {
      key.role = KeyRole::kWindowEnd;
    }
    const bool known = std::any_of(plan_.keys.begin(), plan_.keys.end(), [&](const KeyPlan& k) {
      return k.program.same_as(key.program);
    });
    if (known) return {};
    if (plan_.keys.size() == kMaxGroupColumns) {
      return fail(error_at(
          written.place, "GROUP BY has at most " + std::to_string(kMaxGroupColumns) + " columns"));
    }
    plan_.keys.push_back(std::move(key));
    return {};
  }

  Status check_windowed() const {
    if (plan_.window.kind == sql::WindowKind::kNone) return {};
    const bool has = std::any_of(plan_.keys.begin(), plan_.keys.end(), [](const KeyPlan& key) {
      return key.role != KeyRole::kExpression;
    });
    if (has) return {};
    return fail(error_at(query_.place,
                         "a view over windows needs window_start or window_end in "
                         "GROUP BY"));
  }

  Status bind_item(const sql::SelectItem& item) {
    if (!item.expression) {
      return fail(error_at(item.place,
                           "a view names its columns; * has no meaning where rows are "
                           "grouped"));
    }
    OutputPlan output;
    output.name = output_name(item);
    for (const OutputPlan& other : plan_.outputs) {
      if (other.name != output.name) continue;
      return fail(error_at(item.place,
                           "two columns are named " + output.name + "; AS gives one another name"));
    }
    RUNNEL_TRY_ASSIGN(output.program, output_.program(*item.expression));
    output.type = output.program.type();
    if (output.program.column() && *output.program.column() < plan_.keys.size()) {
      output.key = *output.program.column();
      plan_.keys[*output.key].name = output.name;
    }
    plan_.outputs.push_back(std::move(output));
    return {};
  }

  /// A group key or an aggregate, wherever it stands in an output expression.
  Result<std::optional<Bound>> grouped(const sql::Expression& part) {
    const auto* const call = std::get_if<sql::Call>(&part.node);
    if (call != nullptr && is_aggregate(call->function)) {
      RUNNEL_TRY_ASSIGN(AggregatePlan aggregate, bind_aggregate(part, *call, arguments_));
      RUNNEL_TRY_ASSIGN(const Slot slot, slot_of(std::move(aggregate), part.place));
      return bound_column(slot, plan_.aggregates[slot - plan_.keys.size()].result);
    }
    if (call != nullptr) RUNNEL_TRY(check_function(*call, part.place));
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

  Result<Slot> slot_of(AggregatePlan aggregate, sql::Place place) {
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
            place, "a view has at most " + std::to_string(kMaxAggregates) + " aggregates"));
      }
      plan_.aggregates.push_back(std::move(aggregate));
    }
    return static_cast<Slot>(plan_.keys.size() + index);
  }

  /// A column that is neither in GROUP BY nor in an aggregate.
  Result<Bound> ungrouped(const sql::ColumnRef& column, sql::Place place) const {
    RUNNEL_TRY(scope_.find(column, place));
    return fail(error_at(place, "the column '" + column.name +
                                    "' has many values in a group; add it to GROUP BY or "
                                    "aggregate it, as LAST(" +
                                    column.name + ") does"));
  }

  const sql::Query& query_;
  ViewPlan& plan_;
  const Scope& scope_;
  Compiler where_;
  Compiler keys_;
  Compiler arguments_;
  Compiler output_;
};

/// What only a SELECT over a view can have.
Status refuse_ordering(const sql::Query& query, std::string_view what) {
  if (query.distinct) {
    return fail(error_at(query.place, std::string(what) + " has no DISTINCT; GROUP BY gives each "
                                                          "combination once"));
  }
  if (!query.order_by.empty() || query.limit || query.offset != 0) {
    return fail(error_at(query.place, std::string(what) + " has no ORDER BY, LIMIT or OFFSET; "
                                                          "say it in the SELECT that reads it"));
  }
  return {};
}

}  // namespace

std::string output_name(const sql::SelectItem& item) {
  if (item.alias) return item.alias->text;
  if (const auto* const column = std::get_if<sql::ColumnRef>(&item.expression->node)) {
    return column->name;
  }
  if (const auto* const call = std::get_if<sql::Call>(&item.expression->node)) {
    return call->function;
  }
  return to_sql(*item.expression);
}

void add_slots(const Program& program, std::vector<Slot>& slots) {
  slots.insert(slots.end(), program.slots().begin(), program.slots().end());
}

void sort_slots(std::vector<Slot>& slots) {
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
}

Result<ViewPlan> bind_view(const sql::CreateView& statement, std::string_view sql,
                           const Catalog& catalog) {
  const sql::Query& query = statement.query;
  RUNNEL_TRY(refuse_ordering(query, "a view"));
  ViewPlan plan;
  plan.name = statement.name.text;
  plan.sql = sql;
  RUNNEL_TRY(bind_options(statement.options, plan.options));
  RUNNEL_TRY_ASSIGN(const std::shared_ptr<const Zone> zone, Zone::find(plan.options.time_zone));
  RUNNEL_TRY_ASSIGN(BoundFrom from, bind_from(query, catalog, zone));
  plan.source = from.source;
  plan.joins = from.joins;
  plan.window = from.window;
  RUNNEL_TRY(ViewBinder(query, plan, from, zone).bind());

  add_slots(plan.filter, plan.slots_read);
  for (const KeyPlan& key : plan.keys) add_slots(key.program, plan.slots_read);
  for (const AggregatePlan& aggregate : plan.aggregates) {
    add_slots(aggregate.argument, plan.slots_read);
    add_slots(aggregate.second, plan.slots_read);
    add_slots(aggregate.filter, plan.slots_read);
  }
  for (const JoinPlan& join : plan.joins) {
    for (const Program& key : join.key) add_slots(key, plan.slots_read);
  }
  if (plan.window.kind != sql::WindowKind::kNone) plan.slots_read.push_back(plan.window.time);
  // Lateness, and the order of FIRST and LAST, go by it.
  if (plan.source.watermark) plan.slots_read.push_back(plan.source.watermark->column);
  sort_slots(plan.slots_read);
  return plan;
}

Result<StreamPlan> bind_stream(const sql::CreateStream& statement, std::string_view sql,
                               const Catalog& catalog) {
  const sql::Query& query = statement.query;
  RUNNEL_TRY(refuse_ordering(query, "INSERT INTO"));
  if (!query.group_by.empty() || query.having) {
    return fail(error_at(query.place,
                         "INSERT INTO passes records on one by one; CREATE "
                         "MATERIALIZED VIEW ... WITH (changelog_topic = '...') "
                         "groups them"));
  }
  ViewOptions options;
  RUNNEL_TRY(bind_options(statement.options, options));
  RUNNEL_TRY_ASSIGN(const std::shared_ptr<const Zone> zone, Zone::find(options.time_zone));
  RUNNEL_TRY_ASSIGN(const BoundFrom from, bind_from(query, catalog, zone));
  if (from.window.kind != sql::WindowKind::kNone) {
    return fail(error_at(query.from->source.place, "INSERT INTO has no windows; a view has"));
  }
  StreamPlan plan;
  plan.topic = statement.topic.text;
  plan.source = from.source;
  plan.joins = from.joins;
  plan.sql = sql;
  Compiler compiler(from.scope.lookup(), zone, no_aggregates("INSERT INTO"));
  if (query.where) {
    RUNNEL_TRY_ASSIGN(plan.filter, compiler.condition(*query.where, "WHERE"));
  }
  const auto add = [&](std::string name, Program program, sql::Place place) -> Status {
    for (const OutputPlan& other : plan.outputs) {
      if (other.name != name) continue;
      return fail(error_at(place, "two columns are named " + name + "; AS gives one another name"));
    }
    const Type type = program.type();
    plan.outputs.push_back({std::move(name), type, std::move(program), std::nullopt});
    return {};
  };
  for (const sql::SelectItem& item : query.items) {
    if (item.expression) {
      RUNNEL_TRY_ASSIGN(Program program, compiler.program(*item.expression));
      RUNNEL_TRY(add(output_name(item), std::move(program), item.place));
      continue;
    }
    for (const Scope::Entry& entry : from.scope.entries()) {
      if (entry.hidden) continue;
      RUNNEL_TRY(add(entry.name, finished(bound_column(entry.slot, entry.type)), item.place));
    }
  }
  add_slots(plan.filter, plan.slots_read);
  for (const OutputPlan& output : plan.outputs) add_slots(output.program, plan.slots_read);
  for (const JoinPlan& join : plan.joins) {
    for (const Program& key : join.key) add_slots(key, plan.slots_read);
  }
  sort_slots(plan.slots_read);
  return plan;
}

}  // namespace runnel::storage::views
