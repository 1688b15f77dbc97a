#include "storage/views/adhoc/decimal_guard.h"

#include <algorithm>
#include <array>

#include "storage/views/sql/token.h"

namespace runnel::storage::views {
namespace {

using sql::Token;
using sql::TokenKind;

/// They look at no value, or give it as it is to nobody who compares it.
constexpr std::array<std::string_view, 10> kHarmless{"count", "row_number", "rank",  "dense_rank",
                                                     "ntile", "like",       "upper", "lower",
                                                     "trim",  "length"};
/// What gives a value that is no column any more: SQLite forgets that it is a decimal.
constexpr std::array<std::string_view, 6> kForgetful{"cast",   "case",      "union",
                                                     "except", "intersect", "values"};

/// Behind what a value ends with, a sign is an operator.
bool ends_value(const Token& token) {
  constexpr std::array<std::string_view, 17> kNoValues{
      "select", "distinct", "where", "and",  "or",   "not", "on",   "by",     "having",
      "limit",  "offset",   "then",  "when", "else", "in",  "like", "between"};
  if (token.kind == TokenKind::kSymbol) return token.text == ")" || token.text == "]";
  return token.kind != TokenKind::kName ||
         std::find(kNoValues.begin(), kNoValues.end(), token.text) == kNoValues.end();
}

tl::unexpected<Error> refused(const Token& token, std::string_view what) {
  return fail(sql::error_at(
      token.place,
      std::string(what) +
          ": the question reads DECIMAL columns and has a part that SQLite answers, which has no "
          "exact decimals; compute it in a view or in a SELECT without subqueries, WITH, UNION and "
          "OVER, which are exact, and read that here"));
}

/// A SELECT that stands for a value orders as a text: only where a column stands before it and a
/// comparison between them does the column's order hold.
bool is_bare_value(const std::vector<Token>& tokens, std::size_t bracket) {
  if (bracket == 0) return false;
  const Token& before = tokens[bracket - 1];
  if (before.kind == TokenKind::kName) {
    constexpr std::array<std::string_view, 6> kTables{"from", "join",   "as",
                                                      "in",   "exists", "materialized"};
    return std::find(kTables.begin(), kTables.end(), before.text) == kTables.end();
  }
  constexpr std::array<std::string_view, 8> kComparisons{
      "=", "==", "<>", "!=", "<", "<=", ">", ">="};
  const bool compared =
      before.kind == TokenKind::kSymbol &&
      std::find(kComparisons.begin(), kComparisons.end(), before.text) != kComparisons.end();
  const bool behind_name = bracket >= 2 && (tokens[bracket - 2].kind == TokenKind::kName ||
                                            tokens[bracket - 2].kind == TokenKind::kQuotedName);
  return !(compared && behind_name);
}

Status check_token(const std::vector<Token>& tokens, std::size_t at) {
  const Token& token = tokens[at];
  const Token& before = tokens[at == 0 ? 0 : at - 1];
  const bool subquery = token.kind == TokenKind::kSymbol && token.text == "(" &&
                        at + 1 < tokens.size() && tokens[at + 1].kind == TokenKind::kName &&
                        tokens[at + 1].text == "select";
  if (subquery && is_bare_value(tokens, at)) return refused(token, "a SELECT as a value");
  if (token.kind == TokenKind::kName &&
      std::find(kForgetful.begin(), kForgetful.end(), token.text) != kForgetful.end()) {
    return refused(token, token.text);
  }
  constexpr std::size_t kExactDigits = 15;
  const bool number = token.kind == TokenKind::kNumber || token.kind == TokenKind::kInteger;
  if (number && token.text.size() > kExactDigits) {
    return refused(token, token.text + " has more digits than SQLite keeps; write it in quotes");
  }
  if (token.kind != TokenKind::kSymbol) return {};
  const bool after_value = at > 0 && ends_value(before);
  const bool sign = token.text == "+" || token.text == "-";
  const bool operation = token.text == "/" || token.text == "%" || token.text == "<<" ||
                         token.text == ">>" || token.text == "&" || token.text == "|" ||
                         token.text == "||" || token.text == "~";
  // COUNT(*), SELECT *, t.* and , * are no products.
  const bool product = token.text == "*" && after_value;
  // A minus may stand before a number, but - - x and - column compute.
  const bool of_number = at + 1 < tokens.size() && (tokens[at + 1].kind == TokenKind::kNumber ||
                                                    tokens[at + 1].kind == TokenKind::kInteger);
  const bool computes = sign && (after_value || !of_number);
  if (operation || product || computes) return refused(token, token.text);
  return {};
}

}  // namespace

Status check_decimals(std::string_view sql, const std::set<std::string>& functions) {
  const auto tokens = sql::tokenize(sql);
  if (!tokens) return fail(tokens.error());
  for (const std::string& function : functions) {
    if (std::find(kHarmless.begin(), kHarmless.end(), function) != kHarmless.end()) continue;
    const auto at = std::find_if(tokens->begin(), tokens->end(), [&](const Token& token) {
      return token.kind == TokenKind::kName && token.text == function;
    });
    return refused(at == tokens->end() ? tokens->front() : *at, function);
  }
  for (std::size_t at = 0; at < tokens->size(); ++at) {
    const Status sound = check_token(*tokens, at);
    if (!sound) return sound;
  }
  return {};
}

}  // namespace runnel::storage::views
