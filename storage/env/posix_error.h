// Turns errno into an Error that says what happened, why, and what to do.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::storage {

/// "cannot <action> <path>: <cause>; <advice>". ENOENT and ENOTDIR become kNotFound, ENOSPC and
/// EDQUOT kLowSpace, everything else kIo. Thread safe.
[[nodiscard]] Error posix_error(int error_number, std::string_view action, const std::string& path);

}  // namespace runnel::storage
