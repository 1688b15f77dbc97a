// How fast work may go: "5k/s" records or "20MiB/s" bytes.
#pragma once

#include <string_view>

#include "protocol/base/error.h"

namespace runnel::tools {

struct Rate {
  double per_second = 0;
  bool of_bytes = false;  ///< else of records
};
/// "500/s", "5k/s", "1m/s" records; "20MiB/s", "64KiB/s" bytes. kInvalidArgument.
[[nodiscard]] Result<Rate> parse_rate(std::string_view text);

}  // namespace runnel::tools
