#include <algorithm>

#include "storage/views/expr/compile.h"

namespace runnel::storage::views {
namespace {

using sql::BinaryOperator;

Node node_of(Kernel kernel, const Type& type) {
  Node node;
  node.kernel = kernel;
  node.type = type;
  return node;
}

template <class... Each>
std::vector<Bound> operands_of(Each... each) {
  std::vector<Bound> all;
  (all.push_back(std::move(each)), ...);
  return all;
}

std::optional<Comparison> comparison_of(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kEqual:
      return Comparison::kEqual;
    case BinaryOperator::kNotEqual:
      return Comparison::kNotEqual;
    case BinaryOperator::kLess:
      return Comparison::kLess;
    case BinaryOperator::kLessEqual:
      return Comparison::kLessEqual;
    case BinaryOperator::kGreater:
      return Comparison::kGreater;
    case BinaryOperator::kGreaterEqual:
      return Comparison::kGreaterEqual;
    default:
      return std::nullopt;
  }
}

std::optional<Arithmetic> arithmetic_of(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Arithmetic::kAdd;
    case BinaryOperator::kSubtract:
      return Arithmetic::kSubtract;
    case BinaryOperator::kMultiply:
      return Arithmetic::kMultiply;
    case BinaryOperator::kDivide:
      return Arithmetic::kDivide;
    case BinaryOperator::kModulo:
      return Arithmetic::kModulo;
    default:
      return std::nullopt;
  }
}

bool is_time(const Bound& bound) {
  return bound.type().kind == TypeKind::kTimestamp || bound.type().kind == TypeKind::kDate;
}

/// Makes decimals alike without a cast where only their scales differ: comparisons see to that.
Result<Type> comparable(Compiler& compiler, std::vector<Bound>& all, sql::Place place,
                        std::string_view what) {
  const bool decimals = std::all_of(all.begin(), all.end(), [](const Bound& bound) {
    return !bound.untyped && bound.type().kind == TypeKind::kDecimal;
  });
  if (decimals) return all.front().type();
  RUNNEL_TRY_ASSIGN(const Type common, unify(compiler, all, place, what));
  if (common.kind == TypeKind::kJson) {
    return fail(error_at(place, "JSON can't be compared; ->> gives a part of it as text"));
  }
  return common;
}

}  // namespace

Result<Bound> Operators::unary(const sql::Unary& e) {
  RUNNEL_TRY_ASSIGN(Bound operand, compiler_.compile(*e.operand));
  if (e.op == sql::UnaryOperator::kNot) {
    RUNNEL_TRY_ASSIGN(operand,
                      compiler_.implicit(std::move(operand), boolean_type(), place_, "NOT"));
    return made(node_of(logical_not, boolean_type()), operands_of(std::move(operand)), place_);
  }
  if (!is_number(operand.type())) {
    return fail(error_at(place_, "a sign needs a number, and this is " + shown_type(operand)));
  }
  if (e.op == sql::UnaryOperator::kPlus) return operand;
  const Type type = operand.type();
  return made(node_of(negate_kernel(type.kind), type), operands_of(std::move(operand)), place_);
}

Result<Bound> Operators::binary(const sql::Expression& whole, const sql::Binary& e) {
  if (e.op == BinaryOperator::kAnd || e.op == BinaryOperator::kOr) return connective(whole, e.op);
  const std::string_view name = name_of(e.op);
  // An interval is no value: it belongs to the time beside it.
  const auto* const right_span = std::get_if<sql::Interval>(&e.right->node);
  const auto* const left_span = std::get_if<sql::Interval>(&e.left->node);
  const bool plus = e.op == BinaryOperator::kAdd;
  if (right_span != nullptr && (plus || e.op == BinaryOperator::kSubtract)) {
    RUNNEL_TRY_ASSIGN(Bound time, compiler_.compile(*e.left));
    return plus_interval(std::move(time), *right_span, plus ? 1 : -1);
  }
  if (left_span != nullptr && plus) {
    RUNNEL_TRY_ASSIGN(Bound time, compiler_.compile(*e.right));
    return plus_interval(std::move(time), *left_span, 1);
  }
  RUNNEL_TRY_ASSIGN(Bound left, compiler_.compile(*e.left));
  RUNNEL_TRY_ASSIGN(Bound right, compiler_.compile(*e.right));
  if (const auto op = comparison_of(e.op)) {
    return comparison(*op, name, std::move(left), std::move(right));
  }
  if (const auto op = arithmetic_of(e.op)) {
    return arithmetic(*op, name, std::move(left), std::move(right));
  }
  if (e.op == BinaryOperator::kConcat) {
    std::vector<Bound> all = operands_of(std::move(left), std::move(right));
    for (Bound& bound : all) {
      RUNNEL_TRY_ASSIGN(bound, compiler_.cast(std::move(bound), varchar_type(), false, place_));
    }
    return made(node_of(concat_strict, varchar_type()), std::move(all), place_);
  }
  return json(e.op == BinaryOperator::kJsonText, std::move(left), std::move(right));
}

