#include <array>

#include "storage/views/sql/parser_impl.h"

namespace runnel::storage::sql {
namespace {

// Binding powers, weakest first, as PostgreSQL has them.
constexpr int kOrBinds = 1;
constexpr int kAndBinds = 2;
constexpr int kNotBinds = 3;
constexpr int kIsBinds = 4;
constexpr int kCompareBinds = 5;
constexpr int kWordBinds = 6;   // IN, BETWEEN, LIKE
constexpr int kOtherBinds = 7;  // ||, ->, ->>
constexpr int kAddBinds = 8;
constexpr int kMultiplyBinds = 9;
constexpr int kSignBinds = 10;
constexpr int kCastBinds = 11;

struct OperatorRow {
  std::string_view symbol;
  BinaryOperator op;
  int binds;
};
constexpr std::array<OperatorRow, 15> kOperators{{
    {"=", BinaryOperator::kEqual, kCompareBinds},
    {"<>", BinaryOperator::kNotEqual, kCompareBinds},
    {"!=", BinaryOperator::kNotEqual, kCompareBinds},
    {"<", BinaryOperator::kLess, kCompareBinds},
    {"<=", BinaryOperator::kLessEqual, kCompareBinds},
    {">", BinaryOperator::kGreater, kCompareBinds},
    {">=", BinaryOperator::kGreaterEqual, kCompareBinds},
    {"||", BinaryOperator::kConcat, kOtherBinds},
    {"->", BinaryOperator::kJson, kOtherBinds},
    {"->>", BinaryOperator::kJsonText, kOtherBinds},
    {"+", BinaryOperator::kAdd, kAddBinds},
    {"-", BinaryOperator::kSubtract, kAddBinds},
    {"*", BinaryOperator::kMultiply, kMultiplyBinds},
    {"/", BinaryOperator::kDivide, kMultiplyBinds},
    {"%", BinaryOperator::kModulo, kMultiplyBinds},
}};

const OperatorRow* operator_of(const Token& token) {
  if (token.kind != TokenKind::kSymbol) return nullptr;
  for (const OperatorRow& row : kOperators) {
    if (row.symbol == token.text) return &row;
  }
  return nullptr;
}

/// Names that can't begin a value: who writes one here forgot something before it.
constexpr std::array<std::string_view, 22> kReserved{
    "select", "from", "where", "group", "having", "order",  "limit", "offset",
    "union",  "on",   "join",  "left",  "as",     "and",    "or",    "when",
    "then",   "else", "end",   "in",    "like",   "between"};

bool is_reserved(std::string_view word) {
  return std::find(kReserved.begin(), kReserved.end(), word) != kReserved.end();
}

/// Counts how deep the parser is; what is deeper than kMaxDepth would overflow its stack.
class Deeper {
 public:
  explicit Deeper(std::size_t& depth) : depth_(++depth) {}
  ~Deeper() { --depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  [[nodiscard]] bool too_deep() const { return depth_ > kMaxDepth; }

 private:
  std::size_t& depth_;
};

}  // namespace

int Parser::binding_of(const Token& token) const {
  if (const OperatorRow* row = operator_of(token)) return row->binds;
  if (token.kind == TokenKind::kSymbol) return token.text == "::" ? kCastBinds : -1;
  if (token.kind != TokenKind::kName) return -1;
  if (token.text == "or") return kOrBinds;
  if (token.text == "and") return kAndBinds;
  if (token.text == "is") return kIsBinds;
  const std::string_view word = token.text == "not" ? std::string_view(peek(1).text) : token.text;
  if (word == "in" || word == "between" || word == "like" || word == "ilike") return kWordBinds;
  return -1;
}

Result<ExpressionRef> Parser::lone_expression() {
  RUNNEL_TRY_ASSIGN(ExpressionRef whole, expression());
  if (!at_end()) return unexpected("the end of the expression", {"and", "or"});
  return whole;
}

Result<ExpressionRef> Parser::expression(int least) {
  const Deeper deeper(depth_);
  if (deeper.too_deep()) {
    return fail(error_at(peek().place, "expressions are nested more than " +
                                           std::to_string(kMaxDepth) + " deep; simplify them"));
  }
  RUNNEL_TRY_ASSIGN(ExpressionRef left, prefix());
  while (true) {
    const int binds = binding_of(peek());
    if (binds < 0 || binds < least) return left;
    if (++operators_ > kMaxOperators) {
      return fail(error_at(peek().place, "a statement has at most " +
                                             std::to_string(kMaxOperators) +
                                             " operators; IN (...) takes long lists"));
    }
    RUNNEL_TRY_ASSIGN(left, infix(std::move(left), binds));
    // a < b < c means nothing that anybody wants.
    if (binds == kCompareBinds && binding_of(peek()) == kCompareBinds) {
      return fail(error_at(peek().place, "comparisons can't be chained; write a < b AND b < c"));
    }
  }
}

Result<ExpressionRef> Parser::prefix() {
  const Place place = peek().place;
  if (accept("not")) {
    RUNNEL_TRY_ASSIGN(ExpressionRef operand, expression(kNotBinds));
    return make(Unary{UnaryOperator::kNot, std::move(operand)}, place);
  }
  for (const auto& [symbol, op] :
       {std::pair{"-", UnaryOperator::kMinus}, std::pair{"+", UnaryOperator::kPlus}}) {
    if (!accept_symbol(symbol)) continue;
    RUNNEL_TRY_ASSIGN(ExpressionRef operand, expression(kSignBinds));
    return make(Unary{op, std::move(operand)}, place);
  }
  return primary();
}

Result<ExpressionRef> Parser::primary() {
  const Token& token = peek();
  const Place place = token.place;
  switch (token.kind) {
    case TokenKind::kInteger:
      return make(Literal{LiteralKind::kInteger, take().text}, place);
    case TokenKind::kNumber:
      return make(Literal{LiteralKind::kNumber, take().text}, place);
    case TokenKind::kString:
      return make(Literal{LiteralKind::kString, take().text}, place);
    case TokenKind::kName:
    case TokenKind::kQuotedName:
      return named();
    case TokenKind::kSymbol:
      if (accept_symbol("(")) {
        RUNNEL_TRY_ASSIGN(ExpressionRef inner, expression());
        RUNNEL_TRY(expect_symbol(")"));
        return inner;
      }
      break;
    case TokenKind::kEnd:
      break;
  }
  return unexpected("a value, a column or a function");
}

/// What begins with a name: a literal, a special form, a function or a column.
Result<ExpressionRef> Parser::named() {
  const Token token = peek();
  const Place place = token.place;
  const bool is_word = token.kind == TokenKind::kName;
  const bool is_left = token.text == "left" && sees_symbol("(", 1);  // the function
  if (is_word && is_reserved(token.text) && !is_left)
    return unexpected("a value, a column or a function");
  if (is_word) {
    if (accept("null")) return make(Literal{LiteralKind::kNull, "null"}, place);
    if (accept("true")) return make(Literal{LiteralKind::kBoolean, "true"}, place);
    if (accept("false")) return make(Literal{LiteralKind::kBoolean, "false"}, place);
    if (accept("case")) return case_of(place);
    if (sees_symbol("(", 1)) {
      if (accept("cast")) return cast(/*lenient=*/false, place);
      if (accept("try_cast")) return cast(/*lenient=*/true, place);
      if (accept("extract")) return extract(place);
    }
    if (peek(1).kind == TokenKind::kString) {
      if (token.text == "interval") {
        RUNNEL_TRY_ASSIGN(const Interval span, interval());
        return make(span, place);
      }
      if (accept("date")) return make(TypedLiteral{{TypeKind::kDate}, take().text}, place);
      if (accept("timestamp") || accept("timestamptz")) {
        return make(TypedLiteral{{TypeKind::kTimestamp}, take().text}, place);
      }
    }
  }
  RUNNEL_TRY_ASSIGN(Name first, name("a column"));
  if (sees_symbol("(")) return call(std::move(first));
  if (!accept_symbol(".")) return make(ColumnRef{{}, std::move(first.text)}, place);
  RUNNEL_TRY_ASSIGN(Name second, name("a column behind the point"));
  return make(ColumnRef{std::move(first.text), std::move(second.text)}, place);
}

Result<ExpressionRef> Parser::infix(ExpressionRef left, int binding) {
  const Place place = peek().place;
  if (const OperatorRow* row = operator_of(peek())) {
    take();
    RUNNEL_TRY_ASSIGN(ExpressionRef right, expression(binding + 1));
    return make(Binary{row->op, std::move(left), std::move(right)}, place);
  }
  if (accept_symbol("::")) {
    RUNNEL_TRY_ASSIGN(const Type to, type());
    return make(Cast{std::move(left), to, false}, place);
  }
  if (sees("and") || sees("or")) {
    const BinaryOperator op = take().text == "and" ? BinaryOperator::kAnd : BinaryOperator::kOr;
    RUNNEL_TRY_ASSIGN(ExpressionRef right, expression(binding + 1));
    return make(Binary{op, std::move(left), std::move(right)}, place);
  }
  if (accept("is")) return is_test(std::move(left), place);
  const bool negated = accept("not");
  return comparison_word(std::move(left), negated, place);
}

Result<ExpressionRef> Parser::is_test(ExpressionRef left, Place place) {
  const bool negated = accept("not");
  if (accept("null")) return make(IsNull{std::move(left), negated}, place);
  if (accept_all({"distinct", "from"})) {
    RUNNEL_TRY_ASSIGN(ExpressionRef right, expression(kCompareBinds));
    return make(IsDistinct{std::move(left), std::move(right), negated}, place);
  }
  // x IS TRUE is never null: it is what x IS NOT DISTINCT FROM TRUE says.
  for (const char* const truth : {"true", "false"}) {
    if (!sees(truth)) continue;
    ExpressionRef right = make(Literal{LiteralKind::kBoolean, take().text}, place);
    return make(IsDistinct{std::move(left), std::move(right), !negated}, place);
  }
  return unexpected("NULL, TRUE, FALSE or DISTINCT FROM", {"null", "true", "false", "distinct"});
}

Result<ExpressionRef> Parser::comparison_word(ExpressionRef left, bool negated, Place place) {
  if (accept("in")) {
    RUNNEL_TRY(expect_symbol("("));
    RUNNEL_TRY_ASSIGN(std::vector<ExpressionRef> values, list());
    RUNNEL_TRY(expect_symbol(")"));
    return make(InList{std::move(left), std::move(values), negated}, place);
  }
  if (accept("between")) {
    RUNNEL_TRY_ASSIGN(ExpressionRef low, expression(kOtherBinds));
    RUNNEL_TRY(expect("and"));
    RUNNEL_TRY_ASSIGN(ExpressionRef high, expression(kOtherBinds));
    return make(Between{std::move(left), std::move(low), std::move(high), negated}, place);
  }
  const bool any_case = sees("ilike");
  take();
  RUNNEL_TRY_ASSIGN(ExpressionRef pattern, expression(kOtherBinds));
  return make(Like{std::move(left), std::move(pattern), any_case, negated}, place);
}

Result<ExpressionRef> Parser::case_of(Place place) {
  Case whole;
  if (!sees("when")) {
    RUNNEL_TRY_ASSIGN(whole.subject, expression());
  }
  while (accept("when")) {
    RUNNEL_TRY_ASSIGN(ExpressionRef when, expression());
    RUNNEL_TRY(expect("then"));
    RUNNEL_TRY_ASSIGN(ExpressionRef then, expression());
    whole.branches.emplace_back(std::move(when), std::move(then));
  }
  if (whole.branches.empty()) return unexpected("WHEN", {"when"});
  if (accept("else")) {
    RUNNEL_TRY_ASSIGN(whole.otherwise, expression());
  }
  RUNNEL_TRY(expect("end"));
  return make(std::move(whole), place);
}

Result<ExpressionRef> Parser::cast(bool lenient, Place place) {
  RUNNEL_TRY(expect_symbol("("));
  RUNNEL_TRY_ASSIGN(ExpressionRef operand, expression());
  RUNNEL_TRY(expect("as"));
  RUNNEL_TRY_ASSIGN(const Type to, type());
  RUNNEL_TRY(expect_symbol(")"));
  return make(Cast{std::move(operand), to, lenient}, place);
}

Result<ExpressionRef> Parser::extract(Place place) {
  RUNNEL_TRY(expect_symbol("("));
  Extract part;
  if (peek().kind == TokenKind::kString) {
    part.field = take().text;
  } else {
    RUNNEL_TRY_ASSIGN(Name field, name("a part of a time, such as YEAR or HOUR"));
    part.field = std::move(field.text);
  }
  RUNNEL_TRY(expect("from"));
  RUNNEL_TRY_ASSIGN(part.operand, expression());
  RUNNEL_TRY(expect_symbol(")"));
  return make(std::move(part), place);
}

Result<ExpressionRef> Parser::call(Name function) {
  Call made;
  made.function = std::move(function.text);
  RUNNEL_TRY(expect_symbol("("));
  if (accept_symbol("*")) {
    made.star = true;
  } else if (!sees_symbol(")")) {
    made.distinct = accept("distinct");
    RUNNEL_TRY_ASSIGN(made.arguments, list());
  }
  RUNNEL_TRY(expect_symbol(")"));
  if (accept("filter")) {
    RUNNEL_TRY(expect_symbol("("));
    RUNNEL_TRY(expect("where"));
    RUNNEL_TRY_ASSIGN(made.filter, expression());
    RUNNEL_TRY(expect_symbol(")"));
  }
  return make(std::move(made), function.place);
}

Result<std::vector<ExpressionRef>> Parser::list() {
  std::vector<ExpressionRef> values;
  do {
    RUNNEL_TRY_ASSIGN(ExpressionRef value, expression());
    values.push_back(std::move(value));
  } while (accept_symbol(","));
  return values;
}

Result<Type> Parser::type() {
  struct Row {
    std::string_view word;
    TypeKind kind;
  };
  static constexpr std::array<Row, 16> kTypes{{{"boolean", TypeKind::kBoolean},
                                               {"bool", TypeKind::kBoolean},
                                               {"bigint", TypeKind::kBigint},
                                               {"integer", TypeKind::kBigint},
                                               {"int", TypeKind::kBigint},
                                               {"int8", TypeKind::kBigint},
                                               {"double", TypeKind::kDouble},
                                               {"float8", TypeKind::kDouble},
                                               {"decimal", TypeKind::kDecimal},
                                               {"numeric", TypeKind::kDecimal},
                                               {"varchar", TypeKind::kVarchar},
                                               {"text", TypeKind::kVarchar},
                                               {"timestamptz", TypeKind::kTimestamp},
                                               {"timestamp", TypeKind::kTimestamp},
                                               {"date", TypeKind::kDate},
                                               {"json", TypeKind::kJson}}};
  const auto row =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const Row& r) { return sees(r.word); });
  if (row == kTypes.end()) {
    return unexpected(
        "a type (BOOLEAN, BIGINT, DOUBLE, DECIMAL(p,s), VARCHAR, TIMESTAMPTZ, DATE, "
        "JSON)",
        {"boolean", "bigint", "double", "decimal", "numeric", "varchar", "text", "timestamptz",
         "date", "json"});
  }
  const Place place = take().place;
  Type found{row->kind, 0, 0};
  if (row->word == "double") accept("precision");
  if (row->word == "timestamp" && !accept_all({"with", "time", "zone"})) {
    return fail(error_at(place, "TIMESTAMP alone has no time zone; write TIMESTAMPTZ, an instant"));
  }
  if (found.kind != TypeKind::kDecimal) return found;
  constexpr std::uint8_t kUsualDigits = 18;
  found.precision = kUsualDigits;
  if (!accept_symbol("(")) return found;
  RUNNEL_TRY_ASSIGN(const std::uint64_t digits, count("how many digits"));
  std::uint64_t behind = 0;
  if (accept_symbol(",")) {
    RUNNEL_TRY_ASSIGN(behind, count("how many digits behind the point"));
  }
  RUNNEL_TRY(expect_symbol(")"));
  if (digits == 0 || digits > kMaxDecimalDigits || behind > digits) {
    return fail(error_at(place, "DECIMAL has 1 to " + std::to_string(kMaxDecimalDigits) +
                                    " digits, and at most as many behind the point"));
  }
  found.precision = static_cast<std::uint8_t>(digits);
  found.scale = static_cast<std::uint8_t>(behind);
  return found;
}

}  // namespace runnel::storage::sql
