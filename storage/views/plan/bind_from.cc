#include <algorithm>

#include "storage/views/plan/scope.h"
#include "storage/views/sql/nearest.h"

namespace runnel::storage::views {

Result<const SourcePlan*> find_source(const sql::Name& name, const Catalog& catalog) {
  if (const SourcePlan* const found = catalog.find_source(name.text)) return found;
  if (catalog.is_view(name.text)) {
    return fail(error_at(name.place, name.text + " is a view; FROM takes a source here"));
  }
  const std::vector<std::string_view> names = catalog.source_names();
  const auto meant = sql::nearest(name.text, names);
  return fail(
      error_at(name.place, "there is no source '" + name.text + "'; " +
                               (meant ? "did you mean '" + std::string(*meant) + "'?"
                                      : std::string("CREATE SOURCE makes one of a topic"))));
}

std::string alias_of(const sql::FromItem& item) {
  return item.alias ? item.alias->text : item.source.text;
}

namespace {

bool is_positive(const Interval& span) {
  if (span.months != 0) return span.months > 0 && span.days == 0 && span.millis == 0;
  return span.days >= 0 && span.millis >= 0 && (span.days > 0 || span.millis > 0);
}

/// How often `part` goes into `whole`; 0: not without a rest.
std::int64_t times(const Interval& whole, const Interval& part) {
  if ((whole.months != 0) != (part.months != 0)) return 0;
  constexpr std::int64_t kMillisPerDay = 86'400'000;
  const auto length = [](const Interval& span) {
    return span.months != 0 ? span.months : span.days * kMillisPerDay + span.millis;
  };
  return length(whole) % length(part) == 0 ? length(whole) / length(part) : 0;
}

Status check_window(const WindowPlan& window, const std::vector<Interval>& intervals,
                    sql::Place place) {
  constexpr std::int64_t kMostDays = 100 * 366;
  for (const Interval& span : intervals) {
    if (!is_positive(span)) {
      return fail(error_at(place,
                           "a window's span is above 0, and either whole months or days "
                           "and less, not both"));
    }
    if (span.days > kMostDays || span.months > 12 * 100 || span.millis / 86'400'000 > kMostDays) {
      return fail(error_at(place, "a window is no longer than a hundred years"));
    }
  }
  if (window.kind == sql::WindowKind::kSession && window.size.months != 0) {
    return fail(error_at(place, "a session's gap needs a fixed length; months have none"));
  }
  if (window.kind != sql::WindowKind::kHop && window.kind != sql::WindowKind::kCumulate) return {};
  const std::int64_t count = times(window.size, window.slide);
  if (count == 0) {
    return fail(error_at(place, window.kind == sql::WindowKind::kHop
                                    ? "HOP's size has to be a multiple of its slide"
                                    : "CUMULATE's size has to be a multiple of its step"));
  }
  if (count > kMaxWindowsPerEvent) {
    return fail(error_at(place, "every event would be in " + std::to_string(count) +
                                    " windows, at most " + std::to_string(kMaxWindowsPerEvent) +
                                    " are counted"));
  }
  return {};
}

Result<WindowPlan> bind_window(const sql::FromItem& item, const Scope& scope) {
  WindowPlan window;
  window.kind = item.window;
  if (item.window == sql::WindowKind::kNone) return window;
  RUNNEL_TRY_ASSIGN(const Bound time, scope.find({{}, item.time.text}, item.time.place));
  if (time.type().kind != TypeKind::kTimestamp) {
    return fail(error_at(item.time.place, "a window goes by a TIMESTAMPTZ, and " + item.time.text +
                                              " is " + name_of(time.type())));
  }
  window.time = time.node->slot;
  window.size = item.intervals.back();
  if (item.intervals.size() > 1) window.slide = item.intervals.front();
  RUNNEL_TRY(check_window(window, item.intervals, item.source.place));
  return window;
}

// ---------------------------------------------------------------- joins
/// The key column of the table that one side of an equation is.
std::optional<std::size_t> key_column(const sql::Expression& side, const SourcePlan& table,
                                      std::string_view alias, const Scope& facts) {
  const auto* const column = std::get_if<sql::ColumnRef>(&side.node);
  if (column == nullptr) return std::nullopt;
  const bool named = column->qualifier == alias;
  if (!named && (!column->qualifier.empty() || facts.has(*column))) return std::nullopt;
  for (std::size_t i = 0; i < table.primary_key.size(); ++i) {
    if (table.columns[table.primary_key[i]].name == column->name) return i;
  }
  return std::nullopt;
}

Result<JoinPlan> bind_join(const sql::Join& join, const Catalog& catalog, const Scope& facts,
                           const std::shared_ptr<const Zone>& zone, Slot first_slot) {
  RUNNEL_TRY_ASSIGN(const SourcePlan* const table, find_source(join.table.source, catalog));
  const std::string alias = alias_of(join.table);
  JoinPlan plan;
  plan.table = *table;
  plan.left = join.left;
  plan.first_slot = first_slot;
  std::string wanted;
  for (const Slot slot : table->primary_key) {
    wanted += (wanted.empty() ? "" : " AND ") + alias + "." + table->columns[slot].name + " = ...";
  }
  if (!table->table || join.table.window != sql::WindowKind::kNone) {
    return fail(error_at(join.table.source.place,
                         "only a table can be joined; CREATE TABLE " + table->name +
                             " ... PRIMARY KEY makes one of a compacted topic"));
  }
  std::vector<const sql::Expression*> parts;
  conjuncts(*join.on, parts);
  plan.key.resize(table->primary_key.size());
  Compiler compiler(facts.lookup(), zone, no_aggregates("ON"));
  for (const sql::Expression* const part : parts) {
    const auto* const binary = std::get_if<sql::Binary>(&part->node);
    const bool equation = binary != nullptr && binary->op == sql::BinaryOperator::kEqual;
    auto key = equation ? key_column(*binary->left, *table, alias, facts) : std::nullopt;
    const sql::Expression* value = equation ? binary->right.get() : nullptr;
    if (equation && !key) {
      key = key_column(*binary->right, *table, alias, facts);
      value = binary->left.get();
    }
    if (!key || plan.key[*key]) {
      return fail(error_at(part->place,
                           "a join goes by the table's whole primary key and nothing "
                           "else: ON " +
                               wanted));
    }
    const Type type = table->columns[table->primary_key[*key]].type;
    RUNNEL_TRY_ASSIGN(plan.key[*key], compiler.program_as(*value, type));
  }
  if (std::any_of(plan.key.begin(), plan.key.end(), [](const Program& key) { return !key; })) {
    return fail(
        error_at(join.on->place, "a join goes by the table's whole primary key: ON " + wanted));
  }
  return plan;
}

}  // namespace

void conjuncts(const sql::Expression& condition, std::vector<const sql::Expression*>& out) {
  const auto* const binary = std::get_if<sql::Binary>(&condition.node);
  if (binary != nullptr && binary->op == sql::BinaryOperator::kAnd) {
    conjuncts(*binary->left, out);
    conjuncts(*binary->right, out);
    return;
  }
  out.push_back(&condition);
}

// ---------------------------------------------------------------- scope
void Scope::add_source(const SourcePlan& source, std::string_view alias) {
  for (std::size_t i = 0; i < source.columns.size(); ++i) {
    entries_.push_back({std::string(alias), source.columns[i].name, static_cast<Slot>(i),
                        source.columns[i].type, false});
  }
  if (source.topic.empty()) {
    if (has({{}, std::string(kFinalColumn)})) return;
    entries_.push_back(
        {std::string(alias), std::string(kFinalColumn), source.final_slot(), boolean_type(), true});
    return;
  }
  for (const PseudoColumnRow& row : pseudo_columns()) {
    entries_.push_back(
        {std::string(alias), std::string(row.name), source.slot_of(row.column), row.type, true});
  }
}

void Scope::add_window(const SourcePlan& source) {
  entries_.push_back({"", "window_start", source.window_start_slot(), timestamp_type(), true});
  entries_.push_back({"", "window_end", source.window_end_slot(), timestamp_type(), true});
}

void Scope::add_table(const SourcePlan& table, std::string_view alias, Slot first_slot) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    entries_.push_back({std::string(alias), table.columns[i].name,
                        static_cast<Slot>(first_slot + i), table.columns[i].type, false});
  }
}

