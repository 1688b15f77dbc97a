// Base64 as RFC 4648 section 4 has it, with padding.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::protocol {

void append_base64(std::string_view bytes, std::string& out);
/// kMalformed: a character or a length that base64 has not.
[[nodiscard]] Result<std::string> decode_base64(std::string_view text);

}  // namespace runnel::protocol
