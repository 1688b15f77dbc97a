// Addresses as Asio has them, and as the rules of webhooks do.
#pragma once

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>

#include "broker/net/address_rules.h"

namespace runnel::broker {

/// IPv4 mapped into IPv6. An address's zone (fe80::1%eth0) is not kept.
[[nodiscard]] inline AddressBytes bytes_of(const boost::asio::ip::address& address) {
  namespace ip = boost::asio::ip;
  const auto v6 =
      address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6();
  AddressBytes out{};
  const auto bytes = v6.to_bytes();
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

[[nodiscard]] inline boost::asio::ip::tcp::endpoint endpoint_of(const AddressBytes& bytes,
                                                                std::uint16_t port) {
  namespace ip = boost::asio::ip;
  ip::address_v6::bytes_type v6{};
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  const ip::address_v6 address(v6);
  if (!address.is_v4_mapped()) return {address, port};
  return {ip::make_address_v4(ip::v4_mapped, address), port};
}

}  // namespace runnel::broker