bool Scope::has(const sql::ColumnRef& column) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return matches(entry, column); });
}

Result<Bound> Scope::find(const sql::ColumnRef& column, sql::Place place) const {
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (!matches(entry, column)) continue;
    // A window over a view's rows has its own window_start; the view's has a qualifier.
    if (found != nullptr && column.qualifier.empty() && entry.qualifier.empty()) found = nullptr;
    if (found != nullptr) {
      return fail(error_at(place, "there are two columns '" + column.name + "'; write " +
                                      found->qualifier + "." + column.name + " or " +
                                      entry.qualifier + "." + column.name));
    }
    found = &entry;
  }
  if (found != nullptr) return bound_column(found->slot, found->type);
  std::vector<std::string_view> names;
  bool known_qualifier = column.qualifier.empty();
  std::vector<std::string_view> qualifiers;
  for (const Entry& entry : entries_) {
    known_qualifier = known_qualifier || entry.qualifier == column.qualifier;
    qualifiers.push_back(entry.qualifier);
    if (column.qualifier.empty() || entry.qualifier == column.qualifier) {
      names.push_back(entry.name);
    }
  }
  const bool window = column.name == "window_start" || column.name == "window_end";
  const auto meant = known_qualifier ? sql::nearest(column.name, names)
                                     : sql::nearest(column.qualifier, qualifiers);
  std::string what = known_qualifier ? "there is no column '" + column.name + "'"
                                     : "there is no source '" + column.qualifier + "' in FROM";
  if (window) {
    what += "; FROM TUMBLE(source, time, INTERVAL '1 hour') gives it";
  } else if (meant) {
    what += "; did you mean '" + std::string(*meant) + "'?";
  }
  return fail(error_at(place, what));
}

