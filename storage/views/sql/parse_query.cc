#include <array>
#include <limits>

#include "storage/views/sql/parser_impl.h"

namespace runnel::storage::sql {
namespace {

/// Words behind an item of a FROM that are no alias.
bool ends_item(const Token& token) {
  static constexpr std::array<std::string_view, 17> kWords{
      "where", "group", "having", "order", "limit",  "offset", "join",  "left",  "inner",
      "on",    "with",  "emit",   "union", "except", "right",  "cross", "filter"};
  return token.kind == TokenKind::kName &&
         std::find(kWords.begin(), kWords.end(), token.text) != kWords.end();
}

struct WindowRow {
  std::string_view name;
  WindowKind kind;
  std::size_t intervals;
  std::string_view form;
};
constexpr std::array<WindowRow, 4> kWindows{{
    {"tumble", WindowKind::kTumble, 1, "TUMBLE(source, time, INTERVAL size)"},
    {"hop", WindowKind::kHop, 2, "HOP(source, time, INTERVAL slide, INTERVAL size)"},
    {"session", WindowKind::kSession, 1, "SESSION(source, time, INTERVAL gap)"},
    {"cumulate", WindowKind::kCumulate, 2, "CUMULATE(source, time, INTERVAL step, INTERVAL size)"},
}};

struct UnitRow {
  std::string_view name;
  std::int64_t months;
  std::int64_t days;
  std::int64_t millis;
};
constexpr std::array<UnitRow, 9> kUnits{{{"year", 12, 0, 0},
                                         {"quarter", 3, 0, 0},
                                         {"month", 1, 0, 0},
                                         {"week", 0, 7, 0},
                                         {"day", 0, 1, 0},
                                         {"hour", 0, 0, 3'600'000},
                                         {"minute", 0, 0, 60'000},
                                         {"second", 0, 0, 1000},
                                         {"millisecond", 0, 0, 1}}};

const UnitRow* unit_of(std::string_view word) {
  for (const UnitRow& row : kUnits) {
    if (word == row.name) return &row;
    if (word.size() == row.name.size() + 1 && word.starts_with(row.name) && word.back() == 's') {
      return &row;
    }
  }
  return nullptr;
}

bool add_times(std::int64_t& to, std::int64_t count, std::int64_t each) {
  std::int64_t product = 0;
  return !__builtin_mul_overflow(count, each, &product) &&
         !__builtin_add_overflow(to, product, &to);
}

/// Words of an interval's text, lower-cased.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    if (!add_times(value, value, 9) || __builtin_add_overflow(value, c - '0', &value)) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

/// "[-]hours:minutes[:seconds]" in milliseconds.
std::optional<std::int64_t> clock_millis(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::int64_t millis = 0;
  std::int64_t unit = 3'600'000;
  std::size_t parts = 0;
  while (true) {
    const std::size_t colon = text.find(':');
    const auto value = whole_number(text.substr(0, colon));
    constexpr std::int64_t kSixty = 60;
    if (!value || *value < 0 || (parts != 0 && *value >= kSixty)) return std::nullopt;
    if (!add_times(millis, *value, unit)) return std::nullopt;
    ++parts;
    unit /= kSixty;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  if (parts < 2 || parts > 3) return std::nullopt;
  return negative ? -millis : millis;
}

}  // namespace

Result<Interval> parse_interval(std::string_view text) {
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text) +
                    "' is no span of time; write one as '5 minutes', '1 day' or '1 hour 30 "
                    "minutes' (milliseconds to years)");
  };
  const std::vector<std::string> words = words_of(text);
  if (words.empty()) return wrong();
  Interval span;
  for (std::size_t i = 0; i < words.size();) {
    if (const auto clock = clock_millis(words[i]); clock) {
      if (!add_times(span.millis, *clock, 1)) return wrong();
      ++i;
      continue;
    }
    const auto count = whole_number(words[i]);
    const UnitRow* const unit = i + 1 < words.size() ? unit_of(words[i + 1]) : nullptr;
    if (!count || unit == nullptr) return wrong();
    if (!add_times(span.months, *count, unit->months) ||
        !add_times(span.days, *count, unit->days) ||
        !add_times(span.millis, *count, unit->millis)) {
      return wrong();
    }
    i += 2;
  }
  return span;
}

/// INTERVAL '5' MINUTE, or INTERVAL '5 minutes'.
Result<Interval> Parser::interval() {
  RUNNEL_TRY(expect("interval"));
  const Place place = peek().place;
  RUNNEL_TRY_ASSIGN(std::string span, string("a span of time in quotes, such as '5 minutes'"));
  if (peek().kind == TokenKind::kName && unit_of(peek().text) != nullptr && whole_number(span)) {
    span += " " + take().text;
  }
  const auto parsed = parse_interval(span);
  if (!parsed) return fail(error_at(place, parsed.error().message()));
  return *parsed;
}

Result<Query> Parser::lone_query() {
  const std::size_t first = at_;
  const std::size_t operators = operators_;
  auto made = query();
  if (made && (at_end() || sees_symbol(";"))) return made;
  std::size_t end = first;
  while (tokens_[end].kind != TokenKind::kEnd &&
         !(tokens_[end].kind == TokenKind::kSymbol && tokens_[end].text == ";")) {
    ++end;
  }
  // The error is about what is known here; of other SQL it would mislead.
  if (!is_beyond(first, end)) return made;
  at_ = end;
  operators_ = operators;
  Query beyond;
  beyond.place = tokens_[first].place;
  beyond.beyond = true;
  return beyond;
}

