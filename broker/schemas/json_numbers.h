// Numbers and texts of JSON as JSON Schema measures them.
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <string_view>

namespace runnel::broker::schemas {

/// 64 bits of mantissa: every integer of JSON's parser as it is.
[[nodiscard]] inline long double number_of(const boost::json::value& value) {
  if (value.is_int64()) return static_cast<long double>(value.get_int64());
  if (value.is_uint64()) return static_cast<long double>(value.get_uint64());
  return value.get_double();
}
[[nodiscard]] inline bool is_integer(const boost::json::value& value) {
  return value.is_number() && std::trunc(number_of(value)) == number_of(value);
}
/// Exact where both are integers; elsewhere as near as doubles come.
[[nodiscard]] inline bool is_multiple(const boost::json::value& value,
                                      const boost::json::value& of) {
  const long double divisor = number_of(of);
  if (divisor == 0) return true;
  if (is_integer(value) && is_integer(of)) return std::fmod(number_of(value), divisor) == 0;
  const long double times = number_of(value) / divisor;
  return std::fabs(times - std::round(times)) < 1e-9L * std::fmax(1, std::fabs(times));
}
/// Code points.
[[nodiscard]] inline std::size_t length_of(std::string_view text) {
  std::size_t out = 0;
  for (const char c : text) out += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return out;
}

/// The bounds of a number that a schema gives, whichever draft's way it writes them.
struct Bound {
  const boost::json::value* value = nullptr;  ///< nullptr: none
  bool exclusive = false;
};
[[nodiscard]] inline Bound bound_of(const boost::json::object& schema, bool upper) {
  const boost::json::value* plain = schema.if_contains(upper ? "maximum" : "minimum");
  const boost::json::value* strict =
      schema.if_contains(upper ? "exclusiveMaximum" : "exclusiveMinimum");
  if (strict != nullptr && strict->is_bool()) return {plain, strict->get_bool()};  // draft 4
  if (strict == nullptr || !strict->is_number()) return {plain, false};
  if (plain == nullptr || !plain->is_number()) return {strict, true};
  const bool strict_counts =
      upper ? number_of(*strict) <= number_of(*plain) : number_of(*strict) >= number_of(*plain);
  return strict_counts ? Bound{strict, true} : Bound{plain, false};
}

}  // namespace runnel::broker::schemas