Result<BoundFrom> bind_from(const sql::Query& query, const Catalog& catalog,
                            const std::shared_ptr<const Zone>& zone, Reads reads) {
  if (!query.from) return fail(error_at(query.place, "the SELECT needs a FROM with a source"));
  BoundFrom from;
  RUNNEL_TRY_ASSIGN(const SourcePlan* const source, find_source(query.from->source, catalog));
  from.source = *source;
  if (source->table && reads == Reads::kFacts) {
    return fail(error_at(query.from->source.place,
                         source->name + " is a table; FROM takes a source, and JOIN a table"));
  }
  from.scope.add_source(from.source, alias_of(*query.from));
  RUNNEL_TRY_ASSIGN(from.window, bind_window(*query.from, from.scope));
  from.window.time_zone = zone->name();
  auto next = static_cast<Slot>(from.source.row_slots());
  Scope facts = from.scope;
  if (reads == Reads::kAnything) {
    if (from.window.kind != sql::WindowKind::kNone) from.scope.add_window(from.source);
    return from;
  }
  for (const sql::Join& join : query.joins) {
    RUNNEL_TRY_ASSIGN(JoinPlan plan, bind_join(join, catalog, facts, zone, next));
    next = static_cast<Slot>(next + plan.table.columns.size());
    from.scope.add_table(plan.table, alias_of(join.table), plan.first_slot);
    from.joins.push_back(std::move(plan));
  }
  if (from.window.kind != sql::WindowKind::kNone) from.scope.add_window(from.source);
  return from;
}

}  // namespace runnel::storage::views
