#include "storage/views/expr/kernels.h"
#include "storage/views/expr/text_search.h"
#include "storage/views/expr/utf8.h"

namespace runnel::storage::views {
namespace {

/// Counts first and writes then, so that the arena gives each text once.
RowError replace_in(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  const std::string_view part = arguments[1].as_text();
  const std::string_view by = arguments[2].as_text();
  std::size_t found = 0;
  for (std::size_t at = 0; !part.empty() && (at = find_text(text, part, at)) != kNotFound;
       at += part.size()) {
    ++found;
  }
  if (found == 0) {
    out = arguments[0];
    return RowError::kNone;
  }
  // Both are texts in memory and found * part.size() <= text.size(); the product is bounded first.
  if (!by.empty() && found > kMaxArenaBytes / by.size()) return RowError::kTooLarge;
  const std::size_t bytes = text.size() - found * part.size() + found * by.size();
  char* at = context.arena.allocate(bytes);
  if (at == nullptr) return RowError::kTooLarge;
  out = Value::text({at, bytes});
  std::string_view rest = text;
  for (; found != 0; --found) {
    const std::size_t next = find_text(rest, part);
    at = std::copy_n(rest.begin(), next, at);
    at = std::copy(by.begin(), by.end(), at);
    rest.remove_prefix(next + part.size());
  }
  std::copy(rest.begin(), rest.end(), at);
  return RowError::kNone;
}

/// The part of that number (from 1; negative: from the end) between separators.
RowError split_text(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  std::string_view text = arguments[0].as_text();
  const std::string_view separator = arguments[1].as_text();
  std::int64_t number = arguments[2].as_bigint();
  if (number == 0) return RowError::kInvalidArgument;
  const std::string_view nothing = text.substr(0, 0);
  if (separator.empty()) {
    out = Value::text(number == 1 || number == -1 ? text : nothing);
    return RowError::kNone;
  }
  // From the end each place is compared with the whole of it.
  if (number < 0 && separator.size() > 1 && !context.take(text.size() * separator.size())) {
    return RowError::kTooLarge;
  }
  while (number > 1 || number < -1) {
    const bool forward = number > 0;
    const std::size_t at = forward ? find_text(text, separator) : text.rfind(separator);
    if (at == kNotFound) {
      out = Value::text(nothing);
      return RowError::kNone;
    }
    text = forward ? text.substr(at + separator.size()) : text.substr(0, at);
    number += forward ? -1 : 1;
  }
  const std::size_t at = number > 0 ? find_text(text, separator) : text.rfind(separator);
  if (number > 0) {
    text = text.substr(0, at);
  } else if (at != kNotFound) {
    text = text.substr(at + separator.size());
  }
  out = Value::text(text);
  return RowError::kNone;
}

/// Fills up to `arguments[1]` characters with the third argument, else with spaces; what is longer
/// is cut on the right.
template <bool kLeft>
RowError pad(const Node& node, Context& context, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  const std::string_view fill = node.children.size() > 2 ? arguments[2].as_text() : " ";
  const std::int64_t size = std::max<std::int64_t>(arguments[1].as_bigint(), 0);
  const auto has = static_cast<std::int64_t>(count_characters(text));
  if (size <= has || fill.empty()) {
    out = Value::text(size < has ? first_characters(text, static_cast<std::size_t>(size)) : text);
    return RowError::kNone;
  }
  const auto missing = static_cast<std::uint64_t>(size - has);
  const std::uint64_t characters = count_characters(fill);
  if (missing > kMaxArenaBytes) return RowError::kTooLarge;
  const std::uint64_t whole = missing / characters;
  const std::string_view rest =
      first_characters(fill, static_cast<std::size_t>(missing % characters));
  if (whole > kMaxArenaBytes / fill.size()) return RowError::kTooLarge;
  const std::size_t bytes = text.size() + whole * fill.size() + rest.size();
  char* at = context.arena.allocate(bytes);
  if (at == nullptr) return RowError::kTooLarge;
  out = Value::text({at, bytes});
  if (!kLeft) at = std::copy(text.begin(), text.end(), at);
  for (std::uint64_t i = 0; i < whole; ++i) at = std::copy(fill.begin(), fill.end(), at);
  at = std::copy(rest.begin(), rest.end(), at);
  if (kLeft) std::copy(text.begin(), text.end(), at);
  return RowError::kNone;
}

RowError repeated(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  const auto times =
      static_cast<std::uint64_t>(std::max<std::int64_t>(arguments[1].as_bigint(), 0));
  if (!text.empty() && times > kMaxArenaBytes / text.size()) return RowError::kTooLarge;
  const std::size_t bytes = text.empty() ? 0 : text.size() * times;
  char* at = context.arena.allocate(bytes);
  if (at == nullptr) return RowError::kTooLarge;
  out = Value::text({at, bytes});
  for (std::uint64_t i = 0; bytes != 0 && i < times; ++i) {
    at = std::copy(text.begin(), text.end(), at);
  }
  return RowError::kNone;
}

RowError reversed(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  char* const first = context.arena.allocate(text.size());
  if (first == nullptr) return RowError::kTooLarge;
  char* at = first + text.size();
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = character_bytes(text, i);
    at -= size;
    std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(i), size, at);
    i += size;
  }
  out = Value::text({first, text.size()});
  return RowError::kNone;
}

