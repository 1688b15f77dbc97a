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

/// The place of a value in a JSON text: ".id", ".user.name", ".tags[0]"; "." is all of it.
class JsonPath {
 public:
  struct Step {
    std::string name;
    std::size_t index = 0;
    bool is_index = false;
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