bool Parser::is_beyond(std::size_t first, std::size_t end) const {
  const auto word = [&](std::size_t at, std::string_view text) {
    return at < end && tokens_[at].kind == TokenKind::kName && tokens_[at].text == text;
  };
  const auto symbol = [&](std::size_t at, std::string_view text) {
    return at < end && tokens_[at].kind == TokenKind::kSymbol && tokens_[at].text == text;
  };
  if (word(first, "with")) return true;
  for (std::size_t at = first + 1; at < end; ++at) {
    const bool set = word(at, "union") || word(at, "except") || word(at, "intersect");
    const bool join =
        (word(at, "cross") || word(at, "natural") || word(at, "right") || word(at, "full")) &&
        (word(at + 1, "join") || word(at + 1, "outer") || word(at + 1, "left"));
    const bool over = word(at, "over") && symbol(at - 1, ")");
    const bool using_columns = word(at, "using") && symbol(at + 1, "(");
    const bool subquery = word(at, "select") && symbol(at - 1, "(");
    const bool star = symbol(at, "*") && symbol(at - 1, ".");
    if (set || join || over || using_columns || subquery || star) return true;
  }
  return false;
}

Result<Query> Parser::query() {
  Query query;
  query.place = peek().place;
  RUNNEL_TRY(expect("select"));
  query.distinct = accept("distinct");
  RUNNEL_TRY(select_items(query));
  if (accept("from")) RUNNEL_TRY(from_clause(query));
  if (accept("where")) {
    RUNNEL_TRY_ASSIGN(query.where, expression());
  }
  if (accept("group")) {
    RUNNEL_TRY(expect("by"));
    RUNNEL_TRY_ASSIGN(query.group_by, list());
  }
  if (accept("having")) {
    RUNNEL_TRY_ASSIGN(query.having, expression());
  }
  if (accept("order")) {
    RUNNEL_TRY(expect("by"));
    RUNNEL_TRY(order_by(query));
  }
  if (accept("limit")) {
    RUNNEL_TRY_ASSIGN(query.limit, count("how many rows"));
  }
  if (accept("offset")) {
    RUNNEL_TRY_ASSIGN(query.offset, count("how many rows to leave out"));
  }
  return query;
}

Status Parser::select_items(Query& query) {
  do {
    SelectItem item;
    item.place = peek().place;
    if (!accept_symbol("*")) {
      RUNNEL_TRY_ASSIGN(item.expression, expression());
      RUNNEL_TRY_ASSIGN(item.alias, alias());
    }
    query.items.push_back(std::move(item));
  } while (accept_symbol(","));
  return {};
}

/// AS name, or a name by itself that is no keyword of what follows.
Result<std::optional<Name>> Parser::alias() {
  const bool says_so = accept("as");
  const bool is_name = peek().kind == TokenKind::kQuotedName ||
                       (peek().kind == TokenKind::kName && !ends_item(peek()) && !sees("from"));
  if (!says_so && !is_name) return std::optional<Name>();
  RUNNEL_TRY_ASSIGN(Name found, name("a name behind AS"));
  return std::optional<Name>(std::move(found));
}

Status Parser::from_clause(Query& query) {
  RUNNEL_TRY_ASSIGN(query.from, from_item());
  while (true) {
    Join join;
    if (accept("left")) {
      accept("outer");
      join.left = true;
      RUNNEL_TRY(expect("join"));
    } else if (accept("inner")) {
      RUNNEL_TRY(expect("join"));
    } else if (!accept("join")) {
      return {};
    }
    RUNNEL_TRY_ASSIGN(join.table, from_item());
    RUNNEL_TRY(expect("on"));
    RUNNEL_TRY_ASSIGN(join.on, expression());
    query.joins.push_back(std::move(join));
  }
}

Result<FromItem> Parser::from_item() {
  FromItem item;
  if (sees_symbol("(", 1)) {
    RUNNEL_TRY(window(item));
  } else {
    RUNNEL_TRY_ASSIGN(item.source, name("a source, a table or a view"));
  }
  RUNNEL_TRY_ASSIGN(item.alias, alias());
  return item;
}

Status Parser::window(FromItem& item) {
  const auto row = std::find_if(kWindows.begin(), kWindows.end(),
                                [&](const WindowRow& r) { return sees(r.name); });
  if (row == kWindows.end()) {
    return unexpected("TUMBLE, HOP, SESSION, CUMULATE or a name without brackets",
                      {"tumble", "hop", "session", "cumulate"});
  }
  item.window = row->kind;
  const Place place = take().place;
  RUNNEL_TRY(expect_symbol("("));
  RUNNEL_TRY_ASSIGN(item.source, name("a source"));
  RUNNEL_TRY(expect_symbol(","));
  RUNNEL_TRY_ASSIGN(item.time, name("the source's column of time"));
  while (accept_symbol(",")) {
    RUNNEL_TRY_ASSIGN(const Interval span, interval());
    item.intervals.push_back(span);
  }
  if (item.intervals.size() != row->intervals) {
    return fail(error_at(place, "it is " + std::string(row->form)));
  }
  return expect_symbol(")");
}

Status Parser::order_by(Query& query) {
  do {
    OrderItem item;
    RUNNEL_TRY_ASSIGN(item.expression, expression());
    if (accept("desc")) {
      item.descending = true;
    } else {
      accept("asc");
    }
    if (accept("nulls")) {
      item.nulls_first = accept("first");
      if (!*item.nulls_first) RUNNEL_TRY(expect("last"));
    }
    query.order_by.push_back(std::move(item));
  } while (accept_symbol(","));
  return {};
}

}  // namespace runnel::storage::sql
