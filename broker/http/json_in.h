// JSON bodies, read once from front to back. The reader is the views' scanner, so that both agree
// on what JSON is.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "storage/views/json/scan.h"
#include "storage/views/types/arena.h"

namespace runnel::broker::http {

/// A cursor in a body that outlives it. After an error it is of no more use. `what` names the value
/// in errors, which are kInvalidArgument. Texts that are given lie in the body or in the reader.
class JsonReader {
 public:
  using Kind = storage::views::JsonKind;
  explicit JsonReader(std::string_view text) : text_(text), scan_(text) {}

  /// nullopt: no value begins here.
  [[nodiscard]] std::optional<Kind> peek() {
    Kind kind{};
    if (!scan_.peek(kind)) return std::nullopt;
    return kind;
  }
  /// `on_member(name) -> Status` takes each value. A name that comes twice is refused.
  template <class OnMember>
  [[nodiscard]] Status object(std::string_view what, const OnMember& on_member);
  /// `on_element() -> Status` takes each value.
  template <class OnElement>
  [[nodiscard]] Status array(std::string_view what, const OnElement& on_element);
  [[nodiscard]] Result<std::string_view> text(std::string_view what);
  /// nullopt: null.
  [[nodiscard]] Result<std::optional<std::string_view>> text_or_null(std::string_view what);
  [[nodiscard]] Result<std::int64_t> integer(std::string_view what);
  [[nodiscard]] Result<bool> boolean(std::string_view what);
  /// Any value as it stands.
  [[nodiscard]] Result<std::string_view> raw(std::string_view what);
  /// Nothing but blanks may follow.
  [[nodiscard]] Status end();
  /// Refuses a member that is not known.
  [[nodiscard]] Status unknown(std::string_view name, std::string_view known) const;

 private:
  using RowError = storage::views::RowError;
  [[nodiscard]] tl::unexpected<Error> broken(RowError why) const;
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what, std::string_view wanted) const;
  [[nodiscard]] std::string place() const;
  [[nodiscard]] Status expect(Kind kind, std::string_view what, std::string_view wanted);
  [[nodiscard]] Result<storage::views::JsonToken> take();

  std::string_view text_;
  storage::views::JsonScanner scan_;
  storage::views::Arena arena_;
};

template <class OnMember>
Status JsonReader::object(std::string_view what, const OnMember& on_member) {
  RUNNEL_TRY(expect(Kind::kObject, what, "an object"));
  Status inner;
  std::set<std::string_view> seen;  // ordered: no choice of names makes it slow
  const RowError why = scan_.take_object([&](const storage::views::JsonToken& key) {
    std::string_view name;
    if (const RowError bad = unescape(key, arena_, name); bad != RowError::kNone) return bad;
    if (!seen.insert(name).second) return RowError::kDuplicateKey;
    inner = on_member(name);
    return inner ? RowError::kNone : RowError::kNotObject;
  });
  if (!inner) return inner;
  if (why != RowError::kNone) return broken(why);
  return {};
}

template <class OnElement>
Status JsonReader::array(std::string_view what, const OnElement& on_element) {
  RUNNEL_TRY(expect(Kind::kArray, what, "an array"));
  Status inner;
  const RowError why = scan_.take_array([&] {
    inner = on_element();
    return inner ? RowError::kNone : RowError::kNotObject;
  });
  if (!inner) return inner;
  if (why != RowError::kNone) return broken(why);
  return {};
}

}  // namespace runnel::broker::http
