// SQL expressions to programs: names to slots, types checked, a kernel chosen for each operation.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/views/expr/kernels.h"
#include "storage/views/sql/ast.h"

namespace runnel::storage::views {

/// Expressions in each other after chains of AND and OR are made flat: the walks are recursive.
inline constexpr std::size_t kMaxExpressionDepth = 400;
/// Expressions that one compiler takes, parts and repeated looks at them counted: some 100 MB.
inline constexpr std::size_t kMaxExpressions = 200'000;
/// Texts of constants above this are not worked out when the statement is compiled, but for each
/// row: a statement of a few hundred bytes could otherwise hold gigabytes of them.
inline constexpr std::size_t kMaxFoldedBytes = 1024;
/// Steps of a search (Context::steps) that working out one constant may take; above it the constant
/// is left to the rows.
inline constexpr std::uint64_t kMaxFoldedSteps = 64 * 1024;
/// Digits behind the point that a division of DECIMALs has at least.
inline constexpr std::uint8_t kDivisionScale = 16;

/// An expression that is being compiled.
struct Bound {
  std::unique_ptr<Node> node;
  /// NULL, or a text in quotes: becomes what the other side is. Its type is VARCHAR until then.
  bool untyped = false;

  [[nodiscard]] const Type& type() const { return node->type; }
};

[[nodiscard]] Bound bound_column(Slot slot, const Type& type);

/// Compiles expressions over one kind of row.
/// Errors: kInvalidArgument with line and column, what was expected and what there is.
class Compiler {
 public:
  /// The column of that name.
  using Columns = std::function<Result<Bound>(const sql::ColumnRef& column, sql::Place place)>;
  /// Asked first for every part of an expression; nothing: it is compiled as usual. Aggregates and
  /// group keys are found so.
  using Special = std::function<Result<std::optional<Bound>>(const sql::Expression& part)>;

  Compiler(Columns columns, std::shared_ptr<const Zone> zone, Special special = nullptr)
      : columns_(std::move(columns)), zone_(std::move(zone)), special_(std::move(special)) {}

  [[nodiscard]] Result<Program> program(const sql::Expression& expression);
  /// Of a WHERE, HAVING, FILTER or ON; `clause` names it in errors.
  [[nodiscard]] Result<Program> condition(const sql::Expression& expression,
                                          std::string_view clause);
  /// The value as `to`.
  [[nodiscard]] Result<Program> program_as(const sql::Expression& expression, const Type& to);

  [[nodiscard]] Result<Bound> compile(const sql::Expression& expression);
  /// It had more than kMaxExpressions, and everything is an error from then on.
  [[nodiscard]] bool is_spent() const noexcept { return compiled_ > kMaxExpressions; }
  /// What assigns without losing: BIGINT to DECIMAL to DOUBLE, DATE to TIMESTAMPTZ, an untyped
  /// literal to everything. `what` begins the error: "LIKE".
  [[nodiscard]] Result<Bound> implicit(Bound from, const Type& to, sql::Place place,
                                       std::string_view what);
  [[nodiscard]] Result<Bound> cast(Bound from, const Type& to, bool lenient, sql::Place place);

 private:
  friend class Operators;
  friend class Functions;

  [[nodiscard]] Result<Bound> plain(const sql::Expression& expression);