// ---------------------------------------------------------------- LIKE
bool same_letter(char a, char b, bool any_case) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return a == b || (any_case && lower(a) == lower(b));
}

/// % is any text, _ one character, and a backslash takes the meaning from what follows. After a
/// mismatch only the last % can give way: what was matched before it is as short as it can be.
/// kTooLarge: it gives way more often than searches may.
RowError matches(std::string_view text, std::string_view pattern, bool any_case, Context& context,
                 bool& out) {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t last_any = kNotFound;
  std::size_t last_at = 0;
  out = false;
  while (at < text.size()) {
    const char wanted = in_pattern < pattern.size() ? pattern[in_pattern] : '\0';
    if (in_pattern < pattern.size() && wanted == '%') {
      last_any = ++in_pattern;
      last_at = at;
      continue;
    }
    if (in_pattern < pattern.size()) {
      const bool escaped = wanted == '\\' && in_pattern + 1 < pattern.size();
      if (wanted == '_') {
        at += character_bytes(text, at);
        ++in_pattern;
        continue;
      }
      if (same_letter(text[at], escaped ? pattern[in_pattern + 1] : wanted, any_case)) {
        ++at;
        in_pattern += escaped ? 2 : 1;
        continue;
      }
    }
    if (last_any == kNotFound) return RowError::kNone;
    // What was matched behind the % is matched again.
    if (!context.take(1 + at - last_at)) return RowError::kTooLarge;
    last_at += character_bytes(text, last_at);
    at = last_at;
    in_pattern = last_any;
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '%') ++in_pattern;
  out = in_pattern == pattern.size();
  return RowError::kNone;
}

RowError like_strict(const Node& node, Context& context, const Value* arguments, Value& out) {
  bool found = false;
  const RowError why =
      matches(arguments[0].as_text(), arguments[1].as_text(), node.any_case, context, found);
  out = Value::boolean(found != node.negated);
  return why;
}

}  // namespace

RowError replace_text(const Node& node, Context& context, Value& out) {
  return strict<replace_in>(node, context, out);
}
RowError split_part(const Node& node, Context& context, Value& out) {
  return strict<split_text>(node, context, out);
}
RowError pad_left(const Node& node, Context& context, Value& out) {
  return strict<pad<true>>(node, context, out);
}
RowError pad_right(const Node& node, Context& context, Value& out) {
  return strict<pad<false>>(node, context, out);
}
RowError repeat_text(const Node& node, Context& context, Value& out) {
  return strict<repeated>(node, context, out);
}
RowError reverse_text(const Node& node, Context& context, Value& out) {
  return strict<reversed>(node, context, out);
}
RowError like(const Node& node, Context& context, Value& out) {
  return strict<like_strict>(node, context, out);
}

}  // namespace runnel::storage::views
