// SQL as it is typed and piped: where statements end, and what an error's place looks like.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::tools {

struct SqlPiece {
  std::string text;          ///< without the semicolon and what surrounds it
  std::uint32_t line = 1;    ///< of its first character, from 1
  std::uint32_t column = 1;  ///< in characters, from 1
};

/// Takes text as it comes and gives the statements that are complete: those with a semicolon behind
/// them, outside of quotes and comments. Statements of nothing but comments are left out.
class SqlSplitter {
 public:
  [[nodiscard]] std::vector<SqlPiece> add(std::string_view text);
  /// What is there without a semicolon; empty text: nothing.
  [[nodiscard]] SqlPiece rest() const;
  /// Something other than blanks and comments has begun.
  [[nodiscard]] bool in_statement() const noexcept { return begun_ || state_ != State::kPlain; }

 private:
  enum class State { kPlain, kString, kName, kLineComment, kComment };
  void step(char c, char next);

  State state_ = State::kPlain;
  int depth_ = 0;      ///< comments in each other
  bool skip_ = false;  ///< the next character belongs to the one before
  bool begun_ = false;
  std::string text_;  ///< of the statement at hand
  std::uint32_t line_ = 1;
  std::uint32_t column_ = 1;
  SqlPiece start_;
};

/// The first word, in upper case: "SELECT".
[[nodiscard]] std::string first_word(std::string_view sql);
/// An error's message, its "line 1, column 8: " moved to where `piece` stands in what was given,
/// and below it the line with a caret under the place. A message without a place is returned as it
/// is.
[[nodiscard]] std::string with_caret(const std::string& message, const SqlPiece& piece);
/// A name as SQL: "a b".
[[nodiscard]] std::string quoted_name(std::string_view name);
/// A text as SQL: 'it''s'.
[[nodiscard]] std::string quoted_text(std::string_view text);

}  // namespace runnel::tools