  Columns columns_;
  std::shared_ptr<const Zone> zone_;
  Special special_;
  std::size_t depth_ = 0;
  std::size_t compiled_ = 0;
};

/// The finished program of an expression.
[[nodiscard]] Program finished(Bound bound);

// ---- for the parts of the compiler
/// A node over its operands; what is constant, and small, is worked out here, and its errors are
/// the statement's.
[[nodiscard]] Result<Bound> made(Node node, std::vector<Bound> operands, sql::Place place);
[[nodiscard]] Bound constant(Value value, const Type& type);
[[nodiscard]] bool is_constant(const Bound& bound);
[[nodiscard]] bool is_number(const Type& type);
/// What holds every value of all of them; nothing: they do not go together.
[[nodiscard]] std::optional<Type> common_type(const std::vector<Bound>& all);
/// All as their common type. `what` begins the error.
[[nodiscard]] Result<Type> unify(Compiler& compiler, std::vector<Bound>& all, sql::Place place,
                                 std::string_view what);
[[nodiscard]] std::string shown_type(const Bound& bound);

[[nodiscard]] inline Type boolean_type() {
  return {TypeKind::kBoolean, 0, 0};
}
[[nodiscard]] inline Type bigint_type() {
  return {TypeKind::kBigint, 0, 0};
}
[[nodiscard]] inline Type double_type() {
  return {TypeKind::kDouble, 0, 0};
}
[[nodiscard]] inline Type varchar_type() {
  return {TypeKind::kVarchar, 0, 0};
}
[[nodiscard]] inline Type timestamp_type() {
  return {TypeKind::kTimestamp, 0, 0};
}
[[nodiscard]] inline Type date_type() {
  return {TypeKind::kDate, 0, 0};
}
[[nodiscard]] inline Type json_type() {
  return {TypeKind::kJson, 0, 0};
}
[[nodiscard]] Type decimal_type(unsigned precision, unsigned scale);
/// DECIMAL as it is, BIGINT as DECIMAL(19,0).
[[nodiscard]] Type as_decimal_type(const Type& type);

/// Operators, CASE and the like.
class Operators {
 public:
  Operators(Compiler& compiler, sql::Place place) : compiler_(compiler), place_(place) {}

  [[nodiscard]] Result<Bound> unary(const sql::Unary& e);
  [[nodiscard]] Result<Bound> binary(const sql::Expression& whole, const sql::Binary& e);
  [[nodiscard]] Result<Bound> is_null_test(const sql::IsNull& e);
  [[nodiscard]] Result<Bound> is_distinct_test(const sql::IsDistinct& e);
  [[nodiscard]] Result<Bound> in(const sql::InList& e);
  [[nodiscard]] Result<Bound> between(const sql::Between& e);
  [[nodiscard]] Result<Bound> like_test(const sql::Like& e);
  [[nodiscard]] Result<Bound> case_of(const sql::Case& e);
  [[nodiscard]] Result<Bound> extract(const sql::Extract& e);

  [[nodiscard]] Result<Bound> arithmetic(Arithmetic op, std::string_view name, Bound left,
                                         Bound right);

 private:
  [[nodiscard]] Result<Bound> comparison(Comparison op, std::string_view name, Bound left,
                                         Bound right);
  [[nodiscard]] Result<Bound> connective(const sql::Expression& whole, sql::BinaryOperator op);
  [[nodiscard]] Result<Bound> decimal_arithmetic(Arithmetic op, Bound left, Bound right);
  [[nodiscard]] Result<Bound> time_arithmetic(bool plus, Bound left, Bound right);
  [[nodiscard]] Result<Bound> plus_interval(Bound time, const sql::Interval& interval, int sign);
  [[nodiscard]] Result<Bound> json(bool as_text, Bound left, Bound right);

  Compiler& compiler_;
  sql::Place place_;
};

/// Scalar functions.
class Functions {
 public:
  Functions(Compiler& compiler, sql::Place place) : compiler_(compiler), place_(place) {}
  [[nodiscard]] Result<Bound> call(const sql::Call& call);

 private:
  [[nodiscard]] Result<Bound> variadic(const sql::Call& call, std::vector<Bound> arguments);
  [[nodiscard]] Result<Bound> null_if_of(std::string_view name, std::vector<Bound> arguments);
  [[nodiscard]] Result<Bound> rounding(const sql::Call& call, Rounding kind,
                                       std::vector<Bound> arguments);
  [[nodiscard]] Result<Bound> of_time(const sql::Call& call, std::vector<Bound> arguments);
  [[nodiscard]] Result<std::shared_ptr<const Zone>> zone_argument(const Bound& argument);

  Compiler& compiler_;
  sql::Place place_;
};

/// Names of the scalar functions, for suggestions.
[[nodiscard]] std::vector<std::string_view> function_names();

}  // namespace runnel::storage::views
