#include <algorithm>

#include "storage/views/plan/group_binder.h"
#include "storage/views/plan/query_plan.h"
#include "storage/views/types/zone.h"

namespace runnel::storage::views {
namespace {

bool has_aggregate(const sql::Expression& expression) {
  const auto* const call = std::get_if<sql::Call>(&expression.node);
  if (call != nullptr && is_aggregate(call->function)) return true;
  const std::vector<const sql::Expression*> parts = sql::parts_of(expression);
  return std::any_of(parts.begin(), parts.end(),
                     [](const sql::Expression* part) { return has_aggregate(*part); });
}

bool is_grouped(const sql::Query& query) {
  if (!query.group_by.empty() || query.having) return true;
  for (const sql::SelectItem& item : query.items) {
    if (item.expression && has_aggregate(*item.expression)) return true;
  }
  return std::any_of(query.order_by.begin(), query.order_by.end(),
                     [](const sql::OrderItem& item) { return has_aggregate(*item.expression); });
}

// ---------------------------------------------------------------- what ranges can say
class BoundFinder {
 public:
  BoundFinder(const Scope& scope, Compiler& compiler) : scope_(scope), compiler_(compiler) {}

  void look(const sql::Expression& condition) {
    if (const auto* const binary = std::get_if<sql::Binary>(&condition.node)) {
      if (binary->op == sql::BinaryOperator::kAnd) {
        look(*binary->left);
        look(*binary->right);
        return;
      }
      compare(binary->op, *binary->left, *binary->right);
      compare(mirrored(binary->op), *binary->right, *binary->left);
    } else if (const auto* const between = std::get_if<sql::Between>(&condition.node)) {
      if (between->negated) return;
      compare(sql::BinaryOperator::kGreaterEqual, *between->operand, *between->low);
      compare(sql::BinaryOperator::kLessEqual, *between->operand, *between->high);
    } else if (const auto* const in = std::get_if<sql::InList>(&condition.node)) {
      if (!in->negated) look_in(*in);
    }
  }
  [[nodiscard]] std::vector<ColumnBounds> take() { return std::move(found_); }

 private:
  static sql::BinaryOperator mirrored(sql::BinaryOperator op) {
    switch (op) {
      case sql::BinaryOperator::kLess:
        return sql::BinaryOperator::kGreater;
      case sql::BinaryOperator::kLessEqual:
        return sql::BinaryOperator::kGreaterEqual;
      case sql::BinaryOperator::kGreater:
        return sql::BinaryOperator::kLess;
      case sql::BinaryOperator::kGreaterEqual:
        return sql::BinaryOperator::kLessEqual;
      default:
        return op;
    }
  }

  [[nodiscard]] ColumnBounds* bounds_of(const sql::Expression& side, Type& type) {
    const auto* const column = std::get_if<sql::ColumnRef>(&side.node);
    if (column == nullptr) return nullptr;
    const auto bound = scope_.find(*column, side.place);
    if (!bound) return nullptr;
    type = bound->type();
    const Slot slot = bound->node->slot;
    const auto known = std::find_if(found_.begin(), found_.end(),
                                    [&](const ColumnBounds& one) { return one.slot == slot; });
    if (known != found_.end()) return &*known;
    found_.push_back({});
    found_.back().slot = slot;
    return &found_.back();
  }
  /// Empty: it is no constant that becomes one of the column's type without loss.
  [[nodiscard]] Program constant_of(const sql::Expression& side, const Type& type) {
    auto bound = compiler_.compile(side);
    if (!bound || !is_constant(*bound)) return {};
    bound = compiler_.implicit(std::move(*bound), type, side.place, "a bound");
    if (!bound || !is_constant(*bound) || bound->node->constant.is_null()) return {};
    return finished(std::move(*bound));
  }

  void compare(sql::BinaryOperator op, const sql::Expression& column,
               const sql::Expression& other) {
    Type type;
    ColumnBounds* const bounds = bounds_of(column, type);
    if (bounds == nullptr) return;
    Program value = constant_of(other, type);
    if (!value) return;
    switch (op) {
      case sql::BinaryOperator::kEqual:
        if (bounds->any.empty()) bounds->any.push_back(std::move(value));
        return;
      case sql::BinaryOperator::kGreater:
      case sql::BinaryOperator::kGreaterEqual:
        if (!bounds->from) bounds->from = std::move(value);
        return;
      case sql::BinaryOperator::kLess:
      case sql::BinaryOperator::kLessEqual:
        if (bounds->upto) return;
        bounds->upto = std::move(value);
        bounds->upto_is_excluded = op == sql::BinaryOperator::kLess;
        return;
      default:
        return;
    }
  }
  void look_in(const sql::InList& in) {
    Type type;
    ColumnBounds* const bounds = bounds_of(*in.operand, type);
    if (bounds == nullptr || !bounds->any.empty()) return;
    std::vector<Program> any;
    for (const sql::ExpressionRef& one : in.list) {
      any.push_back(constant_of(*one, type));
      if (!any.back()) return;
    }
    bounds->any = std::move(any);
  }

