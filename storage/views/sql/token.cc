#include "storage/views/sql/token.h"

#include <algorithm>
#include <array>
#include <optional>

namespace runnel::storage::sql {
namespace {

constexpr std::array<std::string_view, 11> kLongSymbols{"->>", "->", "::", "<=", ">=", "<>",
                                                        "!=",  "||", "#>", "=>", ".."};
constexpr std::string_view kSymbols = "()[],;.+-*/%<>=:";
constexpr std::size_t kShownBytes = 40;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool continues_name(char c) {
  return begins_name(c) || is_digit(c) || c == '$';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Bytes of the UTF-8 character that begins here; 0 if none does.
std::size_t character_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80                    ? 1
                           : lead >= 0xc2 && lead <= 0xdf ? 2
                           : (lead & 0xf0) == 0xe0        ? 3
                           : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                          : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  const auto second = size > 1 ? static_cast<unsigned char>(text[1]) : 0;
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool surrogate = lead == 0xed && second >= 0xa0;
  const bool too_great = lead == 0xf4 && second >= 0x90;
  return overlong || surrogate || too_great ? 0 : size;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    if (text_.size() > kMaxStatementBytes) {
      return fail(ErrorCode::kInvalidArgument,
                  "the SQL has " + std::to_string(text_.size()) + " bytes, at most " +
                      std::to_string(kMaxStatementBytes) + " are read");
    }
    RUNNEL_TRY(check_text());
    std::vector<Token> tokens;
    while (true) {
      RUNNEL_TRY(skip_space());
      Token token;
      token.place = place_;
      token.at = at_;
      if (at_end()) {
        tokens.push_back(std::move(token));
        return tokens;
      }
      RUNNEL_TRY(read(token));
      tokens.push_back(std::move(token));
    }
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool sees(std::string_view what) const {
    return text_.substr(at_).starts_with(what);
  }

  char take() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++place_.line;
      place_.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++place_.column;
    }
    return c;
  }

  Status check_text() {
    Place place;
    for (std::size_t i = 0; i < text_.size();) {
      const std::size_t size = character_bytes(text_.substr(i));
      if (size == 0) return fail(error_at(place, "the text is no valid UTF-8 here"));
      if (text_[i] == '\0') return fail(error_at(place, "a zero byte has no place in SQL"));
      place = text_[i] == '\n' ? Place{place.line + 1, 1} : Place{place.line, place.column + 1};
      i += size;
    }
    return {};
  }

  Status skip_space() {
    while (!at_end()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        take();
      } else if (sees("--")) {
        while (!at_end() && peek() != '\n') take();
      } else if (sees("/*")) {
        RUNNEL_TRY(skip_comment());
      } else {
        return {};
      }
    }
    return {};
  }

  Status skip_comment() {
    const Place begun = place_;
    std::size_t depth = 0;
    do {
      if (at_end()) return fail(error_at(begun, "this comment has no end: */ is missing"));
      const bool opens = sees("/*");
      const bool closes = sees("*/");
      take();
      if (opens || closes) take();
      depth = opens ? depth + 1 : closes ? depth - 1 : depth;
    } while (depth != 0);
    return {};
  }

  Status read(Token& token) {
    const char c = peek();
    if (c == '\'') return read_quoted(token, '\'', TokenKind::kString);
    if (c == '"') return read_quoted(token, '"', TokenKind::kQuotedName);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return read_number(token);
    if (begins_name(c)) return read_name(token);
    return read_symbol(token);
  }

  Status read_quoted(Token& token, char quote, TokenKind kind) {
    token.kind = kind;
    take();
    while (true) {
      if (at_end()) {
        return fail(error_at(token.place, std::string("what begins here has no end: a closing ") +
                                              quote + " is missing"));
      }
      const char c = take();
      if (c != quote) {
        token.text += c;
      } else if (peek() == quote && !at_end()) {
        token.text += take();
      } else {
        break;
      }
    }
    if (kind == TokenKind::kQuotedName) return check_name(token);
    return {};
  }

  Status read_number(Token& token) {
    token.kind = TokenKind::kInteger;
    while (is_digit(peek())) token.text += take();
    if (peek() == '.' && peek(1) != '.') {
      token.kind = TokenKind::kNumber;
      token.text += take();
      while (is_digit(peek())) token.text += take();
    }
    const bool sign = peek(1) == '+' || peek(1) == '-';
    if (lower(peek()) == 'e' && is_digit(peek(sign ? 2 : 1))) {
      token.kind = TokenKind::kNumber;
      token.text += take();
      if (sign) token.text += take();
      while (is_digit(peek())) token.text += take();
    }
    if (continues_name(peek())) {
      return fail(error_at(place_, "a number ends before a letter: put a blank between the two"));
    }
    return {};
  }

  Status read_name(Token& token) {
    token.kind = TokenKind::kName;
    while (continues_name(peek())) token.text += lower(take());
    return check_name(token);
  }

  static Status check_name(const Token& token) {
    if (token.text.empty()) return fail(error_at(token.place, "a name can't be empty"));
    if (token.text.size() <= kMaxNameBytes) return {};
    return fail(error_at(token.place, "this name has " + std::to_string(token.text.size()) +
                                          " bytes, at most " + std::to_string(kMaxNameBytes) +
                                          " are allowed"));
  }

  Status read_symbol(Token& token) {
    token.kind = TokenKind::kSymbol;
    for (const std::string_view symbol : kLongSymbols) {
      if (!sees(symbol)) continue;
      for (std::size_t i = 0; i < symbol.size(); ++i) token.text += take();
      return {};
    }
    if (kSymbols.find(peek()) != std::string_view::npos) {
      token.text = take();
      return {};
    }
    return fail(
        error_at(token.place, std::string("the character ") + peek() + " has no meaning here"));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Place place_;
};

}  // namespace

Error error_at(Place place, std::string_view what) {
  std::string message =
      "line " + std::to_string(place.line) + ", column " + std::to_string(place.column) + ": ";
  message += what;
  return Error(ErrorCode::kInvalidArgument, std::move(message));
}

Result<std::vector<Token>> tokenize(std::string_view text) {
  return Lexer(text).run();
}

std::string shown(const Token& token) {
  const std::string text =
      token.text.size() <= kShownBytes ? token.text : token.text.substr(0, kShownBytes) + "...";
  switch (token.kind) {
    case TokenKind::kString:
      return "'" + text + "'";
    case TokenKind::kQuotedName:
      return "\"" + text + "\"";
    case TokenKind::kEnd:
      return "the end";
    default:
      return text;
  }
}

}  // namespace runnel::storage::sql
