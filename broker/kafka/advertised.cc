#include "broker/kafka/advertised.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>

namespace runnel::broker {
namespace {

constexpr std::string_view kReached = "reached";
constexpr std::size_t kMaxHostBytes = 255;

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              "can't advertise '" + std::string(text) + "': " + std::string(why));
}

/// An IPv6 address, or an IPv4 one as one of these.
using Address = std::array<std::uint8_t, 16>;
constexpr std::size_t kV4Prefix = 12;

Address mapped_v4(const in_addr& v4) {
  Address address{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::memcpy(address.data() + kV4Prefix, &v4, sizeof v4);
  return address;
}

/// Nothing: it is a name.
std::optional<Address> address_of(std::string_view host) {
  const std::string text(host);
  in_addr v4{};
  if (inet_aton(text.c_str(), &v4) != 0) return mapped_v4(v4);  // also 127.1
  Address v6{};
  if (inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) return v6;
  return std::nullopt;
}

bool is_v4(const Address& address) {
  const Address v4 = mapped_v4({});
  return std::equal(v4.begin(), v4.begin() + kV4Prefix, address.begin());
}

bool is_wildcard(const Address& address) {
  return address == Address{} || address == mapped_v4({});
}

bool is_wildcard(std::string_view host) {
  const auto address = address_of(host);
  return host == "*" || (address && is_wildcard(*address));
}

bool is_loopback(const Address& address) {
  constexpr std::uint8_t kV4Loopback = 127;
  Address v6{};
  v6.back() = 1;
  return address == v6 || (is_v4(address) && address[kV4Prefix] == kV4Loopback);
}

/// How well a connection that arrived at `reached` fits the listener's host; 0: it does not.
int fit(const Endpoint& listen, const Endpoint& reached) {
  const auto here = address_of(listen.host);
  const auto there = address_of(reached.host);
  if (!here || !there) {
    if (listen.host == reached.host) return 4;
    return listen.host == "localhost" && there && is_loopback(*there) ? 3 : 0;
  }
  if (*here == *there) return 4;
  if (!is_wildcard(*here)) return 0;
  if (is_v4(*here) == is_v4(*there)) return 2;
  return is_v4(*here) ? 0 : 1;  // [::] may take IPv4 in as well
}

bool is_host_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

/// Whether `host` can be an address or a name; the brackets of an IPv6 address are off.
bool is_host(std::string_view host, bool bracketed) {
  // What stands behind '%' names a network interface.
  if (bracketed) return address_of(host.substr(0, host.find('%'))).has_value();
  return std::all_of(host.begin(), host.end(), is_host_character);
}

}  // namespace

Result<AdvertisedListener> parse_advertised(const Endpoint& listen, std::string_view text) {
  AdvertisedListener to{listen, {}, 0};
  if (text == kReached) return to;
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    return bad(text, "write it without a listener's name, as " +
                         std::string(text.substr(scheme + std::strlen("://"))));
  }
  if (text.find(',') != std::string_view::npos) {
    return bad(text, "it is one address; for several give the option once for each");
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return bad(text, "write HOST:PORT, such as broker.example.org:9092");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), to.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return bad(text, "the port is a number from 0 to 65535, 0 for the one clients reach");
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad(text, "an IPv6 address stands in brackets, such as [::1]:9092");
  }
  if (host.empty() || host.size() > kMaxHostBytes) {
    return bad(text, "the host has 1 to " + std::to_string(kMaxHostBytes) + " characters");
  }
  if (!is_host(host, bracketed) && host != "*") {
    return bad(text, bracketed ? "an IPv6 address stands in the brackets, such as [::1]:9092"
                               : "a host has letters, digits, '-', '.' and '_' only");
  }
  if (is_wildcard(host)) {
    return bad(text,
               "it stands for all addresses of this machine, and clients need one; without "
               "--advertise each is told the address it reached");
  }
  to.host = host;
  if (host == "localhost") {
    const auto here = address_of(listen.host);
    to.host = here && !is_v4(*here) ? "::1" : "127.0.0.1";
  }
  return to;
}

Endpoint advertised_for(const std::vector<AdvertisedListener>& listeners, const Endpoint& reached) {
  const AdvertisedListener* found = nullptr;
  int best = 0;
  for (const AdvertisedListener& listener : listeners) {
    if (listener.listen.port != 0 && listener.listen.port != reached.port) continue;
    const int fits = fit(listener.listen, reached);
    if (fits <= best) continue;
    best = fits;
    found = &listener;
  }
  if (found == nullptr) return reached;
  return {found->host.empty() ? reached.host : found->host,
          found->port == 0 ? reached.port : found->port};
}

}  // namespace runnel::broker
