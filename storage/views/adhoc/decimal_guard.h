// Whether SQLite can answer a question that reads DECIMAL columns without computing with them.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::storage::views {

/// `functions`: all that the statement calls. kInvalidArgument: it could lose digits, and what to
/// do instead. By the words of the statement alone, so it refuses too much rather than too little.
[[nodiscard]] Status check_decimals(std::string_view sql, const std::set<std::string>& functions);

}  // namespace runnel::storage::views
