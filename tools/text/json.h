// The little of JSON that the command line needs. Boost.JSON stays in json.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/filter/json_text.h"

namespace runnel::tools {

using protocol::is_utf8;
using protocol::json_string;

/// A parsed JSON text.
class JsonDocument {
 public:
  /// kInvalidArgument: why it is no JSON.
  [[nodiscard]] static Result<JsonDocument> parse(std::string_view text);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  /// The value at a path like ".id", ".user.name" or ".tags[0]": a string as its text, anything
  /// else as JSON, numbers digit by digit as they were written. nullopt: there is none, or it is
  /// null. `path` has passed check_json_path.
  [[nodiscard]] std::optional<std::string> text_at(std::string_view path) const;
  /// Whether something is there, be it null.
  [[nodiscard]] bool has(std::string_view path) const;
  /// The integer at a path; nullopt if there is something else.
  [[nodiscard]] std::optional<std::int64_t> integer_at(std::string_view path) const;

 private:
  struct Impl;
  explicit JsonDocument(Impl* impl);
  Impl* impl_;
};

/// ok, or kInvalidArgument with the form a path has.
[[nodiscard]] Status check_json_path(std::string_view path);

}  // namespace runnel::tools
