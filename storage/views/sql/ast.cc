#include "storage/views/sql/ast.h"

namespace runnel::storage::sql {
namespace {

std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out += quote;
}

std::string joined(const std::vector<ExpressionRef>& list) {
  std::string out;
  for (const ExpressionRef& e : list) {
    if (!out.empty()) out += ", ";
    out += to_sql(*e);
  }
  return out;
}

std::string_view not_if(bool negated) {
  return negated ? " NOT" : "";
}

class Writer {
 public:
  std::string operator()(const Literal& e) const {
    return e.kind == LiteralKind::kString ? quoted(e.text, '\'') : e.text;
  }
  std::string operator()(const TypedLiteral& e) const {
    return (e.type.kind == TypeKind::kDate ? "DATE " : "TIMESTAMPTZ ") + quoted(e.text, '\'');
  }
  std::string operator()(const Interval& e) const {
    std::string text;
    const auto add = [&](std::int64_t count, std::string_view unit) {
      if (count == 0) return;
      if (!text.empty()) text += ' ';
      text += std::to_string(count) + std::string(unit);
    };
    add(e.months, " months");
    add(e.days, " days");
    add(e.millis, " milliseconds");
    return "INTERVAL '" + (text.empty() ? "0 days" : text) + "'";
  }
  std::string operator()(const ColumnRef& e) const {
    const std::string name = quoted(e.name, '"');
    return e.qualifier.empty() ? name : quoted(e.qualifier, '"') + "." + name;
  }
  std::string operator()(const Unary& e) const {
    const std::string_view op = e.op == UnaryOperator::kNot     ? "NOT "
                                : e.op == UnaryOperator::kMinus ? "- "
                                                                : "+ ";
    return "(" + std::string(op) + to_sql(*e.operand) + ")";
  }
  std::string operator()(const Binary& e) const {
    return "(" + to_sql(*e.left) + " " + std::string(name_of(e.op)) + " " + to_sql(*e.right) + ")";
  }
  std::string operator()(const IsNull& e) const {
    return "(" + to_sql(*e.operand) + " IS" + std::string(not_if(e.negated)) + " NULL)";
  }
  std::string operator()(const IsDistinct& e) const {
    return "(" + to_sql(*e.left) + " IS" + std::string(not_if(e.negated)) + " DISTINCT FROM " +
           to_sql(*e.right) + ")";
  }
  std::string operator()(const InList& e) const {
    return "(" + to_sql(*e.operand) + std::string(not_if(e.negated)) + " IN (" + joined(e.list) +
           "))";
  }
  std::string operator()(const Between& e) const {
    return "(" + to_sql(*e.operand) + std::string(not_if(e.negated)) + " BETWEEN " +
           to_sql(*e.low) + " AND " + to_sql(*e.high) + ")";
  }
  std::string operator()(const Like& e) const {
    return "(" + to_sql(*e.operand) + std::string(not_if(e.negated)) +
           (e.any_case ? " ILIKE " : " LIKE ") + to_sql(*e.pattern) + ")";
  }
  std::string operator()(const Case& e) const {
    std::string out = "CASE";
    if (e.subject) out += " " + to_sql(*e.subject);
    for (const auto& [when, then] : e.branches) {
      out += " WHEN " + to_sql(*when) + " THEN " + to_sql(*then);
    }
    if (e.otherwise) out += " ELSE " + to_sql(*e.otherwise);
    return out + " END";
  }
  std::string operator()(const Cast& e) const {
    return std::string(e.lenient ? "TRY_CAST(" : "CAST(") + to_sql(*e.operand) + " AS " +
           name_of(e.type) + ")";
  }
  std::string operator()(const Extract& e) const {
    return "EXTRACT(" + quoted(e.field, '\'') + " FROM " + to_sql(*e.operand) + ")";
  }
  std::string operator()(const Call& e) const {
    std::string out = quoted(e.function, '"') + "(";
    if (e.star) out += "*";
    if (e.distinct) out += "DISTINCT ";
    out += joined(e.arguments) + ")";
    if (e.filter) out += " FILTER (WHERE " + to_sql(*e.filter) + ")";
    return out;
  }
};

class Parts {
 public:
  explicit Parts(std::vector<const Expression*>& out) : out_(out) {}

  template <class Leaf>
  void operator()(const Leaf&) {}
  void operator()(const Unary& e) { add(e.operand); }
  void operator()(const Binary& e) { add(e.left), add(e.right); }
  void operator()(const IsNull& e) { add(e.operand); }
  void operator()(const IsDistinct& e) { add(e.left), add(e.right); }
  void operator()(const InList& e) { add(e.operand), add(e.list); }
  void operator()(const Between& e) { add(e.operand), add(e.low), add(e.high); }
  void operator()(const Like& e) { add(e.operand), add(e.pattern); }
  void operator()(const Case& e) {
    add(e.subject);
    for (const auto& [when, then] : e.branches) add(when), add(then);
    add(e.otherwise);
  }
  void operator()(const Cast& e) { add(e.operand); }
  void operator()(const Extract& e) { add(e.operand); }
  void operator()(const Call& e) { add(e.arguments), add(e.filter); }

 private:
  void add(const ExpressionRef& part) {
    if (part) out_.push_back(part.get());
  }
  void add(const std::vector<ExpressionRef>& parts) {
    for (const ExpressionRef& part : parts) add(part);
  }

  std::vector<const Expression*>& out_;
};

}  // namespace

std::vector<const Expression*> parts_of(const Expression& expression) {
  std::vector<const Expression*> parts;
  std::visit(Parts(parts), expression.node);
  return parts;
}

std::string name_of(const Type& type) {
  switch (type.kind) {
    case TypeKind::kBoolean:
      return "BOOLEAN";
    case TypeKind::kBigint:
      return "BIGINT";
    case TypeKind::kDouble:
      return "DOUBLE";
    case TypeKind::kDecimal:
      return "DECIMAL(" + std::to_string(type.precision) + "," + std::to_string(type.scale) + ")";
    case TypeKind::kVarchar:
      return "VARCHAR";
    case TypeKind::kTimestamp:
      return "TIMESTAMPTZ";
    case TypeKind::kDate:
      return "DATE";
    case TypeKind::kJson:
      return "JSON";
  }
  return "?";
}

std::string_view name_of(BinaryOperator op) noexcept {
  switch (op) {
    case BinaryOperator::kOr:
      return "OR";
    case BinaryOperator::kAnd:
      return "AND";
    case BinaryOperator::kEqual:
      return "=";
    case BinaryOperator::kNotEqual:
      return "<>";
    case BinaryOperator::kLess:
      return "<";
    case BinaryOperator::kLessEqual:
      return "<=";
    case BinaryOperator::kGreater:
      return ">";
    case BinaryOperator::kGreaterEqual:
      return ">=";
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kConcat:
      return "||";
    case BinaryOperator::kJson:
      return "->";
    case BinaryOperator::kJsonText:
      return "->>";
  }
  return "?";
}

std::string to_sql(const Expression& expression) {
  return std::visit(Writer{}, expression.node);
}

}  // namespace runnel::storage::sql