  const Scope& scope_;
  Compiler& compiler_;
  std::vector<ColumnBounds> found_;
};

// ---------------------------------------------------------------- joins
/// A column of the relation that one side of an equation is.
std::optional<Slot> column_of(const sql::Expression& side, const QueryJoin& join,
                              const Scope& scope) {
  const auto* const column = std::get_if<sql::ColumnRef>(&side.node);
  if (column == nullptr) return std::nullopt;
  const auto bound = scope.find(*column, side.place);
  if (!bound || bound->node->slot < join.first_slot) return std::nullopt;
  return static_cast<Slot>(bound->node->slot - join.first_slot);
}

/// `facts` is what stands before the relation. Nothing: it is no equation that helps to find rows.
std::optional<QueryJoin::Equation> equation_of(const sql::Expression& column,
                                               const sql::Expression& value, const QueryJoin& join,
                                               const Scope& whole, Compiler& facts) {
  const auto slot = column_of(column, join, whole);
  if (!slot) return std::nullopt;
  auto bound = facts.compile(value);
  if (!bound) return std::nullopt;
  bound = facts.implicit(std::move(*bound), join.source.columns[*slot].type, value.place, "ON");
  if (!bound) return std::nullopt;
  return QueryJoin::Equation{*slot, finished(std::move(*bound))};
}

/// Adds the relation to the scope.
Result<QueryJoin> bind_query_join(const sql::Join& join, const Catalog& catalog,
                                  const std::shared_ptr<const Zone>& zone,
                                  const std::vector<QueryJoin>& before, BoundFrom& from) {
  RUNNEL_TRY_ASSIGN(const SourcePlan* const source, find_source(join.table.source, catalog));
  if (join.table.window != sql::WindowKind::kNone) {
    return fail(error_at(join.table.source.place, "windows stand in FROM, not in JOIN"));
  }
  QueryJoin plan;
  plan.source = *source;
  plan.left = join.left;
  plan.place = join.on->place;
  plan.first_slot =
      before.empty()
          ? static_cast<Slot>(from.source.row_slots())
          : static_cast<Slot>(before.back().first_slot + before.back().source.columns.size());
  constexpr std::size_t kMostSlots = 10 * kMaxColumns;
  if (plan.first_slot + source->columns.size() > kMostSlots) {
    return fail(error_at(join.table.source.place, "the joined relations have too many columns"));
  }
  const Scope facts_scope = from.scope;
  from.scope.add_table(plan.source, alias_of(join.table), plan.first_slot);
  Compiler facts(facts_scope.lookup(), zone, no_aggregates("ON"));
  Compiler whole(from.scope.lookup(), zone, no_aggregates("ON"));
  RUNNEL_TRY_ASSIGN(plan.on, whole.condition(*join.on, "ON"));
  std::vector<const sql::Expression*> parts;
  conjuncts(*join.on, parts);
  for (const sql::Expression* const part : parts) {
    const auto* const binary = std::get_if<sql::Binary>(&part->node);
    if (binary == nullptr || binary->op != sql::BinaryOperator::kEqual) continue;
    auto found = equation_of(*binary->left, *binary->right, plan, from.scope, facts);
    if (!found) found = equation_of(*binary->right, *binary->left, plan, from.scope, facts);
    if (found) plan.equations.push_back(std::move(*found));
  }
  return plan;
}

// ---------------------------------------------------------------- the query
class QueryBinder {
 public:
  QueryBinder(const sql::Query& query, const BoundFrom& from, std::shared_ptr<const Zone> zone)
      : query_(query),
        from_(from),
        plain_(from.scope.lookup(), zone, no_aggregates("a query without GROUP BY")),
        where_(from.scope.lookup(), zone, no_aggregates("WHERE")),
        groups_(query, from, zone, "a query"),
        zone_(std::move(zone)) {}