/// A chain of ANDs is one node: a filter of hundreds of conditions is no deeper than one of two.
Result<Bound> Operators::connective(const sql::Expression& whole, BinaryOperator op) {
  std::vector<const sql::Expression*> parts;
  const sql::Expression* at = &whole;
  while (true) {
    const auto* const binary = std::get_if<sql::Binary>(&at->node);
    if (binary == nullptr || binary->op != op) break;
    parts.push_back(binary->right.get());
    at = binary->left.get();
  }
  parts.push_back(at);
  std::reverse(parts.begin(), parts.end());
  std::vector<Bound> all;
  for (const sql::Expression* const part : parts) {
    RUNNEL_TRY_ASSIGN(Bound bound, compiler_.compile(*part));
    RUNNEL_TRY_ASSIGN(
        bound, compiler_.implicit(std::move(bound), boolean_type(), part->place, name_of(op)));
    all.push_back(std::move(bound));
  }
  return made(node_of(op == BinaryOperator::kAnd ? logical_and : logical_or, boolean_type()),
              std::move(all), place_);
}

Result<Bound> Operators::comparison(Comparison op, std::string_view name, Bound left, Bound right) {
  std::vector<Bound> all = operands_of(std::move(left), std::move(right));
  RUNNEL_TRY_ASSIGN(const Type common, comparable(compiler_, all, place_, name));
  return made(node_of(comparison_kernel(op, common.kind), boolean_type()), std::move(all), place_);
}

Result<Bound> Operators::arithmetic(Arithmetic op, std::string_view name, Bound left, Bound right) {
  if (is_time(left) || is_time(right)) {
    if (op == Arithmetic::kAdd || op == Arithmetic::kSubtract) {
      return time_arithmetic(op == Arithmetic::kAdd, std::move(left), std::move(right));
    }
  }
  std::vector<Bound> all = operands_of(std::move(left), std::move(right));
  const std::optional<Type> common = common_type(all);
  if (!common || !is_number(*common)) {
    return fail(error_at(place_, std::string(name) + " needs numbers; there are " +
                                     shown_type(all[0]) + " and " + shown_type(all[1]) +
                                     "; CAST(... AS DECIMAL(18,2)) makes a number of a text"));
  }
  if (common->kind == TypeKind::kDecimal) {
    for (Bound& bound : all) {
      if (!bound.untyped) continue;
      RUNNEL_TRY_ASSIGN(bound, compiler_.implicit(std::move(bound), *common, place_, name));
    }
    return decimal_arithmetic(op, std::move(all[0]), std::move(all[1]));
  }
  for (Bound& bound : all) {
    RUNNEL_TRY_ASSIGN(bound, compiler_.implicit(std::move(bound), *common, place_, name));
  }
  return made(node_of(arithmetic_kernel(op, common->kind), *common), std::move(all), place_);
}

/// + - and % in the greater scale of both, * in the sum of scales, / in at least kDivisionScale.
Result<Bound> Operators::decimal_arithmetic(Arithmetic op, Bound left, Bound right) {
  const Type a = as_decimal_type(left.type());
  const Type b = as_decimal_type(right.type());
  Node node = node_of(arithmetic_kernel(op, TypeKind::kDecimal), Type{});
  std::vector<Bound> all = operands_of(std::move(left), std::move(right));
  if (op == Arithmetic::kMultiply || op == Arithmetic::kDivide) {
    RUNNEL_TRY_ASSIGN(all[0], compiler_.implicit(std::move(all[0]), a, place_, "arithmetic"));
    RUNNEL_TRY_ASSIGN(all[1], compiler_.implicit(std::move(all[1]), b, place_, "arithmetic"));
  }
  if (op == Arithmetic::kMultiply) {
    if (a.scale + b.scale > sql::kMaxDecimalDigits) {
      return fail(error_at(place_, "the product would have " + std::to_string(a.scale + b.scale) +
                                       " digits behind the point, at most 38 are exact; ROUND "
                                       "one of the factors"));
    }
    node.type = decimal_type(unsigned{a.precision} + b.precision, unsigned{a.scale} + b.scale);
    return made(std::move(node), std::move(all), place_);
  }
  if (op == Arithmetic::kDivide) {
    const unsigned scale = std::max({a.scale, b.scale, kDivisionScale});
    node.type = decimal_type(sql::kMaxDecimalDigits, scale);
    node.shift = static_cast<std::uint8_t>(scale - a.scale + b.scale);
    return made(std::move(node), std::move(all), place_);
  }
  const unsigned scale = std::max(a.scale, b.scale);
  const unsigned whole = std::max(a.precision - a.scale, b.precision - b.scale);
  const unsigned carry = op == Arithmetic::kModulo ? 0 : 1;
  node.type = decimal_type(whole + scale + carry, scale);
  for (Bound& bound : all) {
    RUNNEL_TRY_ASSIGN(bound, compiler_.implicit(std::move(bound), node.type, place_, "arithmetic"));
  }
  return made(std::move(node), std::move(all), place_);
}

