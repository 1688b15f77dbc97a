// Texts by characters: code points of UTF-8. What is no valid UTF-8 counts byte by byte; columns of
// a source are always valid.
#pragma once

#include <cstddef>
#include <string_view>

namespace runnel::storage::views {

[[nodiscard]] inline bool continues_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// Bytes of the character at `at`, which is inside the text.
[[nodiscard]] inline std::size_t character_bytes(std::string_view text, std::size_t at) noexcept {
  std::size_t end = at + 1;
  while (end < text.size() && continues_character(text[end])) ++end;
  return end - at;
}

[[nodiscard]] inline std::size_t count_characters(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char c : text) count += continues_character(c) ? 0 : 1;
  return count;
}

/// Where the character of that number (from 0) begins; the text's size if it is behind the end.
[[nodiscard]] inline std::size_t character_at(std::string_view text, std::size_t number) noexcept {
  std::size_t at = 0;
  while (number != 0 && at < text.size()) {
    at += character_bytes(text, at);
    --number;
  }
  return at;
}

/// The first so many characters; all of them if there are no more.
[[nodiscard]] inline std::string_view first_characters(std::string_view text,
                                                       std::size_t count) noexcept {
  return text.substr(0, character_at(text, count));
}

}  // namespace runnel::storage::views
