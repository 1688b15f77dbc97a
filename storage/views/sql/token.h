// SQL text as tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::storage::sql {

inline constexpr std::size_t kMaxStatementBytes = 1u << 20;
inline constexpr std::size_t kMaxNameBytes = 128;

/// Where something stands in the text; both from 1, columns in characters.
struct Place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

/// kInvalidArgument: "line 2, column 8: ..."
[[nodiscard]] Error error_at(Place place, std::string_view what);

enum class TokenKind : std::uint8_t {
  kName,        ///< `text` in lower case
  kQuotedName,  ///< between double quotes; `text` as it stands there
  kString,      ///< between single quotes; `text` without them, '' made one
  kInteger,     ///< digits
  kNumber,      ///< with a point or an exponent
  kSymbol,      ///< punctuation and operators, the longest that fits
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Place place;
  std::size_t at = 0;  ///< byte in the text
};

/// The tokens of a text, kEnd last. Comments are left out: from two hyphens to the line's end, and
/// between slash-stars, which nest. kInvalidArgument: what has no meaning, or no end; a text that
/// is too large or no UTF-8.
[[nodiscard]] Result<std::vector<Token>> tokenize(std::string_view text);

/// A token as an error shows it.
[[nodiscard]] std::string shown(const Token& token);

}  // namespace runnel::storage::sql
