// JSON documents that schemas are made of, with the registry's limits.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::broker::schemas {

/// The document in `text`. Errors: kMalformed (where it ends to be JSON).
[[nodiscard]] Result<boost::json::value> parse_json(std::string_view text);
/// `text`, which is JSON, without the blanks between its tokens. Numbers and strings stay as they
/// are written.
[[nodiscard]] std::string without_blanks(std::string_view text);
/// The document with the members of each object in order of their names: the same for two texts
/// that say the same.
[[nodiscard]] std::string in_order(const boost::json::value& value);
/// Whether two values are the same for JSON Schema: 1 and 1.0 are, and the order of members does
/// not matter.
[[nodiscard]] bool same_value(const boost::json::value& a, const boost::json::value& b);

/// The member, or nullptr if there is none.
[[nodiscard]] inline const boost::json::value* member(const boost::json::object& object,
                                                      std::string_view name) {
  return object.if_contains(boost::json::string_view(name.data(), name.size()));
}
[[nodiscard]] inline std::string_view text_of(const boost::json::string& text) {
  return {text.data(), text.size()};
}
/// The member's text; empty if there is none or it is no text.
[[nodiscard]] inline std::string_view text_member(const boost::json::object& object,
                                                  std::string_view name) {
  const boost::json::value* value = member(object, name);
  return value != nullptr && value->is_string() ? text_of(value->get_string()) : std::string_view();
}

}  // namespace runnel::broker::schemas
