#include "tools/text/address.h"

#include <algorithm>
#include <string>

#include "protocol/text/units.h"

namespace runnel::tools {

namespace {

Status check_one(std::string_view address) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument,
                "the address '" + std::string(address) + "' " + std::string(why) +
                    "; write HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092");
  };
  std::string_view rest = address;
  if (rest.find("://") != std::string_view::npos) return bad("is written without a scheme");
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos || end == 1) return bad("lacks a host in its brackets");
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad("has no ':' behind its brackets");
  } else {
    const std::size_t colon = rest.find(':');
    if (colon != rest.rfind(':')) return bad("has several ':'; IPv6 needs brackets");
    if (colon == 0 || rest.empty()) return bad("has no host");
    rest.remove_prefix(std::min(colon, rest.size()));
  }
  if (rest.empty()) return {};
  const auto port = protocol::parse_integer(rest.substr(1));
  if (!port) return bad("has a port that is no number");
  if (*port < 1 || *port > 65535) return bad("has a port outside 1 to 65535");
  return {};
}

constexpr std::uint16_t kDefaultPort = 9092;

/// Of what check_one() lets pass.
BrokerAddress parse_one(std::string_view address) {
  const bool bracketed = address.starts_with('[');
  const std::size_t end =
      bracketed ? address.find(']') : std::min(address.find(':'), address.size());
  BrokerAddress out{std::string(address.substr(bracketed ? 1 : 0, bracketed ? end - 1 : end)),
                    kDefaultPort};
  const std::string_view rest = address.substr(bracketed ? end + 1 : end);
  if (rest.empty()) return out;
  const auto port = protocol::parse_integer(rest.substr(1));
  out.port = static_cast<std::uint16_t>(port.value_or(kDefaultPort));
  return out;
}

}  // namespace

Result<std::vector<BrokerAddress>> broker_addresses(std::string_view address) {
  if (address.empty()) address = kDefaultBroker;
  RUNNEL_TRY(check_broker_address(address));
  std::vector<BrokerAddress> out;
  for (std::size_t at = 0; at <= address.size();) {
    const std::size_t end = std::min(address.find(',', at), address.size());
    out.push_back(parse_one(address.substr(at, end - at)));
    at = end + 1;
  }
  return out;
}

Status check_broker_address(std::string_view address) {
  for (std::size_t at = 0; at <= address.size();) {
    const std::size_t end = std::min(address.find(',', at), address.size());
    RUNNEL_TRY(check_one(address.substr(at, end - at)));
    at = end + 1;
  }
  return {};
}

}  // namespace runnel::tools