Result<Bound> Operators::time_arithmetic(bool plus, Bound left, Bound right) {
  const auto is_date = [](const Bound& b) { return b.type().kind == TypeKind::kDate; };
  const auto is_days = [](const Bound& b) { return b.type().kind == TypeKind::kBigint; };
  if (plus && is_days(left) && is_date(right)) std::swap(left, right);
  if (is_date(left) && is_days(right)) {
    return made(node_of(plus ? add_days : subtract_days, date_type()),
                operands_of(std::move(left), std::move(right)), place_);
  }
  if (!plus && is_date(left) && (is_date(right) || right.untyped)) {
    RUNNEL_TRY_ASSIGN(right, compiler_.implicit(std::move(right), date_type(), place_, "-"));
    return made(node_of(days_between, bigint_type()),
                operands_of(std::move(left), std::move(right)), place_);
  }
  return fail(error_at(place_, shown_type(left) + (plus ? " + " : " - ") + shown_type(right) +
                                   " has no meaning; INTERVAL '1 day' is added to times, and "
                                   "EXTRACT(epoch FROM ts) gives seconds to subtract"));
}

Result<Bound> Operators::plus_interval(Bound time, const sql::Interval& interval, int sign) {
  if (!is_time(time)) {
    return fail(error_at(place_, "an INTERVAL is added to a TIMESTAMPTZ or a DATE, and this is " +
                                     shown_type(time)));
  }
  const bool date = time.type().kind == TypeKind::kDate;
  if (date && interval.millis != 0) {
    return fail(error_at(place_, "a DATE has no hours; CAST(... AS TIMESTAMPTZ) is its midnight"));
  }
  Node node = node_of(date ? add_to_date : add_to_timestamp, time.type());
  node.interval = interval;
  node.sign = sign;
  node.zone = compiler_.zone_;
  return made(std::move(node), operands_of(std::move(time)), place_);
}

Result<Bound> Operators::json(bool as_text, Bound left, Bound right) {
  const std::string_view name = as_text ? "->>" : "->";
  if (left.untyped) {
    RUNNEL_TRY_ASSIGN(left, compiler_.implicit(std::move(left), json_type(), place_, name));
  }
  if (left.type().kind != TypeKind::kJson) {
    return fail(error_at(place_, std::string(name) + " looks into JSON, and this is " +
                                     shown_type(left) + "; CAST(... AS JSON) reads a text"));
  }
  const Type type = as_text ? varchar_type() : json_type();
  if (right.type().kind == TypeKind::kBigint) {
    return made(node_of(as_text ? json_element_text : json_element, type),
                operands_of(std::move(left), std::move(right)), place_);
  }
  RUNNEL_TRY_ASSIGN(right, compiler_.implicit(std::move(right), varchar_type(), place_, name));
  return made(node_of(as_text ? json_member_text : json_member, type),
              operands_of(std::move(left), std::move(right)), place_);
}

Result<Bound> Operators::is_null_test(const sql::IsNull& e) {
  RUNNEL_TRY_ASSIGN(Bound operand, compiler_.compile(*e.operand));
  Node node = node_of(is_null, boolean_type());
  node.negated = e.negated;
  return made(std::move(node), operands_of(std::move(operand)), place_);
}

Result<Bound> Operators::is_distinct_test(const sql::IsDistinct& e) {
  RUNNEL_TRY_ASSIGN(Bound left, compiler_.compile(*e.left));
  RUNNEL_TRY_ASSIGN(Bound right, compiler_.compile(*e.right));
  std::vector<Bound> all = operands_of(std::move(left), std::move(right));
  RUNNEL_TRY(comparable(compiler_, all, place_, "IS DISTINCT FROM"));
  Node node = node_of(is_distinct, boolean_type());
  node.negated = e.negated;
  return made(std::move(node), std::move(all), place_);
}

Result<Bound> Operators::in(const sql::InList& e) {
  std::vector<Bound> all;
  RUNNEL_TRY_ASSIGN(Bound operand, compiler_.compile(*e.operand));
  all.push_back(std::move(operand));
  for (const sql::ExpressionRef& item : e.list) {
    RUNNEL_TRY_ASSIGN(Bound bound, compiler_.compile(*item));
    all.push_back(std::move(bound));
  }
  RUNNEL_TRY(comparable(compiler_, all, place_, "IN"));
  Node node = node_of(in_list, boolean_type());
  node.negated = e.negated;
  return made(std::move(node), std::move(all), place_);
}

