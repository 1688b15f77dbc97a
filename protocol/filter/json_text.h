// Text as JSON writes it, and the places of values in it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::protocol {

/// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);
/// Whether `text` is valid UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);

/// The place of a value in a JSON text: ".id", ".user.name", ".tags[0]"; "." is all of it. A JSON
/// pointer (RFC 6901) is one, too: "/user/name", "/tags/0".
class JsonPath {
 public:
  struct Step {
    std::string name;
    std::size_t index = 0;
    bool is_index = false;  ///< of an array; with a name also the member of that name
    [[nodiscard]] bool fits_element(std::size_t at) const noexcept {
      return is_index && index == at;
    }
    [[nodiscard]] bool fits_member(std::string_view called) const noexcept {
      return (!is_index || !name.empty()) && name == called;
    }
    friend bool operator==(const Step&, const Step&) = default;
  };
  /// kInvalidArgument with the form a path has.
  [[nodiscard]] static Result<JsonPath> parse(std::string_view text);
  [[nodiscard]] const std::vector<Step>& steps() const noexcept { return steps_; }
  friend bool operator==(const JsonPath&, const JsonPath&) = default;

 private:
  std::vector<Step> steps_;
};

}  // namespace runnel::protocol
