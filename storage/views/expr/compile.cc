#include "storage/views/expr/compile.h"

#include <algorithm>
#include <cmath>

#include "storage/views/types/decimal.h"

namespace runnel::storage::views {
namespace {

Node leaf(Kernel kernel, const Type& type) {
  Node node;
  node.kernel = kernel;
  node.type = type;
  return node;
}

void collect_slots(const Node& node, std::vector<Slot>& slots) {
  if (node.kernel == read_column) slots.push_back(node.slot);
  for (const auto& child : node.children) collect_slots(*child, slots);
}

}  // namespace

Program finished(Bound bound) {
  auto compiled = std::make_shared<Compiled>();
  collect_slots(*bound.node, compiled->slots);
  std::sort(compiled->slots.begin(), compiled->slots.end());
  compiled->slots.erase(std::unique(compiled->slots.begin(), compiled->slots.end()),
                        compiled->slots.end());
  if (bound.node->kernel == read_column) compiled->column = bound.node->slot;
  compiled->root = std::move(bound.node);
  return Program(std::move(compiled));
}

namespace {

/// Counts how deep the compiler is, and gives it back.
class Deeper {
 public:
  explicit Deeper(std::size_t& depth) : depth_(++depth) {}
  ~Deeper() { --depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  std::size_t& depth_;
};

Result<Bound> number_literal(const sql::Literal& literal, sql::Place place) {
  const std::string& text = literal.text;
  if (literal.kind == sql::LiteralKind::kInteger) {
    std::int64_t value = 0;
    if (bigint_from_text(text, value) == RowError::kNone) {
      return constant(Value::bigint(value), bigint_type());
    }
  }
  if (text.find_first_of("eE") != std::string::npos) {
    double value = 0;
    if (double_from_text(text, value) == RowError::kNone) {
      return constant(Value::number(value), double_type());
    }
    return fail(error_at(place, text + " is beyond DOUBLE"));
  }
  const std::size_t point = text.find('.');
  const std::size_t scale = point == std::string::npos ? 0 : text.size() - point - 1;
  const std::size_t whole = point == std::string::npos ? text.size() : point;
  Int128 value = 0;
  if (scale > kMaxDigits || decimal_from_text(text, kMaxDigits, static_cast<unsigned>(scale),
                                              Inexact::kRefuse, value) != RowError::kNone) {
    return fail(error_at(place, text + " has more than 38 digits, as many as DECIMAL holds"));
  }
  return constant(Value::decimal(value, static_cast<std::uint8_t>(scale)),
                  decimal_type(static_cast<unsigned>(std::max<std::size_t>(1, whole + scale)),
                               static_cast<unsigned>(scale)));
}

Result<Bound> literal_of(const sql::Literal& literal, sql::Place place) {
  switch (literal.kind) {
    case sql::LiteralKind::kNull: {
      Bound null = constant(Value::null(), varchar_type());
      null.untyped = true;
      return null;
    }
    case sql::LiteralKind::kBoolean:
      return constant(Value::boolean(literal.text == "true"), boolean_type());
    case sql::LiteralKind::kInteger:
    case sql::LiteralKind::kNumber:
      return number_literal(literal, place);
    case sql::LiteralKind::kString: {
      Bound text = constant(Value::text(literal.text), varchar_type());
      text.untyped = true;
      return text;
    }
  }
  return fail(ErrorCode::kInternal, "a literal of no kind");
}

/// Digits before the point of what a number's type holds.
unsigned whole_digits(const Type& type) {
  const Type decimal = as_decimal_type(type);
  return static_cast<unsigned>(decimal.precision) - decimal.scale;
}

std::string quoted(const Value& value) {
  return value.is_null() ? "NULL" : "'" + to_string(value) + "'";
}

}  // namespace

bool same_nodes(const Node& a, const Node& b) {
  const bool same = a.kernel == b.kernel && a.type == b.type && a.slot == b.slot &&
                    a.negated == b.negated && a.any_case == b.any_case && a.lenient == b.lenient &&
                    a.shift == b.shift && a.field == b.field && a.interval == b.interval &&
                    a.sign == b.sign && a.zone == b.zone && a.constant == b.constant &&
                    a.children.size() == b.children.size();
  for (std::size_t i = 0; same && i < a.children.size(); ++i) {
    if (!same_nodes(a.child(i), b.child(i))) return false;
  }
  return same;
}

// ---------------------------------------------------------------- parts
Type decimal_type(unsigned precision, unsigned scale) {
  return {TypeKind::kDecimal, static_cast<std::uint8_t>(std::min<unsigned>(precision, kMaxDigits)),
          static_cast<std::uint8_t>(scale)};
}

Type as_decimal_type(const Type& type) {
  constexpr unsigned kBigintDigits = 19;
  return type.kind == TypeKind::kDecimal ? type : decimal_type(kBigintDigits, 0);
}

bool is_number(const Type& type) {
  return type.kind == TypeKind::kBigint || type.kind == TypeKind::kDouble ||
         type.kind == TypeKind::kDecimal;
}

bool is_constant(const Bound& bound) {
  return bound.node->kernel == read_constant;
}

std::string shown_type(const Bound& bound) {
  if (bound.untyped) return quoted(bound.node->constant);
  return name_of(bound.type());
}

Bound bound_column(Slot slot, const Type& type) {
  Node node = leaf(read_column, type);
  node.slot = slot;
  return {std::make_unique<Node>(std::move(node)), false};
}

Bound constant(Value value, const Type& type) {
  auto node = std::make_unique<Node>(leaf(read_constant, type));
  if (value.tag() == Tag::kText) {
    node->text = value.as_text();
    value = Value::text(node->text);
  }
  node->constant = value;
  return {std::move(node), false};
}

Result<Bound> made(Node node, std::vector<Bound> operands, sql::Place place) {
  const bool foldable = std::all_of(operands.begin(), operands.end(), is_constant);
  for (Bound& operand : operands) node.children.push_back(std::move(operand.node));
  if (!foldable) return Bound{std::make_unique<Node>(std::move(node)), false};
  constexpr std::size_t kArenaBytes = 16u << 10;
  Arena arena(kArenaBytes);
  std::uint64_t steps = kMaxFoldedSteps;
  Context context{{}, arena, steps};
  Value value;
  const RowError why = run(node, context, value);
  // What is too large for here may not be for a row.
  const bool long_text = value.tag() == Tag::kText && value.as_text().size() > kMaxFoldedBytes;
  if (why == RowError::kTooLarge || (why == RowError::kNone && long_text)) {
    return Bound{std::make_unique<Node>(std::move(node)), false};
  }
  if (why != RowError::kNone) return fail(error_at(place, meaning_of(why)));
  return constant(value, node.type);
}

std::optional<Type> common_type(const std::vector<Bound>& all) {
  std::optional<Type> common;
  for (const Bound& bound : all) {
    if (bound.untyped) continue;
    const Type& type = bound.type();
    if (!common || *common == type) {
      common = type;
    } else if (is_number(*common) && is_number(type)) {
      if (common->kind == TypeKind::kDouble || type.kind == TypeKind::kDouble) {
        common = double_type();
        continue;
      }
      const unsigned scale = std::max(as_decimal_type(*common).scale, as_decimal_type(type).scale);
      common = decimal_type(std::max(whole_digits(*common), whole_digits(type)) + scale, scale);
    } else if ((common->kind == TypeKind::kDate && type.kind == TypeKind::kTimestamp) ||
               (common->kind == TypeKind::kTimestamp && type.kind == TypeKind::kDate)) {
      common = timestamp_type();
    } else {
      return std::nullopt;
    }
  }
  return common ? common : varchar_type();
}

Result<Type> unify(Compiler& compiler, std::vector<Bound>& all, sql::Place place,
                   std::string_view what) {
  const std::optional<Type> common = common_type(all);
  if (!common) {
    std::vector<std::string> types;
    for (const Bound& bound : all) {
      const std::string type = shown_type(bound);
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    }
    std::string list;
    for (std::size_t i = 0; i < types.size(); ++i) {
      list += (i == 0 ? "" : i + 1 == types.size() ? " and " : ", ") + types[i];
    }
    return fail(error_at(place, std::string(what) + " needs values of one type; there are " + list +
                                    "; CAST(... AS ...) changes one"));
  }
  for (Bound& bound : all) {
    RUNNEL_TRY_ASSIGN(bound, compiler.implicit(std::move(bound), *common, place, what));
  }
  return *common;
}

// ---------------------------------------------------------------- the compiler
Result<Program> Compiler::program(const sql::Expression& expression) {
  RUNNEL_TRY_ASSIGN(Bound bound, compile(expression));
  return finished(std::move(bound));
}

Result<Program> Compiler::condition(const sql::Expression& expression, std::string_view clause) {
  RUNNEL_TRY_ASSIGN(Bound bound, compile(expression));
  RUNNEL_TRY_ASSIGN(bound, implicit(std::move(bound), boolean_type(), expression.place, clause));
  return finished(std::move(bound));
}

Result<Program> Compiler::program_as(const sql::Expression& expression, const Type& to) {
  RUNNEL_TRY_ASSIGN(Bound bound, compile(expression));
  RUNNEL_TRY_ASSIGN(bound, implicit(std::move(bound), to, expression.place, "this place"));
  return finished(std::move(bound));
}

Result<Bound> Compiler::compile(const sql::Expression& expression) {
  const Deeper deeper(depth_);
  if (depth_ > kMaxExpressionDepth) {
    return fail(error_at(expression.place, "the expression is nested more than " +
                                               std::to_string(kMaxExpressionDepth) + " deep"));
  }
  if (++compiled_ > kMaxExpressions) {
    return fail(error_at(expression.place, "the statement has more than " +
                                               std::to_string(kMaxExpressions) +
                                               " expressions; make it of several views"));
  }
  if (special_) {
    RUNNEL_TRY_ASSIGN(std::optional<Bound> found, special_(expression));
    if (found) return std::move(*found);
  }
  return plain(expression);
}

Result<Bound> Compiler::plain(const sql::Expression& expression) {
  const sql::Place place = expression.place;
  const auto visit = [&](const auto& e) -> Result<Bound> {
    using T = std::decay_t<decltype(e)>;
    Operators operators(*this, place);
    if constexpr (std::is_same_v<T, sql::Literal>) {
      return literal_of(e, place);
    } else if constexpr (std::is_same_v<T, sql::TypedLiteral>) {
      return cast(constant(Value::text(e.text), varchar_type()), e.type, false, place);
    } else if constexpr (std::is_same_v<T, sql::Interval>) {
      return fail(error_at(place,
                           "an INTERVAL is added to a time or subtracted from one: ts + "
                           "INTERVAL '1 day'"));
    } else if constexpr (std::is_same_v<T, sql::ColumnRef>) {
      return columns_(e, place);
    } else if constexpr (std::is_same_v<T, sql::Unary>) {
      return operators.unary(e);
    } else if constexpr (std::is_same_v<T, sql::Binary>) {
      return operators.binary(expression, e);
    } else if constexpr (std::is_same_v<T, sql::IsNull>) {
      return operators.is_null_test(e);
    } else if constexpr (std::is_same_v<T, sql::IsDistinct>) {
      return operators.is_distinct_test(e);
    } else if constexpr (std::is_same_v<T, sql::InList>) {
      return operators.in(e);
    } else if constexpr (std::is_same_v<T, sql::Between>) {
      return operators.between(e);
    } else if constexpr (std::is_same_v<T, sql::Like>) {
      return operators.like_test(e);
    } else if constexpr (std::is_same_v<T, sql::Case>) {
      return operators.case_of(e);
    } else if constexpr (std::is_same_v<T, sql::Cast>) {
      RUNNEL_TRY_ASSIGN(Bound operand, compile(*e.operand));
      return cast(std::move(operand), e.type, e.lenient, place);
    } else if constexpr (std::is_same_v<T, sql::Extract>) {
      return operators.extract(e);
    } else {
      return Functions(*this, place).call(e);
    }
  };
  return std::visit(visit, expression.node);
}

Result<Bound> Compiler::implicit(Bound from, const Type& to, sql::Place place,
                                 std::string_view what) {
  if (from.untyped) {
    if (from.node->constant.is_null()) return constant(Value::null(), to);
    if (to.kind == TypeKind::kDecimal) {
      // '12.345' is not silently made 12.35 because a column has two digits.
      Int128 exact = 0;
      const std::string_view text = from.node->constant.as_text();
      if (decimal_from_text(text, kMaxDigits, to.scale, Inexact::kRefuse, exact) ==
          RowError::kOutOfRange) {
        return fail(error_at(place, shown_type(from) + " does not fit " + name_of(to)));
      }
    }
    return cast(std::move(from), to, false, place);
  }
  const Type& type = from.type();
  const bool widens = (is_number(type) && is_number(to) &&
                       (to.kind == TypeKind::kDouble ||
                        (to.kind == TypeKind::kDecimal && type.kind != TypeKind::kDouble &&
                         as_decimal_type(type).scale <= to.scale))) ||
                      (type.kind == TypeKind::kDate && to.kind == TypeKind::kTimestamp);
  // Decimals of one scale are stored alike, however many digits their types have.
  const bool alike =
      type.kind == to.kind && (type.kind != TypeKind::kDecimal || type.scale == to.scale);
  if (type == to || (widens && alike)) return from;
  if (widens) {
    // The digits before the point are checked where a value has too many, not against the type's.
    Type wide = to;
    if (to.kind == TypeKind::kDecimal) wide.precision = kMaxDigits;
    return cast(std::move(from), wide, false, place);
  }
  return fail(error_at(place, std::string(what) + " needs " + name_of(to) + ", and this is " +
                                  name_of(type) + "; CAST(... AS ...) changes it"));
}

Result<Bound> Compiler::cast(Bound from, const Type& to, bool lenient, sql::Place place) {
  const Kernel kernel = cast_kernel(from.type(), to);
  if (kernel == nullptr) {
    const bool json = from.type().kind == TypeKind::kJson;
    return fail(error_at(place, name_of(from.type()) + " can't be cast to " + name_of(to) +
                                    (json ? "; ->> gives a part of it as text first" : "")));
  }
  if (!from.untyped && from.type() == to) return from;
  Node node = leaf(kernel, to);
  node.lenient = lenient;
  node.zone = zone_;
  const std::string shown = is_constant(from) ? quoted(from.node->constant) : std::string();
  std::vector<Bound> operands;
  operands.push_back(std::move(from));
  auto cast = made(std::move(node), std::move(operands), place);
  if (cast || shown.empty()) return cast;
  const bool no_offset = to.kind == TypeKind::kTimestamp;
  return fail(error_at(place, shown + " is no " + name_of(to) +
                                  (no_offset ? "; write one as '2026-01-31T10:00:00Z'" : "")));
}

}  // namespace runnel::storage::views