  Result<QueryPlan> bind() {
    plan_.grouped = is_grouped(query_);
    plan_.distinct = query_.distinct;
    plan_.limit = query_.limit;
    plan_.offset = query_.offset;
    if (query_.where) {
      plan_.where_place = query_.where->place;
      RUNNEL_TRY_ASSIGN(plan_.filter, where_.condition(*query_.where, "WHERE"));
      BoundFinder finder(from_.scope, where_);
      finder.look(*query_.where);
      plan_.bounds = finder.take();
    }
    if (plan_.grouped) RUNNEL_TRY(groups_.bind_input());
    for (const sql::SelectItem& item : query_.items) RUNNEL_TRY(bind_item(item));
    if (query_.having) {
      plan_.having_place = query_.having->place;
      RUNNEL_TRY(groups_.bind_having());
    }
    for (const sql::OrderItem& item : query_.order_by) RUNNEL_TRY(bind_order(item));
    if (plan_.grouped) {
      GroupPlan groups = groups_.take();
      plan_.keys = std::move(groups.keys);
      plan_.aggregates = std::move(groups.aggregates);
      plan_.having = std::move(groups.having);
    }
    return std::move(plan_);
  }

 private:
  Status bind_item(const sql::SelectItem& item) {
    if (item.expression) {
      OutputPlan output;
      output.name = output_name(item);
      if (plan_.grouped) {
        RUNNEL_TRY_ASSIGN(output, groups_.bind_output(*item.expression, output.name));
      } else {
        RUNNEL_TRY_ASSIGN(output.program, plain_.program(*item.expression));
        output.type = output.program.type();
      }
      items_.push_back(&item);
      return add(std::move(output), item.place);
    }
    if (plan_.grouped) {
      return fail(
          error_at(item.place, "* has no meaning where rows are grouped; name the columns"));
    }
    if (!query_.from) return fail(error_at(item.place, "* needs a FROM"));
    for (const Scope::Entry& entry : from_.scope.entries()) {
      if (entry.hidden) continue;
      items_.push_back(nullptr);
      RUNNEL_TRY(add({entry.name, entry.type, finished(bound_column(entry.slot, entry.type)), {}},
                     item.place));
    }
    return {};
  }

  /// Two columns of one name: the second is name_2, so that each can be told by its name.
  Status add(OutputPlan output, sql::Place place) {
    if (plan_.outputs.size() == kMaxColumns) {
      return fail(
          error_at(place, "a SELECT has at most " + std::to_string(kMaxColumns) + " columns"));
    }
    const std::string name = output.name;
    const auto taken = [&] {
      return std::any_of(plan_.outputs.begin(), plan_.outputs.end(),
                         [&](const OutputPlan& other) { return other.name == output.name; });
    };
    for (unsigned n = 2; taken(); ++n) output.name = name + "_" + std::to_string(n);
    plan_.outputs.push_back(std::move(output));
    plan_.places.push_back(place);
    return {};
  }

  /// ORDER BY 2, ORDER BY a column of the SELECT by its name, or any expression.
  Status bind_order(const sql::OrderItem& item) {
    const sql::Expression& written = *item.expression;
    OrderPlan order;
    order.descending = item.descending;
    order.nulls_first = item.nulls_first.value_or(item.descending);
    order.place = written.place;
    RUNNEL_TRY_ASSIGN(order.program, order_program(written));
    if (order.program.type().kind == TypeKind::kJson) {
      return fail(error_at(written.place,
                           "JSON has no order; ->> gives a part of it as text, CAST a number"));
    }
    if (plan_.distinct) {
      const bool selected = std::any_of(
          plan_.outputs.begin(), plan_.outputs.end(),
          [&](const OutputPlan& output) { return output.program.same_as(order.program); });
      if (!selected) {
        return fail(error_at(written.place,
                             "with DISTINCT, ORDER BY takes what is selected: each row stands "
                             "for many, and this may differ among them"));
      }
    }
    plan_.order.push_back(std::move(order));
    return {};
  }

