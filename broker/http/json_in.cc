#include "broker/http/json_in.h"

#include <charconv>

namespace runnel::broker::http {

std::string JsonReader::place() const {
  return "at byte " + std::to_string(scan_.position() - text_.data()) + " of the body";
}

tl::unexpected<Error> JsonReader::broken(RowError why) const {
  return fail(
      ErrorCode::kInvalidArgument,
      place() + ": " +
          (why == RowError::kNotJson        ? "this is no JSON"
           : why == RowError::kDuplicateKey ? "a member stands twice in an object"
                                            : std::string(storage::views::meaning_of(why))));
}

tl::unexpected<Error> JsonReader::wrong(std::string_view what, std::string_view wanted) const {
  return fail(ErrorCode::kInvalidArgument,
              place() + ": " + std::string(what) + " has to be " + std::string(wanted));
}

Status JsonReader::expect(Kind kind, std::string_view what, std::string_view wanted) {
  const auto is = peek();
  if (!is) return broken(RowError::kNotJson);
  if (*is != kind) return wrong(what, wanted);
  return {};
}

Result<storage::views::JsonToken> JsonReader::take() {
  storage::views::JsonToken token;
  if (const RowError why = scan_.take(token); why != RowError::kNone) return broken(why);
  return token;
}

Result<std::string_view> JsonReader::text(std::string_view what) {
  RUNNEL_TRY(expect(Kind::kString, what, "a string"));
  RUNNEL_TRY_ASSIGN(const auto token, take());
  std::string_view out;
  if (const RowError why = unescape(token, arena_, out); why != RowError::kNone) return broken(why);
  return out;
}

Result<std::optional<std::string_view>> JsonReader::text_or_null(std::string_view what) {
  if (peek() == Kind::kNull) {
    RUNNEL_TRY(take());
    return std::optional<std::string_view>();
  }
  if (peek() && peek() != Kind::kString) return wrong(what, "a string or null");
  RUNNEL_TRY_ASSIGN(const auto out, text(what));
  return std::optional<std::string_view>(out);
}

Result<std::int64_t> JsonReader::integer(std::string_view what) {
  RUNNEL_TRY(expect(Kind::kNumber, what, "a whole number"));
  RUNNEL_TRY_ASSIGN(const auto token, take());
  std::int64_t value = 0;
  const char* const end = token.text.data() + token.text.size();
  const auto [at, failed] = std::from_chars(token.text.data(), end, value);
  if (failed != std::errc() || at != end) return wrong(what, "a whole number of 64 bits");
  return value;
}

Result<bool> JsonReader::boolean(std::string_view what) {
  RUNNEL_TRY(expect(Kind::kBoolean, what, "true or false"));
  RUNNEL_TRY_ASSIGN(const auto token, take());
  return token.text == "true";
}

Result<std::string_view> JsonReader::raw(std::string_view what) {
  static_cast<void>(what);
  if (!peek()) return broken(RowError::kNotJson);
  const char* const begin = scan_.position();
  RUNNEL_TRY(take());
  return std::string_view(begin, static_cast<std::size_t>(scan_.position() - begin));
}

Status JsonReader::end() {
  if (scan_.at_end()) return {};
  return fail(ErrorCode::kInvalidArgument, place() + ": something follows the value");
}

Status JsonReader::unknown(std::string_view name, std::string_view known) const {
  return fail(ErrorCode::kInvalidArgument, place() + ": there is no member '" + std::string(name) +
                                               "' here; known are " + std::string(known));
}

}  // namespace runnel::broker::http
