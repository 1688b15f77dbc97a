#include "tools/text/sql_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "tools/text/answer_text.h"

namespace runnel::tools {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

bool is_blank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

/// Takes "line " and a number and the like off the front.
bool take_number(std::string_view& text, std::string_view before, std::uint32_t& out) {
  if (!text.starts_with(before)) return false;
  text.remove_prefix(before.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// The first `characters` of `line`.
std::string_view first_of(std::string_view line, std::size_t characters) {
  std::size_t at = 0;
  while (at < line.size() && characters > 0) {
    ++at;
    while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80) ++at;
    --characters;
  }
  return line.substr(0, at);
}

}  // namespace

std::vector<SqlPiece> SqlSplitter::add(std::string_view text) {
  std::vector<SqlPiece> out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    const bool ends = c == ';' && state_ == State::kPlain && !skip_;
    if (ends) {
      if (begun_) {
        text_.erase(text_.find_last_not_of(kBlanks) + 1);
        out.push_back({std::move(text_), start_.line, start_.column});
      }
      text_.clear();
      begun_ = false;
    } else {
      // Neither within a comment nor the start or end of one.
      const bool plain = state_ == State::kPlain && !skip_;
      step(c, next);
      const bool matters =
          plain && !is_blank(c) && state_ != State::kLineComment && state_ != State::kComment;
      if (matters && !begun_) {
        begun_ = true;
        start_.line = line_;
        start_.column = column_;
        text_.clear();  // comments before it
      }
      text_ += c;
    }
    if (c == '\n') {
      ++line_;
      column_ = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++column_;
    }
  }
  return out;
}

void SqlSplitter::step(char c, char next) {
  if (std::exchange(skip_, false)) return;
  switch (state_) {
    case State::kPlain:
      if (c == '\'') state_ = State::kString;
      if (c == '"') state_ = State::kName;
      if (c == '-' && next == '-') state_ = State::kLineComment;
      if (c == '/' && next == '*') {
        state_ = State::kComment;
        depth_ = 1;
        skip_ = true;
      }
      break;
    case State::kString:  // a doubled quote ends one and begins the next
      if (c == '\'') state_ = State::kPlain;
      break;
    case State::kName:
      if (c == '"') state_ = State::kPlain;
      break;
    case State::kLineComment:
      if (c == '\n') state_ = State::kPlain;
      break;
    case State::kComment:
      if (c == '/' && next == '*') {
        ++depth_;
        skip_ = true;
      } else if (c == '*' && next == '/') {
        skip_ = true;
        if (--depth_ == 0) state_ = State::kPlain;
      }
      break;
  }
}

SqlPiece SqlSplitter::rest() const {
  if (!begun_) return {};
  SqlPiece piece{text_, start_.line, start_.column};
  piece.text.erase(piece.text.find_last_not_of(kBlanks) + 1);
  return piece;
}

std::string first_word(std::string_view sql) {
  const std::size_t begin = std::min(sql.find_first_not_of(kBlanks), sql.size());
  std::size_t end = begin;
  std::string word;
  while (end < sql.size() && std::isalpha(static_cast<unsigned char>(sql[end])) != 0) {
    word += static_cast<char>(std::toupper(static_cast<unsigned char>(sql[end++])));
  }
  return word;
}

std::string with_caret(const std::string& message, const SqlPiece& piece) {
  std::string_view left = message;
  std::uint32_t line = 0, column = 0;
  if (!take_number(left, "line ", line) || !take_number(left, ", column ", column) || line == 0 ||
      column == 0) {
    return message;
  }
  std::string_view text = piece.text;
  for (std::uint32_t skipped = 1; skipped < line; ++skipped) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return message;
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  const std::uint32_t shown_column = line == 1 ? column + piece.column - 1 : column;
  const std::string before = printable(first_of(text, column - 1));
  return "line " + std::to_string(line + piece.line - 1) + ", column " +
         std::to_string(shown_column) + std::string(left) + "\n  " + printable(text) + "\n  " +
         std::string(display_width(before), ' ') + "^";
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + "\"";
}

std::string quoted_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

}  // namespace runnel::tools
