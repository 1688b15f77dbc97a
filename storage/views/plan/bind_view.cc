#include <algorithm>

#include "storage/views/plan/group_binder.h"

namespace runnel::storage::views {
namespace {

Status bind_groups(const sql::Query& query, const BoundFrom& from,
                   const std::shared_ptr<const Zone>& zone, ViewPlan& plan) {
  GroupBinder binder(query, from, zone, "a view");
  RUNNEL_TRY(binder.bind_input());
  for (const sql::SelectItem& item : query.items) {
    if (!item.expression) {
      return fail(error_at(item.place,
                           "a view names its columns; * has no meaning where rows are "
                           "grouped"));
    }
    const std::string name = output_name(item);
    for (const OutputPlan& other : plan.outputs) {
      if (other.name != name) continue;
      return fail(
          error_at(item.place, "two columns are named " + name + "; AS gives one another name"));
    }
    RUNNEL_TRY_ASSIGN(OutputPlan output, binder.bind_output(*item.expression, name));
    plan.outputs.push_back(std::move(output));
  }
  RUNNEL_TRY(binder.bind_having());
  GroupPlan groups = binder.take();
  if (groups.keys.empty() && groups.aggregates.empty()) {
    return fail(error_at(query.place,
                         "a view needs GROUP BY or an aggregate; INSERT INTO topic SELECT "
                         "passes records on one by one"));
  }
  plan.filter = std::move(groups.filter);
  plan.keys = std::move(groups.keys);
  plan.aggregates = std::move(groups.aggregates);
  plan.having = std::move(groups.having);
  return {};
}

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
  RUNNEL_TRY(bind_groups(query, from, zone, plan));

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
