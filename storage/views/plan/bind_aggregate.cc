#include <algorithm>
#include <array>

#include "storage/views/plan/scope.h"
#include "storage/views/sql/nearest.h"

namespace runnel::storage::views {
namespace {

/// What an aggregate takes: n a number, d a DOUBLE (numbers become one), b a condition, c what can
/// be compared, a anything; a literal after it: p a fraction from 0 to 1, k a count.
struct AggregateRow {
  std::string_view name;
  AggregateKind kind;
  std::string_view arguments;
  bool distinct = false;  ///< may be said, and means something
};
constexpr std::array<AggregateRow, 29> kAggregates{
    {{"count", AggregateKind::kCount, "a", true},
     {"sum", AggregateKind::kSum, "n", true},
     {"avg", AggregateKind::kAvg, "n", true},
     {"mean", AggregateKind::kAvg, "n", true},
     {"min", AggregateKind::kMin, "c", true},
     {"max", AggregateKind::kMax, "c", true},
     {"bool_and", AggregateKind::kBoolAnd, "b"},
     {"every", AggregateKind::kBoolAnd, "b"},
     {"bool_or", AggregateKind::kBoolOr, "b"},
     {"var_pop", AggregateKind::kVarPop, "d"},
     {"var_samp", AggregateKind::kVarSamp, "d"},
     {"variance", AggregateKind::kVarSamp, "d"},
     {"stddev_pop", AggregateKind::kStddevPop, "d"},
     {"stddev_samp", AggregateKind::kStddevSamp, "d"},
     {"stddev", AggregateKind::kStddevSamp, "d"},
     {"first", AggregateKind::kFirst, "a"},
     {"first_value", AggregateKind::kFirst, "a"},
     {"last", AggregateKind::kLast, "a"},
     {"last_value", AggregateKind::kLast, "a"},
     {"arg_min", AggregateKind::kArgMin, "ac"},
     {"min_by", AggregateKind::kArgMin, "ac"},
     {"arg_max", AggregateKind::kArgMax, "ac"},
     {"max_by", AggregateKind::kArgMax, "ac"},
     {"approx_count_distinct", AggregateKind::kApproxCountDistinct, "c"},
     {"approx_percentile", AggregateKind::kApproxPercentile, "dp"},
     {"approx_quantile", AggregateKind::kApproxPercentile, "dp"},
     {"topk", AggregateKind::kTopK, "ck"},
     {"top_k", AggregateKind::kTopK, "ck"},
     {"approx_top_k", AggregateKind::kTopK, "ck"}}};

const AggregateRow* row_of(std::string_view function) {
  for (const AggregateRow& row : kAggregates) {
    if (row.name == function) return &row;
  }
  return nullptr;
}

constexpr std::int64_t kMaxTopK = 1000;

/// A literal that says how an aggregate works.
Status check_parameter(char letter, const sql::Expression& expression, Compiler& input,
                       double& out) {
  RUNNEL_TRY_ASSIGN(Bound bound, input.compile(expression));
  const bool whole = bound.type().kind == TypeKind::kBigint;
  bool fits = is_constant(bound) && is_number(bound.type());
  if (fits) {
    RUNNEL_TRY_ASSIGN(bound, input.cast(std::move(bound), double_type(), false, expression.place));
    fits = !bound.node->constant.is_null();
  }
  if (fits) {
    out = bound.node->constant.as_double();
    fits = letter == 'p' ? out >= 0 && out <= 1
                         : whole && out >= 1 && out <= static_cast<double>(kMaxTopK);
  }
  if (fits) return {};
  return fail(error_at(expression.place,
                       letter == 'p' ? "a number from 0 to 1 written out is expected, as 0.95"
                                     : "a whole number from 1 to 1000 written out is expected"));
}

/// An argument of the kind that its letter says.
Result<Program> bind_argument(char letter, const sql::Expression& expression, std::string_view name,
                              Compiler& input) {
  RUNNEL_TRY_ASSIGN(Bound bound, input.compile(expression));
  if (letter == 'b') {
    RUNNEL_TRY_ASSIGN(bound,
                      input.implicit(std::move(bound), boolean_type(), expression.place, name));
  }
  if ((letter == 'n' || letter == 'd') && !is_number(bound.type())) {
    return fail(error_at(expression.place, std::string(name) + " needs a number, and this is " +
                                               shown_type(bound) +
                                               "; CAST(... AS DECIMAL(18,2)) makes one of a "
                                               "text"));
  }
  if (letter == 'd') {
    RUNNEL_TRY_ASSIGN(bound,
                      input.implicit(std::move(bound), double_type(), expression.place, name));
  }
  if (letter == 'c' && bound.type().kind == TypeKind::kJson) {
    return fail(error_at(expression.place, std::string(name) + " compares, and JSON can't be "
                                                               "compared; ->> gives a part of it "
                                                               "as text"));
  }
  return finished(std::move(bound));
}

Type result_of(const AggregatePlan& plan) {
  constexpr unsigned kAverageDigits = 6;
  const Type argument = plan.argument ? plan.argument.type() : bigint_type();
  switch (plan.kind) {
    case AggregateKind::kCountRows:
    case AggregateKind::kCount:
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxCountDistinct:
      return bigint_type();
    case AggregateKind::kSum:
      if (argument.kind == TypeKind::kDouble) return argument;
      return decimal_type(sql::kMaxDecimalDigits, as_decimal_type(argument).scale);
    case AggregateKind::kAvg:
      if (argument.kind == TypeKind::kDouble) return argument;
      return decimal_type(sql::kMaxDecimalDigits,
                          std::min<unsigned>(as_decimal_type(argument).scale + kAverageDigits,
                                             sql::kMaxDecimalDigits));
    case AggregateKind::kVarPop:
    case AggregateKind::kVarSamp:
    case AggregateKind::kStddevPop:
    case AggregateKind::kStddevSamp:
    case AggregateKind::kApproxPercentile:
      return double_type();
    case AggregateKind::kBoolAnd:
    case AggregateKind::kBoolOr:
      return boolean_type();
    case AggregateKind::kTopK:
      return json_type();
    default:
      return argument;
  }
}

std::string upper(std::string_view name) {
  std::string text(name);
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

}  // namespace

bool is_aggregate(std::string_view function) {
  return row_of(function) != nullptr;
}

Status check_function(const sql::Call& call, sql::Place place) {
  std::vector<std::string_view> names = function_names();
  if (std::find(names.begin(), names.end(), call.function) != names.end()) return {};
  for (const AggregateRow& row : kAggregates) names.push_back(row.name);
  const auto meant = sql::nearest(call.function, names);
  return fail(error_at(place, "there is no function " + call.function +
                                  (meant ? "; did you mean " + std::string(*meant) + "?" : "")));
}

Compiler::Special no_aggregates(std::string where) {
  return [where = std::move(where)](const sql::Expression& part) -> Result<std::optional<Bound>> {
    const auto* const call = std::get_if<sql::Call>(&part.node);
    if (call == nullptr) return std::nullopt;
    if (is_aggregate(call->function)) {
      return fail(error_at(part.place, upper(call->function) + " is an aggregate, and " + where +
                                           " can have none" +
                                           (where == "WHERE" ? "; HAVING can" : "")));
    }
    RUNNEL_TRY(check_function(*call, part.place));
    return std::nullopt;
  };
}

Result<AggregatePlan> bind_aggregate(const sql::Expression& expression, const sql::Call& call,
                                     Compiler& input) {
  const AggregateRow& row = *row_of(call.function);
  const std::string name = upper(call.function);
  AggregatePlan plan;
  plan.kind = row.kind;
  plan.sql = to_sql(expression);
  if (call.star) {
    if (row.kind != AggregateKind::kCount || call.distinct) {
      return fail(error_at(expression.place, "only COUNT(*) has a star"));
    }
    plan.kind = AggregateKind::kCountRows;
  } else if (call.arguments.size() != row.arguments.size()) {
    return fail(
        error_at(expression.place, name + " takes " + std::to_string(row.arguments.size()) +
                                       (row.arguments.size() == 1 ? " argument" : " arguments") +
                                       ", and here are " + std::to_string(call.arguments.size())));
  } else {
    for (std::size_t i = 0; i < row.arguments.size(); ++i) {
      const char letter = row.arguments[i];
      const sql::Expression& argument = *call.arguments[i];
      if (letter == 'p' || letter == 'k') {
        RUNNEL_TRY(check_parameter(letter, argument, input, plan.parameter));
        continue;
      }
      RUNNEL_TRY_ASSIGN(Program program, bind_argument(letter, argument, name, input));
      (i == 0 ? plan.argument : plan.second) = std::move(program);
    }
  }
  if (call.distinct && !row.distinct) {
    return fail(error_at(expression.place, name + " has no DISTINCT"));
  }
  if (call.distinct && plan.argument.type().kind == TypeKind::kJson) {
    return fail(
        error_at(expression.place, "JSON can't be compared; ->> gives a part of it as text"));
  }
  if (call.distinct && row.kind == AggregateKind::kCount) {
    plan.kind = AggregateKind::kCountDistinct;
  } else {
    // The least of different values is the least of all.
    plan.distinct =
        call.distinct && row.kind != AggregateKind::kMin && row.kind != AggregateKind::kMax;
  }
  if (call.filter) {
    RUNNEL_TRY_ASSIGN(plan.filter, input.condition(*call.filter, "FILTER"));
  }
  plan.result = result_of(plan);
  return plan;
}

}  // namespace runnel::storage::views