Result<Bound> Operators::between(const sql::Between& e) {
  RUNNEL_TRY_ASSIGN(Bound operand, compiler_.compile(*e.operand));
  RUNNEL_TRY_ASSIGN(Bound low, compiler_.compile(*e.low));
  RUNNEL_TRY_ASSIGN(Bound high, compiler_.compile(*e.high));
  std::vector<Bound> all = operands_of(std::move(operand), std::move(low), std::move(high));
  RUNNEL_TRY(comparable(compiler_, all, place_, "BETWEEN"));
  Node node = node_of(is_between, boolean_type());
  node.negated = e.negated;
  return made(std::move(node), std::move(all), place_);
}

Result<Bound> Operators::like_test(const sql::Like& e) {
  const std::string_view name = e.any_case ? "ILIKE" : "LIKE";
  RUNNEL_TRY_ASSIGN(Bound operand, compiler_.compile(*e.operand));
  RUNNEL_TRY_ASSIGN(Bound pattern, compiler_.compile(*e.pattern));
  RUNNEL_TRY_ASSIGN(operand, compiler_.implicit(std::move(operand), varchar_type(), place_, name));
  RUNNEL_TRY_ASSIGN(pattern, compiler_.implicit(std::move(pattern), varchar_type(), place_, name));
  Node node = node_of(like, boolean_type());
  node.any_case = e.any_case;
  node.negated = e.negated;
  return made(std::move(node), operands_of(std::move(operand), std::move(pattern)), place_);
}

/// CASE x WHEN compiles and computes x once: nested in itself it would double with each level.
Result<Bound> Operators::case_of(const sql::Case& e) {
  std::vector<Bound> conditions;  // the subject first, if there is one
  std::vector<Bound> results;
  if (e.subject) {
    RUNNEL_TRY_ASSIGN(Bound subject, compiler_.compile(*e.subject));
    conditions.push_back(std::move(subject));
  }
  for (const auto& [when, then] : e.branches) {
    RUNNEL_TRY_ASSIGN(Bound condition, compiler_.compile(*when));
    if (!e.subject) {
      RUNNEL_TRY_ASSIGN(
          condition, compiler_.implicit(std::move(condition), boolean_type(), when->place, "WHEN"));
    }
    RUNNEL_TRY_ASSIGN(Bound result, compiler_.compile(*then));
    conditions.push_back(std::move(condition));
    results.push_back(std::move(result));
  }
  if (e.subject) RUNNEL_TRY(comparable(compiler_, conditions, place_, "CASE"));
  if (e.otherwise) {
    RUNNEL_TRY_ASSIGN(Bound result, compiler_.compile(*e.otherwise));
    results.push_back(std::move(result));
  } else {
    Bound nothing = constant(Value::null(), varchar_type());
    nothing.untyped = true;
    results.push_back(std::move(nothing));
  }
  RUNNEL_TRY_ASSIGN(const Type common, unify(compiler_, results, place_, "CASE"));
  std::vector<Bound> all;
  auto condition = conditions.begin();
  if (e.subject) all.push_back(std::move(*condition++));
  for (Bound& result : results) {
    if (condition != conditions.end()) all.push_back(std::move(*condition++));
    all.push_back(std::move(result));
  }
  return made(node_of(e.subject ? case_equal : case_when, common), std::move(all), place_);
}

Result<Bound> Operators::extract(const sql::Extract& e) {
  Node node = node_of(extract_time, bigint_type());
  if (!time_field_of(e.field, node.field)) {
    return fail(error_at(place_, "there is no part '" + e.field +
                                     "' of a time; there are year, quarter, month, week, day, "
                                     "hour, minute, second, millisecond, microsecond, dow, "
                                     "isodow, doy, isoyear and epoch"));
  }
  RUNNEL_TRY_ASSIGN(Bound time, compiler_.compile(*e.operand));
  if (time.untyped) {
    RUNNEL_TRY_ASSIGN(time,
                      compiler_.implicit(std::move(time), timestamp_type(), place_, "EXTRACT"));
  }
  if (!is_time(time)) {
    return fail(
        error_at(place_, "EXTRACT needs a TIMESTAMPTZ or a DATE, and this is " + shown_type(time)));
  }
  constexpr unsigned kTimeDigits = 20;
  if (const std::uint8_t scale = extract_scale(node.field); scale != 0) {
    node.type = decimal_type(kTimeDigits, scale);
  }
  node.zone = compiler_.zone_;
  return made(std::move(node), operands_of(std::move(time)), place_);
}

}  // namespace runnel::storage::views
