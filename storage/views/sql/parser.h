// Text to statements. A hand-written recursive descent; expressions by binding power.
#pragma once

#include <string_view>
#include <vector>

#include "storage/views/sql/ast.h"

namespace runnel::storage::sql {

/// Brackets, CASE, functions and the like in each other.
inline constexpr std::size_t kMaxDepth = 200;
/// In one statement. A chain of them is a tree as deep, and whoever walks it needs the stack.
inline constexpr std::size_t kMaxOperators = 4000;

/// A statement and the text that it was written as, without the semicolon and what surrounds it.
struct Parsed {
  Statement statement;
  std::string text;
};

/// Statements, separated by semicolons. kInvalidArgument: line, column, what was expected and what
/// stands there; the nearest keyword where one was probably meant.
[[nodiscard]] Result<std::vector<Parsed>> parse(std::string_view text);
/// Exactly one.
[[nodiscard]] Result<Statement> parse_statement(std::string_view text);
/// A condition or value by itself, as filters have them.
[[nodiscard]] Result<ExpressionRef> parse_expression(std::string_view text);
/// "5 minutes", "1 day 12:30:00", "-2 months". kInvalidArgument: what is wrong with it.
[[nodiscard]] Result<Interval> parse_interval(std::string_view text);

}  // namespace runnel::storage::sql
