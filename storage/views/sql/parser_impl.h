// The parser; private to parse_*.cc. A method that takes tokens leaves the cursor behind what it
// read; errors name the token at the cursor.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/views/sql/nearest.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::sql {

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens)
      : text_(text), tokens_(std::move(tokens)) {}

  [[nodiscard]] Result<std::vector<Parsed>> script();
  [[nodiscard]] Result<ExpressionRef> lone_expression();

 private:
  // ---- the cursor (parse_statement.cc)
  [[nodiscard]] const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  [[nodiscard]] bool at_end() const { return peek().kind == TokenKind::kEnd; }
  [[nodiscard]] bool sees(std::string_view word, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kName && peek(ahead).text == word;
  }
  [[nodiscard]] bool sees_symbol(std::string_view symbol, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kSymbol && peek(ahead).text == symbol;
  }
  const Token& take() { return tokens_[at_ == tokens_.size() - 1 ? at_ : at_++]; }
  bool accept(std::string_view word);
  bool accept_symbol(std::string_view symbol);
  /// All of them or none.
  bool accept_all(std::initializer_list<std::string_view> words);
  [[nodiscard]] Status expect(std::string_view word);
  [[nodiscard]] Status expect_symbol(std::string_view symbol);
  /// "expected X, found Y", and which of `words` was probably meant.
  [[nodiscard]] tl::unexpected<Error> unexpected(
      std::string_view expected, std::initializer_list<std::string_view> words = {}) const;
  [[nodiscard]] Result<Name> name(std::string_view what);
  [[nodiscard]] Result<std::string> string(std::string_view what);
  [[nodiscard]] Result<std::uint64_t> count(std::string_view what);
  [[nodiscard]] std::string text_of(std::size_t first, std::size_t end) const;

  // ---- statements (parse_statement.cc, parse_create.cc)
  [[nodiscard]] Result<Statement> statement();
  [[nodiscard]] Result<Statement> create();
  [[nodiscard]] Result<CreateSource> create_source(bool table, bool or_replace);
  [[nodiscard]] Status source_element(CreateSource& source);
  [[nodiscard]] Result<SourceColumn> source_column();
  [[nodiscard]] Status source_tail(CreateSource& source);
  [[nodiscard]] Result<CreateView> create_view(bool or_replace);
  [[nodiscard]] Result<CreateStream> insert();
  [[nodiscard]] Result<Drop> drop();
  [[nodiscard]] Result<Alter> alter();
  [[nodiscard]] Result<Show> show();
  [[nodiscard]] Result<Subscribe> subscribe();
  [[nodiscard]] Result<Explain> explain();
  [[nodiscard]] Result<ObjectKind> object_kind();
  [[nodiscard]] Result<bool> if_not_exists();
  [[nodiscard]] Result<std::vector<Option>> options();

  // ---- queries (parse_query.cc)
  [[nodiscard]] Result<Query> query();
  /// A SELECT by itself, which may be one that these trees can't hold.
  [[nodiscard]] Result<Query> lone_query();
  [[nodiscard]] bool is_beyond(std::size_t first, std::size_t end) const;
  [[nodiscard]] Status select_items(Query& query);
  [[nodiscard]] Status from_clause(Query& query);
  [[nodiscard]] Status order_by(Query& query);
  [[nodiscard]] Result<FromItem> from_item();
  [[nodiscard]] Status window(FromItem& item);
  [[nodiscard]] Result<std::optional<Name>> alias();
  [[nodiscard]] Result<Interval> interval();

  // ---- expressions (parse_expression.cc)
  /// Operators that bind at least as strongly as `least`.
  [[nodiscard]] Result<ExpressionRef> expression(int least = 0);
  [[nodiscard]] Result<ExpressionRef> prefix();
  [[nodiscard]] Result<ExpressionRef> primary();
  [[nodiscard]] Result<ExpressionRef> named();
  [[nodiscard]] Result<ExpressionRef> infix(ExpressionRef left, int binding);
  [[nodiscard]] Result<ExpressionRef> comparison_word(ExpressionRef left, bool negated,
                                                      Place place);
  [[nodiscard]] Result<ExpressionRef> is_test(ExpressionRef left, Place place);
  [[nodiscard]] Result<ExpressionRef> case_of(Place place);
  [[nodiscard]] Result<ExpressionRef> cast(bool lenient, Place place);
  [[nodiscard]] Result<ExpressionRef> extract(Place place);
  [[nodiscard]] Result<ExpressionRef> call(Name function);
  [[nodiscard]] Result<std::vector<ExpressionRef>> list();
  [[nodiscard]] Result<Type> type();
  [[nodiscard]] int binding_of(const Token& token) const;

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t operators_ = 0;  ///< of the statement at hand
};

template <class Node>
[[nodiscard]] ExpressionRef make(Node node, Place place) {
  auto made = std::make_unique<Expression>();
  made->node = std::move(node);
  made->place = place;
  return made;
}

}  // namespace runnel::storage::sql
