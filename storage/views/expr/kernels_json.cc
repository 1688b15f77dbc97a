#include "storage/views/expr/kernels.h"
#include "storage/views/json/scan.h"

namespace runnel::storage::views {
namespace {

/// A value inside another one; `found` is false where it is not there.
struct Part {
  JsonToken token;
  const char* first = nullptr;  ///< with a string's quotes
  const char* end = nullptr;
  bool found = false;
};

/// Ends a walk that has found what it looked for; never leaves this file.
constexpr RowError kStop = RowError::kNoValue;

RowError take_part(JsonScanner& scanner, Part& part) {
  JsonKind kind = JsonKind::kNull;
  if (!scanner.peek(kind)) return RowError::kNotJson;
  part.first = scanner.position();
  const RowError why = scanner.take(part.token);
  part.end = scanner.position();
  part.found = true;
  return why;
}

RowError skip(JsonScanner& scanner) {
  JsonToken ignored;
  return scanner.take(ignored);
}

RowError find_member(std::string_view json, std::string_view key, Arena& arena, Part& part) {
  JsonScanner scanner(json);
  JsonKind kind = JsonKind::kNull;
  if (!scanner.peek(kind)) return RowError::kNotJson;
  if (kind != JsonKind::kObject) return RowError::kNone;
  const RowError why = scanner.take_object([&](const JsonToken& name) {
    std::string_view text;
    if (unescape(name, arena, text) != RowError::kNone || text != key) return skip(scanner);
    const RowError taken = take_part(scanner, part);
    return taken == RowError::kNone ? kStop : taken;
  });
  return why == kStop ? RowError::kNone : why;
}

RowError count_elements(std::string_view json, std::int64_t& count, bool& is_array) {
  JsonScanner scanner(json);
  JsonKind kind = JsonKind::kNull;
  if (!scanner.peek(kind)) return RowError::kNotJson;
  count = 0;
  is_array = kind == JsonKind::kArray;
  if (!is_array) return RowError::kNone;
  return scanner.take_array([&] {
    ++count;
    return skip(scanner);
  });
}

/// From 0; negative: from the end.
RowError find_element(std::string_view json, std::int64_t index, Part& part) {
  if (index < 0) {
    std::int64_t count = 0;
    bool is_array = false;
    if (const RowError why = count_elements(json, count, is_array); why != RowError::kNone) {
      return why;
    }
    if (index < -count) return RowError::kNone;
    index += count;
  }
  JsonScanner scanner(json);
  JsonKind kind = JsonKind::kNull;
  if (!scanner.peek(kind)) return RowError::kNotJson;
  if (kind != JsonKind::kArray) return RowError::kNone;
  const RowError why = scanner.take_array([&] {
    if (index-- != 0) return skip(scanner);
    const RowError taken = take_part(scanner, part);
    return taken == RowError::kNone ? kStop : taken;
  });
  return why == kStop ? RowError::kNone : why;
}

/// The part as it was written, or what it says: a string without quotes, null as NULL.
template <bool kAsText>
RowError give(const Part& part, Context& context, Value& out) {
  out = Value::null();
  if (!part.found) return RowError::kNone;
  if (kAsText && part.token.kind == JsonKind::kNull) return RowError::kNone;
  if (kAsText && part.token.kind == JsonKind::kString) {
    std::string_view text;
    const RowError why = unescape(part.token, context.arena, text);
    if (why == RowError::kNone) out = Value::text(text);
    return why;
  }
  out = Value::text({part.first, static_cast<std::size_t>(part.end - part.first)});
  return RowError::kNone;
}

template <bool kAsText>
RowError member(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  Part part;
  const RowError why =
      find_member(arguments[0].as_text(), arguments[1].as_text(), context.arena, part);
  return why == RowError::kNone ? give<kAsText>(part, context, out) : why;
}

template <bool kAsText>
RowError element(const Node& /*node*/, Context& context, const Value* arguments, Value& out) {
  Part part;
  const RowError why = find_element(arguments[0].as_text(), arguments[1].as_bigint(), part);
  return why == RowError::kNone ? give<kAsText>(part, context, out) : why;
}

RowError array_length(const Node& /*node*/, Context& /*context*/, const Value* arguments,
                      Value& out) {
  std::int64_t count = 0;
  bool is_array = false;
  const RowError why = count_elements(arguments[0].as_text(), count, is_array);
  if (why != RowError::kNone) return why;
  out = is_array ? Value::bigint(count) : Value::null();
  return RowError::kNone;
}

RowError type_of(const Node& /*node*/, Context& /*context*/, const Value* arguments, Value& out) {
  static constexpr std::string_view kNames[] = {"null",   "boolean", "number",
                                                "string", "array",   "object"};
  JsonScanner scanner(arguments[0].as_text());
  JsonKind kind = JsonKind::kNull;
  if (!scanner.peek(kind)) return RowError::kNotJson;
  out = Value::text(kNames[static_cast<std::size_t>(kind)]);
  return RowError::kNone;
}

}  // namespace

RowError json_member(const Node& node, Context& context, Value& out) {
  return strict<member<false>>(node, context, out);
}
RowError json_member_text(const Node& node, Context& context, Value& out) {
  return strict<member<true>>(node, context, out);
}
RowError json_element(const Node& node, Context& context, Value& out) {
  return strict<element<false>>(node, context, out);
}
RowError json_element_text(const Node& node, Context& context, Value& out) {
  return strict<element<true>>(node, context, out);
}
RowError json_array_length(const Node& node, Context& context, Value& out) {
  return strict<array_length>(node, context, out);
}
RowError json_typeof(const Node& node, Context& context, Value& out) {
  return strict<type_of>(node, context, out);
}

}  // namespace runnel::storage::views
