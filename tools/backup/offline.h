// The store of a broker that is stopped, opened to be copied.
#pragma once

#include <string>

#include "storage/store.h"

namespace runnel::tools {

/// With these nothing in `data` expires or moves, whatever settings its broker has.
[[nodiscard]] storage::StoreOptions options_for_copy(const std::string& data);

}  // namespace runnel::tools
