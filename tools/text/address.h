// Addresses of brokers, as people write them.
#pragma once

#include <string_view>

#include "protocol/base/error.h"

namespace runnel::tools {

/// ok for HOST, HOST:PORT, [V6] and [V6]:PORT with a port of 1 to 65535, and for several of these
/// separated by ','; kInvalidArgument with what is wrong otherwise. Looks nothing up.
[[nodiscard]] Status check_broker_address(std::string_view address);

}  // namespace runnel::tools
