#include <algorithm>
#include <limits>

#include "storage/views/sql/parser_impl.h"

namespace runnel::storage::sql {

Result<std::vector<Parsed>> parse(std::string_view text) {
  RUNNEL_TRY_ASSIGN(auto tokens, tokenize(text));
  return Parser(text, std::move(tokens)).script();
}

Result<Statement> parse_statement(std::string_view text) {
  RUNNEL_TRY_ASSIGN(auto all, parse(text));
  if (all.size() == 1) return std::move(all.front().statement);
  return fail(ErrorCode::kInvalidArgument,
              "one statement is expected, and there are " + std::to_string(all.size()));
}

Result<ExpressionRef> parse_expression(std::string_view text) {
  RUNNEL_TRY_ASSIGN(auto tokens, tokenize(text));
  return Parser(text, std::move(tokens)).lone_expression();
}

// ---------------------------------------------------------------- the cursor
bool Parser::accept(std::string_view word) {
  if (!sees(word)) return false;
  take();
  return true;
}

bool Parser::accept_symbol(std::string_view symbol) {
  if (!sees_symbol(symbol)) return false;
  take();
  return true;
}

bool Parser::accept_all(std::initializer_list<std::string_view> words) {
  std::size_t i = 0;
  for (const std::string_view word : words) {
    if (!sees(word, i++)) return false;
  }
  at_ += words.size();
  return true;
}

Status Parser::expect(std::string_view word) {
  if (accept(word)) return {};
  std::string upper(word);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return unexpected(upper, {word});
}

Status Parser::expect_symbol(std::string_view symbol) {
  if (accept_symbol(symbol)) return {};
  return unexpected(symbol);
}

tl::unexpected<Error> Parser::unexpected(std::string_view expected,
                                         std::initializer_list<std::string_view> words) const {
  std::string what = "expected ";
  what += expected;
  what += ", found " + shown(peek());
  if (peek().kind == TokenKind::kName) {
    if (const auto meant = nearest(peek().text, words)) {
      what += "; did you mean " + std::string(*meant) + "?";
    }
  }
  return fail(error_at(peek().place, what));
}

Result<Name> Parser::name(std::string_view what) {
  if (peek().kind != TokenKind::kName && peek().kind != TokenKind::kQuotedName) {
    return unexpected(what);
  }
  const Token& token = take();
  return Name{token.text, token.place};
}

Result<std::string> Parser::string(std::string_view what) {
  if (peek().kind != TokenKind::kString) return unexpected(what);
  return take().text;
}

Result<std::uint64_t> Parser::count(std::string_view what) {
  if (peek().kind != TokenKind::kInteger) return unexpected(what);
  const Place place = peek().place;
  std::uint64_t value = 0;
  for (const char c : take().text) {
    if (__builtin_mul_overflow(value, 10U, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) {
      return fail(error_at(place, "this number is too large"));
    }
  }
  return value;
}

// ---------------------------------------------------------------- statements
Result<std::vector<Parsed>> Parser::script() {
  std::vector<Parsed> all;
  while (true) {
    while (accept_symbol(";")) {
    }
    if (at_end()) return all;
    const std::size_t first = at_;
    operators_ = 0;
    RUNNEL_TRY_ASSIGN(Statement made, statement());
    if (!at_end() && !sees_symbol(";")) return unexpected("a semicolon or the end");
    all.push_back({std::move(made), text_of(first, at_)});
  }
}

/// The text from one token up to another, without what separates it from that.
std::string Parser::text_of(std::size_t first, std::size_t end) const {
  const std::size_t from = tokens_[first].at;
  std::string_view text = text_.substr(from, tokens_[end].at - from);
  const std::size_t last = text.find_last_not_of(" \t\r\n\f");
  return std::string(text.substr(0, last + 1));
}

Result<Statement> Parser::statement() {
  if (sees("select") || sees("with")) return lone_query();
  if (accept("create")) return create();
  if (accept("insert")) return insert();
  if (accept("drop")) return drop();
  if (accept("alter")) return alter();
  if (accept("show")) return show();
  if (accept("subscribe")) return subscribe();
  if (accept("explain")) return explain();
  if (accept("describe") || accept("desc")) {
    Describe made;
    RUNNEL_TRY_ASSIGN(made.name, name("the name of a source, a table or a view"));
    return made;
  }
  if (accept("verify")) {
    accept_all({"materialized", "view"});
    Verify made;
    RUNNEL_TRY_ASSIGN(made.name, name("the name of a view"));
    return made;
  }
  return unexpected(
      "a statement (SELECT, CREATE, INSERT, DROP, ALTER, SHOW, DESCRIBE, EXPLAIN, "
      "VERIFY, SUBSCRIBE)",
      {"select", "create", "insert", "drop", "alter", "show", "describe", "explain", "verify",
       "subscribe"});
}

Result<ObjectKind> Parser::object_kind() {
  if (accept_all({"materialized", "view"}) || accept("view")) return ObjectKind::kView;
  if (accept("source")) return ObjectKind::kSource;
  if (accept("table")) return ObjectKind::kTable;
  if (accept("stream")) return ObjectKind::kStream;
  return unexpected("MATERIALIZED VIEW, SOURCE, TABLE or STREAM",
                    {"materialized", "view", "source", "table", "stream"});
}

Result<Drop> Parser::drop() {
  Drop made;
  RUNNEL_TRY_ASSIGN(made.kind, object_kind());
  made.if_exists = accept_all({"if", "exists"});
  RUNNEL_TRY_ASSIGN(made.name, name("a name"));
  made.cascade = accept("cascade");
  return made;
}

Result<Alter> Parser::alter() {
  Alter made;
  RUNNEL_TRY_ASSIGN(made.kind, object_kind());
  RUNNEL_TRY_ASSIGN(made.name, name("a name"));
  if (accept("pause")) {
    made.action = Alter::Action::kPause;
  } else if (accept("resume")) {
    made.action = Alter::Action::kResume;
  } else if (accept("set")) {
    RUNNEL_TRY_ASSIGN(made.options, options());
  } else {
    return unexpected("SET (option = 'value'), PAUSE or RESUME", {"set", "pause", "resume"});
  }
  return made;
}

Result<Show> Parser::show() {
  if (accept("all")) return Show{ObjectKind::kView, true};
  if (accept_all({"materialized", "views"}) || accept("views")) return Show{ObjectKind::kView};
  if (accept("sources")) return Show{ObjectKind::kSource};
  if (accept("tables")) return Show{ObjectKind::kTable};
  if (accept("streams")) return Show{ObjectKind::kStream};
  return unexpected("MATERIALIZED VIEWS, SOURCES, TABLES, STREAMS or ALL",
                    {"materialized", "views", "sources", "tables", "streams", "all"});
}

Result<Subscribe> Parser::subscribe() {
  Subscribe made;
  accept("to");
  RUNNEL_TRY_ASSIGN(made.view, name("the name of a view"));
  if (accept("where")) {
    RUNNEL_TRY_ASSIGN(made.where, expression());
  }
  if (accept("with")) {
    RUNNEL_TRY_ASSIGN(made.options, options());
  }
  return made;
}

Result<Explain> Parser::explain() {
  if (sees("explain")) return unexpected("a statement other than EXPLAIN");
  RUNNEL_TRY_ASSIGN(Statement inner, statement());
  return Explain{std::make_unique<Statement>(std::move(inner))};
}

/// (name = value, name, ...): a name alone is one that is switched on.
Result<std::vector<Option>> Parser::options() {
  std::vector<Option> all;
  RUNNEL_TRY(expect_symbol("("));
  do {
    Option option;
    RUNNEL_TRY_ASSIGN(option.name, name("the name of an option"));
    if (!accept_symbol("=")) {
      option.value = "true";
    } else if (peek().kind == TokenKind::kEnd || peek().kind == TokenKind::kSymbol) {
      return unexpected("a value, in quotes");
    } else {
      option.value = take().text;
    }
    for (const Option& other : all) {
      if (other.name.text == option.name.text) {
        return fail(
            error_at(option.name.place, "the option " + other.name.text + " is there already"));
      }
    }
    all.push_back(std::move(option));
  } while (accept_symbol(","));
  RUNNEL_TRY(expect_symbol(")"));
  return all;
}

}  // namespace runnel::storage::sql