  Result<Program> order_program(const sql::Expression& written) {
    if (const auto* const literal = std::get_if<sql::Literal>(&written.node);
        literal != nullptr && literal->kind == sql::LiteralKind::kInteger) {
      const std::size_t number = literal->text.size() > 4 ? 0 : std::stoul(literal->text);
      if (number == 0 || number > plan_.outputs.size()) {
        return fail(error_at(written.place, "ORDER BY " + literal->text +
                                                " is no column of the SELECT, which has " +
                                                std::to_string(plan_.outputs.size())));
      }
      return plan_.outputs[number - 1].program;
    }
    const auto* const column = std::get_if<sql::ColumnRef>(&written.node);
    if (column != nullptr && column->qualifier.empty()) {
      for (const OutputPlan& output : plan_.outputs) {
        if (output.name == column->name) return output.program;
      }
    }
    Compiler& base = plan_.grouped ? groups_.output() : plain_;
    // Inside an expression a name is the source's column, and else what the SELECT calls so.
    Compiler with_aliases(
        from_.scope.lookup(), zone_,
        [&](const sql::Expression& part) -> Result<std::optional<Bound>> {
          const auto* const name = std::get_if<sql::ColumnRef>(&part.node);
          if (name != nullptr && name->qualifier.empty() && !from_.scope.has(*name)) {
            if (const sql::Expression* const aliased = aliased_as(name->name)) {
              RUNNEL_TRY_ASSIGN(Bound bound, base.compile(*aliased));
              return std::optional<Bound>(std::move(bound));
            }
          }
          if (!plan_.grouped) return no_aggregates("a query without GROUP BY")(part);
          const auto* const call = std::get_if<sql::Call>(&part.node);
          const bool whole = name != nullptr || (call != nullptr && is_aggregate(call->function));
          if (!whole) return groups_.key_of(part);
          RUNNEL_TRY_ASSIGN(Bound bound, base.compile(part));
          return std::optional<Bound>(std::move(bound));
        });
    return with_aliases.program(written);
  }

  [[nodiscard]] const sql::Expression* aliased_as(std::string_view name) const {
    for (const sql::SelectItem* const item : items_) {
      if (item != nullptr && item->alias && item->alias->text == name) {
        return item->expression.get();
      }
    }
    return nullptr;
  }

  const sql::Query& query_;
  const BoundFrom& from_;
  Compiler plain_;
  Compiler where_;
  GroupBinder groups_;
  std::shared_ptr<const Zone> zone_;
  QueryPlan plan_;
  std::vector<const sql::SelectItem*> items_;  ///< by output; null: of a *
};

void add_slots_read(QueryPlan& plan) {
  add_slots(plan.filter, plan.slots_read);
  for (const KeyPlan& key : plan.keys) add_slots(key.program, plan.slots_read);
  for (const AggregatePlan& aggregate : plan.aggregates) {
    add_slots(aggregate.argument, plan.slots_read);
    add_slots(aggregate.second, plan.slots_read);
    add_slots(aggregate.filter, plan.slots_read);
  }
  if (!plan.grouped) {
    for (const OutputPlan& output : plan.outputs) add_slots(output.program, plan.slots_read);
    for (const OrderPlan& order : plan.order) add_slots(order.program, plan.slots_read);
  }
  for (const QueryJoin& join : plan.joins) {
    add_slots(join.on, plan.slots_read);
    for (const QueryJoin::Equation& equation : join.equations) {
      add_slots(equation.value, plan.slots_read);
    }
  }
  if (plan.window.kind != sql::WindowKind::kNone) plan.slots_read.push_back(plan.window.time);
  sort_slots(plan.slots_read);
  // FIRST and LAST go by it, and _event_time is it.
  if (plan.source && plan.source->watermark &&
      (plan.grouped || plan.reads(plan.source->slot_of(PseudoColumn::kEventTime)))) {
    plan.slots_read.push_back(plan.source->watermark->column);
    sort_slots(plan.slots_read);
  }
}

}  // namespace

std::size_t QueryPlan::row_slots() const noexcept {
  std::size_t slots = source ? source->row_slots() : 0;
  for (const QueryJoin& join : joins) slots += join.source.columns.size();
  return slots;
}

bool QueryPlan::reads(Slot slot) const noexcept {
  return std::binary_search(slots_read.begin(), slots_read.end(), slot);
}

Result<QueryPlan> bind_query(const sql::Query& query, const Catalog& catalog,
                             const std::shared_ptr<const Zone>& zone) {
  BoundFrom from;
  if (query.from) {
    RUNNEL_TRY_ASSIGN(from, bind_from(query, catalog, zone, Reads::kAnything));
  }
  std::vector<QueryJoin> joins;
  for (const sql::Join& join : query.joins) {
    RUNNEL_TRY_ASSIGN(QueryJoin bound, bind_query_join(join, catalog, zone, joins, from));
    joins.push_back(std::move(bound));
  }
  if (from.window.kind == sql::WindowKind::kSession && !is_grouped(query)) {
    return fail(error_at(query.from->source.place,
                         "a session is known by its events: SESSION needs GROUP BY window_start"));
  }
  RUNNEL_TRY_ASSIGN(QueryPlan plan, QueryBinder(query, from, zone).bind());
  if (query.from) plan.source = std::move(from.source);
  plan.joins = std::move(joins);
  plan.window = std::move(from.window);
  add_slots_read(plan);
  return plan;
}

}  // namespace runnel::storage::views
