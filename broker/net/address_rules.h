// Which addresses the broker may call. A URL comes from whoever defines a webhook; without these
// rules it could reach what only the broker's machine and its network can.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::broker {

/// 16 bytes; an IPv4 address is the IPv6 one that maps it (::ffff:a.b.c.d).
using AddressBytes = std::array<std::uint8_t, 16>;
/// kInvalidArgument: neither IPv4 nor IPv6.
[[nodiscard]] Result<AddressBytes> parse_address(std::string_view text);
/// An address of the internet: not loopback, private, link-local, shared, documentation, multicast
/// or reserved, nor one that stands for another address (6to4, Teredo, NAT64).
[[nodiscard]] bool is_public(const AddressBytes& address) noexcept;

/// Immutable; thread safe.
class AddressRules {
 public:
  /// Each "public", "any", "none", an address or a network ("10.1.0.0/16", "fd00::/8").
  /// kInvalidArgument.
  [[nodiscard]] static Result<AddressRules> parse(const std::vector<std::string>& rules);
  [[nodiscard]] bool allow(const AddressBytes& address) const noexcept;

 private:
  struct Network {
    AddressBytes address;
    unsigned bits = 0;  ///< of the 128
  };
  bool public_ = false;
  std::vector<Network> networks_;
};

}  // namespace runnel::broker
