// JSON text read once, front to back: every byte is checked, nothing is built. One reader serves
// the decoder of records, the JSON operators and casts, so all agree on what JSON is (RFC 8259).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storage/views/types/arena.h"
#include "storage/views/types/row_error.h"

namespace runnel::storage::views {

/// Objects and arrays in each other; what is deeper is refused before the stack suffers.
inline constexpr std::size_t kMaxJsonDepth = 128;

enum class JsonKind : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

struct JsonToken {
  JsonKind kind = JsonKind::kNull;
  /// As it was written; of a string what is between its quotes.
  std::string_view text;
  bool escaped = false;  ///< of a string: it has backslashes
};

/// A cursor in JSON text. After an error it is of no more use. Errors: kNotJson, kNotUtf8,
/// kTooDeep.
class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  /// The kind of the value at the cursor, after blanks; false: none begins here.
  [[nodiscard]] bool peek(JsonKind& kind);
  /// Takes the value at the cursor, whatever it has inside.
  [[nodiscard]] RowError take(JsonToken& token);
  /// Only blanks are left.
  [[nodiscard]] bool at_end();

  /// Takes an object. `on_member(const JsonToken& key)` is called with the cursor before each
  /// value, takes it and gives a RowError, which ends the walk unless kNone.
  template <class OnMember>
  [[nodiscard]] RowError take_object(const OnMember& on_member);
  /// Takes an array, the same way; `on_element()`.
  template <class OnElement>
  [[nodiscard]] RowError take_array(const OnElement& on_element);

  [[nodiscard]] const char* position() const noexcept { return at_; }

 private:
  void skip_blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  [[nodiscard]] bool accept(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] RowError string(JsonToken& token);
  [[nodiscard]] bool escape();
  [[nodiscard]] bool number();
  [[nodiscard]] bool word(std::string_view expected);

  const char* at_;
  const char* end_;
  std::size_t depth_ = 0;
};

/// A whole document. kNotJson: it is none; kNotUtf8, kTooDeep.
[[nodiscard]] RowError check_json(std::string_view text);

/// What a string's inside means. Without escapes the text itself, else written to the arena.
/// kNotUtf8: half of a surrogate pair. kTooLarge: the arena is full.
[[nodiscard]] RowError unescape(const JsonToken& string, Arena& arena, std::string_view& out);

/// Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

template <class OnMember>
RowError JsonScanner::take_object(const OnMember& on_member) {
  ++at_;
  if (++depth_ > kMaxJsonDepth) return RowError::kTooDeep;
  skip_blanks();
  if (accept('}')) {
    --depth_;
    return RowError::kNone;
  }
  do {
    skip_blanks();
    JsonToken key;
    if (at_ == end_ || *at_ != '"') return RowError::kNotJson;
    if (const RowError why = string(key); why != RowError::kNone) return why;
    skip_blanks();
    if (!accept(':')) return RowError::kNotJson;
    if (const RowError why = on_member(key); why != RowError::kNone) return why;
    skip_blanks();
  } while (accept(','));
  --depth_;
  return accept('}') ? RowError::kNone : RowError::kNotJson;
}

template <class OnElement>
RowError JsonScanner::take_array(const OnElement& on_element) {
  ++at_;
  if (++depth_ > kMaxJsonDepth) return RowError::kTooDeep;
  skip_blanks();
  if (accept(']')) {
    --depth_;
    return RowError::kNone;
  }
  do {
    if (const RowError why = on_element(); why != RowError::kNone) return why;
    skip_blanks();
  } while (accept(','));
  --depth_;
  return accept(']') ? RowError::kNone : RowError::kNotJson;
}

}  // namespace runnel::storage::views
