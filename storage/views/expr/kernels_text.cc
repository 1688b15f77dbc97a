#include <limits>

#include "storage/views/expr/kernels.h"
#include "storage/views/expr/text_search.h"
#include "storage/views/expr/utf8.h"

namespace runnel::storage::views {
namespace {

/// The children's texts one behind the other, `between` between any two; NULLs are left out, or
/// make the whole NULL.
RowError join(const Node& node, Context& context, std::size_t first, std::string_view between,
              bool null_is_null, Value& out) {
  out = Value::null();
  std::vector<std::string_view> parts;
  std::size_t bytes = 0;
  for (std::size_t i = first; i < node.children.size(); ++i) {
    Value value;
    if (const RowError why = run(node.child(i), context, value); why != RowError::kNone) {
      return why;
    }
    if (value.is_null()) {
      if (null_is_null) return RowError::kNone;
      continue;
    }
    bytes += value.as_text().size() + (parts.empty() ? 0 : between.size());
    parts.push_back(value.as_text());
  }
  char* at = context.arena.allocate(bytes);
  if (at == nullptr) return RowError::kTooLarge;
  const std::string_view made(at, bytes);
  const auto append = [&](std::string_view part) { at = std::copy(part.begin(), part.end(), at); };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) append(between);
    append(parts[i]);
  }
  out = Value::text(made);
  return RowError::kNone;
}

RowError length_of(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  out = Value::bigint(static_cast<std::int64_t>(count_characters(arguments[0].as_text())));
  return RowError::kNone;
}
RowError bytes_of(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  out = Value::bigint(static_cast<std::int64_t>(arguments[0].as_text().size()));
  return RowError::kNone;
}

