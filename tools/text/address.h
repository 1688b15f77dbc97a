// Addresses of brokers, as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::tools {

/// ok for HOST, HOST:PORT, [V6] and [V6]:PORT with a port of 1 to 65535, and for several of these
/// separated by ','; kInvalidArgument with what is wrong otherwise. Looks nothing up.
[[nodiscard]] Status check_broker_address(std::string_view address);

inline constexpr std::string_view kDefaultBroker = "127.0.0.1:9092";

struct BrokerAddress {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
};
/// Those of an address that may be a list, in their order; empty: the default. Without a port it is
/// the default's. Errors: those of check_broker_address.
[[nodiscard]] Result<std::vector<BrokerAddress>> broker_addresses(std::string_view address);

}  // namespace runnel::tools
