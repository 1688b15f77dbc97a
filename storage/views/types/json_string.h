// A string as JSON writes it (RFC 8259, section 7).
#pragma once

#include <string>
#include <string_view>

namespace runnel::storage::views {

/// Appends `text`, quoted, with quotes, backslashes and control characters escaped. What is not
/// UTF-8 passes through as it is.
void append_json_string(std::string_view text, std::string& out);

}  // namespace runnel::storage::views
