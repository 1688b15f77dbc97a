// SQL statements as trees, as they were written: names are not resolved, types not checked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/views/sql/token.h"

namespace runnel::storage::sql {

/// A name and where it stands.
struct Name {
  std::string text;
  Place place;
};

enum class TypeKind : std::uint8_t {
  kBoolean,
  kBigint,
  kDouble,
  kDecimal,
  kVarchar,
  kTimestamp,  ///< TIMESTAMPTZ: an instant
  kDate,
  kJson,
};

inline constexpr std::uint8_t kMaxDecimalDigits = 38;

struct Type {
  TypeKind kind = TypeKind::kVarchar;
  std::uint8_t precision = 0;  ///< of kDecimal: digits in all, 1 to 38
  std::uint8_t scale = 0;      ///< of kDecimal: of them behind the point
  friend bool operator==(const Type&, const Type&) = default;
};
/// "DECIMAL(12,2)".
[[nodiscard]] std::string name_of(const Type& type);

/// A span of time. Months and days have no fixed length: they count in the zone of the view.
struct Interval {
  std::int64_t months = 0;
  std::int64_t days = 0;
  std::int64_t millis = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

struct Expression;
using ExpressionRef = std::unique_ptr<Expression>;

enum class LiteralKind : std::uint8_t { kNull, kBoolean, kInteger, kNumber, kString };
struct Literal {
  LiteralKind kind = LiteralKind::kNull;
  std::string text;  ///< as written: "12.30"; of booleans "true" or "false"
};
/// TIMESTAMP '...', DATE '...': a string that has to be one of that type.
struct TypedLiteral {
  Type type;
  std::string text;
};
struct ColumnRef {
  std::string qualifier;  ///< empty: none
  std::string name;
};
enum class UnaryOperator : std::uint8_t { kNot, kMinus, kPlus };
struct Unary {
  UnaryOperator op = UnaryOperator::kNot;
  ExpressionRef operand;
};
enum class BinaryOperator : std::uint8_t {
  kOr,
  kAnd,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kConcat,
  kJson,      ///< -> as JSON
  kJsonText,  ///< ->> as text
};
[[nodiscard]] std::string_view name_of(BinaryOperator op) noexcept;
struct Binary {
  BinaryOperator op = BinaryOperator::kAnd;
  ExpressionRef left;
  ExpressionRef right;
};
struct IsNull {
  ExpressionRef operand;
  bool negated = false;
};
/// IS [NOT] DISTINCT FROM.
struct IsDistinct {
  ExpressionRef left;
  ExpressionRef right;
  bool negated = false;
};
struct InList {
  ExpressionRef operand;
  std::vector<ExpressionRef> list;
  bool negated = false;
};
struct Between {
  ExpressionRef operand;
  ExpressionRef low;
  ExpressionRef high;
  bool negated = false;
};
struct Like {
  ExpressionRef operand;
  ExpressionRef pattern;
  bool any_case = false;  ///< ILIKE
  bool negated = false;
};
struct Case {
  ExpressionRef subject;  ///< null: each WHEN is a condition
  std::vector<std::pair<ExpressionRef, ExpressionRef>> branches;
  ExpressionRef otherwise;  ///< null: NULL
};
struct Cast {
  ExpressionRef operand;
  Type type;
  bool lenient = false;  ///< TRY_CAST: NULL instead of an error
};
/// EXTRACT(field FROM operand).
struct Extract {
  std::string field;
  ExpressionRef operand;
};
struct Call {
  std::string function;
  std::vector<ExpressionRef> arguments;
  bool distinct = false;
  bool star = false;  ///< COUNT(*)
  ExpressionRef filter;
};

struct Expression {
  std::variant<Literal, TypedLiteral, Interval, ColumnRef, Unary, Binary, IsNull, IsDistinct,
               InList, Between, Like, Case, Cast, Extract, Call>
      node;
  Place place;
};

/// The expression as SQL, with brackets wherever they could matter; what it gives parses to the
/// same tree.
[[nodiscard]] std::string to_sql(const Expression& expression);
/// Its immediate parts, in the order in which they are written.
[[nodiscard]] std::vector<const Expression*> parts_of(const Expression& expression);

// ---------------------------------------------------------------- queries
struct SelectItem {
  ExpressionRef expression;  ///< null: *
  std::optional<Name> alias;
  Place place;
};

enum class WindowKind : std::uint8_t { kNone, kTumble, kHop, kSession, kCumulate };
/// FROM name [alias], or TUMBLE(name, time column, size) and so on.
struct FromItem {
  WindowKind window = WindowKind::kNone;
  Name source;
  Name time;                        ///< of a window: the column
  std::vector<Interval> intervals;  ///< size; slide and size; gap; step and size
  std::optional<Name> alias;
};
struct Join {
  bool left = false;  ///< LEFT JOIN
  FromItem table;
  ExpressionRef on;
};
struct OrderItem {
  ExpressionRef expression;
  bool descending = false;
  std::optional<bool> nulls_first;
};
struct Query {
  bool distinct = false;
  std::vector<SelectItem> items;
  std::optional<FromItem> from;
  std::vector<Join> joins;
  ExpressionRef where;
  std::vector<ExpressionRef> group_by;
  ExpressionRef having;
  std::vector<OrderItem> order_by;
  std::optional<std::uint64_t> limit;
  std::uint64_t offset = 0;
  Place place;
  /// It has what these trees can't hold (subqueries, WITH, UNION, OVER): nothing else is set, and
  /// its text is all there is.
  bool beyond = false;
};

// ---------------------------------------------------------------- statements
/// name = 'value' of a WITH (...).
struct Option {
  Name name;
  std::string value;
};

enum class OnError : std::uint8_t { kDeadLetter, kSkip, kNull };

struct SourceColumn {
  Name name;
  Type type;
  std::optional<std::string> path;  ///< a JSON path; none: $.name
  bool not_null = false;
};
/// CREATE SOURCE, and CREATE TABLE where `primary_key` is not empty.
struct CreateSource {
  bool table = false;
  bool or_replace = false;
  bool if_not_exists = false;
  Name name;
  std::vector<SourceColumn> columns;
  struct Watermark {
    Name column;
    Interval delay;
  };
  std::optional<Watermark> watermark;
  std::vector<Name> primary_key;
  std::string topic;
  OnError on_error = OnError::kDeadLetter;
  std::vector<Option> options;
};
struct CreateView {
  bool or_replace = false;
  bool if_not_exists = false;
  Name name;
  std::vector<Option> options;
  Query query;
};
/// INSERT INTO topic SELECT: streaming, until it is dropped.
struct CreateStream {
  Name topic;
  std::vector<Option> options;
  Query query;
};
enum class ObjectKind : std::uint8_t { kSource, kTable, kView, kStream };
struct Drop {
  ObjectKind kind = ObjectKind::kView;
  bool if_exists = false;
  bool cascade = false;
  Name name;
};
/// ALTER ... SET (option = 'value', ...), RESUME or PAUSE.
struct Alter {
  ObjectKind kind = ObjectKind::kView;
  enum class Action : std::uint8_t { kSet, kPause, kResume } action = Action::kSet;
  Name name;
  std::vector<Option> options;
};
struct Show {
  ObjectKind kind = ObjectKind::kView;
  bool everything = false;  ///< SHOW ALL
};
struct Describe {
  Name name;
};
struct Verify {
  Name name;
};
struct Subscribe {
  Name view;
  ExpressionRef where;
  std::vector<Option> options;
};
struct Explain;

using Statement = std::variant<CreateSource, CreateView, CreateStream, Drop, Alter, Show, Describe,
                               Verify, Subscribe, Query, Explain>;
struct Explain {
  std::unique_ptr<Statement> statement;
};

}  // namespace runnel::storage::sql