char lower_letter(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
char upper_letter(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// Letters of ASCII only: other rules change with the version of Unicode, and a replay must not.
template <char (*kLetter)(char)>
RowError change_case(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  char* const at = context.arena.allocate(text.size());
  if (at == nullptr) return RowError::kTooLarge;
  std::transform(text.begin(), text.end(), at, kLetter);
  out = Value::text({at, text.size()});
  return RowError::kNone;
}

/// The second argument, if any, has the characters that go; else spaces do.
template <bool kLeft, bool kRight>
RowError trim(const Node& node, Context& context, const Value* arguments, Value& out) {
  std::string_view text = arguments[0].as_text();
  const std::string_view set = node.children.size() > 1 ? arguments[1].as_text() : " ";
  const auto goes = [&](std::string_view character) {
    for (std::size_t i = 0; i < set.size(); i += character_bytes(set, i)) {
      if (set.substr(i, character_bytes(set, i)) == character) return true;
    }
    return false;
  };
  while (kLeft && !text.empty()) {
    if (!context.take(set.size())) return RowError::kTooLarge;
    const std::size_t size = character_bytes(text, 0);
    if (!goes(text.substr(0, size))) break;
    text.remove_prefix(size);
  }
  while (kRight && !text.empty()) {
    if (!context.take(set.size())) return RowError::kTooLarge;
    std::size_t at = text.size() - 1;
    while (at != 0 && continues_character(text[at])) --at;
    if (!goes(text.substr(at))) break;
    text = text.substr(0, at);
  }
  out = Value::text(text);
  return RowError::kNone;
}

/// From the character `arguments[1]` (the first is 1), `arguments[2]` of them, as SQL counts: what
/// is before the text counts as well.
RowError substring_of(const Node& node, Context& /*context*/, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  const std::int64_t start = arguments[1].as_bigint();
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
  if (node.children.size() > 2) {
    const std::int64_t count = arguments[2].as_bigint();
    if (count < 0) return RowError::kInvalidArgument;
    if (__builtin_add_overflow(start, count, &end)) end = std::numeric_limits<std::int64_t>::max();
  }
  const std::int64_t from = std::max<std::int64_t>(start, 1);
  if (end <= from) {
    out = Value::text(text.substr(0, 0));
    return RowError::kNone;
  }
  const std::size_t skipped = character_at(text, static_cast<std::size_t>(from - 1));
  out = Value::text(first_characters(text.substr(skipped), static_cast<std::size_t>(end - from)));
  return RowError::kNone;
}

/// Of `size` characters so many: a negative count means all but those.
std::size_t wanted(std::int64_t count, std::size_t size) {
  if (count >= 0) return std::min(static_cast<std::uint64_t>(count), std::uint64_t{size});
  const std::uint64_t without = std::uint64_t{0} - static_cast<std::uint64_t>(count);
  return without >= size ? 0 : size - without;
}

RowError left_of(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  out =
      Value::text(first_characters(text, wanted(arguments[1].as_bigint(), count_characters(text))));
  return RowError::kNone;
}
RowError right_of(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  const std::string_view text = arguments[0].as_text();
  const std::size_t size = count_characters(text);
  const std::size_t kept = wanted(arguments[1].as_bigint(), size);
  out = Value::text(text.substr(character_at(text, size - kept)));
  return RowError::kNone;
}

RowError position_of(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                     Value& out) {
  const std::string_view text = arguments[0].as_text();
  const std::size_t at = find_text(text, arguments[1].as_text());
  out = Value::bigint(
      at == kNotFound ? 0 : static_cast<std::int64_t>(count_characters(text.substr(0, at))) + 1);
  return RowError::kNone;
}
RowError begins(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  out = Value::boolean(arguments[0].as_text().starts_with(arguments[1].as_text()));
  return RowError::kNone;
}
RowError ends(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  out = Value::boolean(arguments[0].as_text().ends_with(arguments[1].as_text()));
  return RowError::kNone;
}
RowError has_part(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  out = Value::boolean(find_text(arguments[0].as_text(), arguments[1].as_text()) != kNotFound);
  return RowError::kNone;
}

}  // namespace

RowError concat_strict(const Node& node, Context& context, Value& out) {
  return join(node, context, 0, {}, /*null_is_null=*/true, out);
}

RowError concat(const Node& node, Context& context, Value& out) {
  return join(node, context, 0, {}, /*null_is_null=*/false, out);
}

RowError concat_separated(const Node& node, Context& context, Value& out) {
  Value between;
  if (const RowError why = run(node.child(0), context, between); why != RowError::kNone) {
    return why;
  }
  out = Value::null();
  if (between.is_null()) return RowError::kNone;
  return join(node, context, 1, between.as_text(), /*null_is_null=*/false, out);
}

RowError text_length(const Node& node, Context& context, Value& out) {
  return strict<length_of>(node, context, out);
}
RowError text_bytes(const Node& node, Context& context, Value& out) {
  return strict<bytes_of>(node, context, out);
}
RowError lower_text(const Node& node, Context& context, Value& out) {
  return strict<change_case<lower_letter>>(node, context, out);
}
RowError upper_text(const Node& node, Context& context, Value& out) {
  return strict<change_case<upper_letter>>(node, context, out);
}
RowError trim_both(const Node& node, Context& context, Value& out) {
  return strict<trim<true, true>>(node, context, out);
}
RowError trim_left(const Node& node, Context& context, Value& out) {
  return strict<trim<true, false>>(node, context, out);
}
RowError trim_right(const Node& node, Context& context, Value& out) {
  return strict<trim<false, true>>(node, context, out);
}
RowError substring(const Node& node, Context& context, Value& out) {
  return strict<substring_of>(node, context, out);
}
RowError left_part(const Node& node, Context& context, Value& out) {
  return strict<left_of>(node, context, out);
}
RowError right_part(const Node& node, Context& context, Value& out) {
  return strict<right_of>(node, context, out);
}
RowError position_in(const Node& node, Context& context, Value& out) {
  return strict<position_of>(node, context, out);
}
RowError starts_with(const Node& node, Context& context, Value& out) {
  return strict<begins>(node, context, out);
}
RowError ends_with(const Node& node, Context& context, Value& out) {
  return strict<ends>(node, context, out);
}
RowError contains_text(const Node& node, Context& context, Value& out) {
  return strict<has_part>(node, context, out);
}

}  // namespace runnel::storage::views
