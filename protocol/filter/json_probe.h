// Values at a few places of a JSON text, found in one pass. Boost.JSON stays in json_probe.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/filter/json_text.h"

namespace runnel::protocol {

/// Values within values, at most: a text that goes deeper is refused.
inline constexpr std::size_t kMaxJsonDepth = 32;
/// What is found may take this much memory, and twice as much as the text.
inline constexpr std::size_t kJsonFoundBytes = 64u << 10;

/// What stands at a path.
struct JsonFound {
  /// A string as its text, anything else as JSON, numbers digit by digit as they were written.
  std::string text;
  bool is_number = false;  ///< a JSON number, not a text that looks like one
  bool is_text = false;    ///< a JSON string
};

/// One answer a path: nullopt where nothing is, or null. Of several members with one name the last
/// one counts. No tree is built: the text may be large. Errors: kInvalidArgument, why it is no
/// JSON, or that paths which overlap find too much.
[[nodiscard]] Result<std::vector<std::optional<JsonFound>>> find_in_json(
    std::string_view text, std::span<const JsonPath> paths);

}  // namespace runnel::protocol
