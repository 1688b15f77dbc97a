#include "broker/schemas/json_value.h"

#include <algorithm>
#include <map>

#include "broker/schemas/limits.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::schemas {

namespace json = boost::json;

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  json::error_code error;
  json::stream_parser parser({}, options);
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && !parser.done()) parser.finish(error);
  const auto bad = [&](const std::string& why) {
    return fail(ErrorCode::kMalformed,
                "this is no JSON: at byte " + std::to_string(used) + ": " + why);
  };
  if (error) return bad(error.message());
  const auto rest = text.substr(used);
  if (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    return bad("something follows the value");
  }
  return parser.release();
}

std::string without_blanks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) continue;
    out += c;
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\' && i + 1 < text.size()) out += text[++i];
  }
  return out;
}

std::string in_order(const json::value& value) {
  std::string out;
  if (const json::object* object = value.if_object()) {
    std::map<std::string_view, const json::value*> members;
    for (const auto& [name, each] : *object) {
      members.emplace(std::string_view(name.data(), name.size()), &each);
    }
    out = "{";
    for (const auto& [name, each] : members) {
      if (out.size() > 1) out += ',';
      out += protocol::json_string(name) + ":" + in_order(*each);
    }
    return out + "}";
  }
  if (const json::array* array = value.if_array()) {
    out = "[";
    for (const json::value& each : *array) {
      if (out.size() > 1) out += ',';
      out += in_order(each);
    }
    return out + "]";
  }
  return json::serialize(value);
}

bool same_value(const json::value& a, const json::value& b) {
  if (a.is_object() && b.is_object()) {
    const json::object& x = a.get_object();
    const json::object& y = b.get_object();
    return x.size() == y.size() && std::all_of(x.begin(), x.end(), [&](const auto& each) {
             const json::value* other = y.if_contains(each.key());
             return other != nullptr && same_value(each.value(), *other);
           });
  }
  if (a.is_array() && b.is_array()) {
    const json::array& x = a.get_array();
    const json::array& y = b.get_array();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_value);
  }
  if (a.is_double() || b.is_double()) {
    return a.is_number() && b.is_number() && a.to_number<double>() == b.to_number<double>();
  }
  return a == b;
}

}  // namespace runnel::broker::schemas
