// What of a webhook's request is the record's key, time and identity.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/hooks/definition.h"

namespace runnel::broker::hooks {

struct Mapped {
  std::optional<std::string> key;
  std::optional<std::int64_t> time;  ///< milliseconds since 1970
  /// Names the delivery: at most storage::kMaxDedupPartBytes; longer ones are their SHA-256.
  std::optional<std::string> dedup;
};

/// Errors: kInvalidArgument: the body is no JSON, or what is missing, unless the hook keeps what is
/// incomplete.
[[nodiscard]] Result<Mapped> map_request(const Hook& hook, const HeaderOf& header,
                                         std::string_view body);

}  // namespace runnel::broker::hooks
