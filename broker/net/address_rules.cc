#include "broker/net/address_rules.h"

#include <arpa/inet.h>

#include <algorithm>

#include "protocol/text/units.h"

namespace runnel::broker {
namespace {

constexpr unsigned kAddressBits = 128;
constexpr unsigned kMappedBits = 96;  ///< before the address of a mapped one

bool within(const AddressBytes& address, const AddressBytes& network, unsigned bits) {
  for (unsigned bit = 0; bit < bits; bit += 8) {
    const unsigned left = std::min(bits - bit, 8u);
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - left));
    if (((address[bit / 8] ^ network[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

AddressBytes mapped(std::array<std::uint8_t, 4> v4) {
  AddressBytes out{};
  out[10] = out[11] = 0xff;
  std::copy(v4.begin(), v4.end(), out.begin() + 12);
  return out;
}

struct Special {
  std::array<std::uint8_t, 4> address;
  unsigned bits;
};
/// IANA's registry of special addresses.
constexpr std::array<Special, 15> kNotPublic{{{{0, 0, 0, 0}, 8},
                                              {{10, 0, 0, 0}, 8},
                                              {{100, 64, 0, 0}, 10},
                                              {{127, 0, 0, 0}, 8},
                                              {{169, 254, 0, 0}, 16},
                                              {{172, 16, 0, 0}, 12},
                                              {{192, 0, 0, 0}, 24},
                                              {{192, 0, 2, 0}, 24},
                                              {{192, 88, 99, 0}, 24},
                                              {{192, 168, 0, 0}, 16},
                                              {{198, 18, 0, 0}, 15},
                                              {{198, 51, 100, 0}, 24},
                                              {{203, 0, 113, 0}, 24},
                                              {{224, 0, 0, 0}, 4},
                                              {{240, 0, 0, 0}, 4}}};

tl::unexpected<Error> no_rule(const std::string& rule) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + rule +
                  "' is no rule for addresses; write public, any, none, an address, or a network "
                  "such as 10.1.0.0/16");
}

}  // namespace

Result<AddressBytes> parse_address(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 4> v4{};
  if (inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) return mapped(v4);
  AddressBytes v6{};
  if (inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return v6;
  return fail(ErrorCode::kInvalidArgument, "'" + terminated + "' is no address");
}

bool is_public(const AddressBytes& address) noexcept {
  if (within(address, mapped({0, 0, 0, 0}), kMappedBits)) {
    return std::none_of(kNotPublic.begin(), kNotPublic.end(), [&](const Special& special) {
      return within(address, mapped(special.address), kMappedBits + special.bits);
    });
  }
  // 2000::/3 without 2001::/23 (Teredo among it), 2001:db8::/32, 2002::/16 (6to4) and 3fff::/20.
  const bool global = (address[0] & 0xe0) == 0x20;
  const bool special = (address[0] == 0x20 && address[1] == 0x01 &&
                        (address[2] < 0x02 || (address[2] == 0x0d && address[3] == 0xb8))) ||
                       (address[0] == 0x20 && address[1] == 0x02) ||
                       (address[0] == 0x3f && address[1] == 0xff && address[2] < 0x10);
  return global && !special;
}

Result<AddressRules> AddressRules::parse(const std::vector<std::string>& rules) {
  AddressRules out;
  for (const std::string& rule : rules) {
    if (rule == "none") continue;
    if (rule == "public") {
      out.public_ = true;
    } else if (rule == "any") {
      out.networks_.push_back({});
    } else {
      const std::size_t slash = std::min(rule.find('/'), rule.size());
      const auto address = parse_address(std::string_view(rule).substr(0, slash));
      if (!address) return no_rule(rule);
      const bool is_v4 = rule.find(':') == std::string::npos;
      const unsigned before = is_v4 ? kMappedBits : 0;
      std::int64_t bits = kAddressBits - before;
      if (slash < rule.size()) {
        const auto given = protocol::parse_integer(std::string_view(rule).substr(slash + 1));
        if (!given || *given < 0 || *given > bits) return no_rule(rule);
        bits = *given;
      }
      out.networks_.push_back({*address, before + static_cast<unsigned>(bits)});
    }
  }
  return out;
}

bool AddressRules::allow(const AddressBytes& address) const noexcept {
  if (public_ && is_public(address)) return true;
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return within(address, network.address, network.bits);
  });
}

}  // namespace runnel::broker
