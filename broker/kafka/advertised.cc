#include "broker/kafka/advertised.h"

#include <algorithm>
#include <charconv>

namespace runnel::broker {
namespace {

constexpr std::string_view kReached = "reached";
constexpr std::size_t kMaxHostBytes = 255;

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              "can't advertise '" + std::string(text) + "': " + std::string(why));
}

bool is_wildcard(std::string_view host) {
  return host == "0.0.0.0" || host == "::" || host == "*" || host == "0";
}

bool is_v6(std::string_view host) {
  return host.find(':') != std::string_view::npos;
}

/// Whether a connection that arrived at `reached` may have come in there.
bool is_of(const Endpoint& listen, const Endpoint& reached) {
  if (listen.port != 0 && listen.port != reached.port) return false;
  if (listen.host == reached.host) return true;
  if (listen.host == "localhost") return reached.host == "127.0.0.1" || reached.host == "::1";
  return is_wildcard(listen.host) && is_v6(listen.host) == is_v6(reached.host);
}

}  // namespace

Result<AdvertisedListener> parse_advertised(const Endpoint& listen, std::string_view text) {
  AdvertisedListener to{listen, {}, 0};
  if (text == kReached) return to;
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
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (is_v6(host)) {
    return bad(text, "an IPv6 address stands in brackets, such as [::1]:9092");
  }
  if (host.empty() || host.size() > kMaxHostBytes) {
    return bad(text, "the host has 1 to " + std::to_string(kMaxHostBytes) + " characters");
  }
  if (is_wildcard(host)) {
    return bad(text,
               "it stands for all addresses of this machine, and clients need one; without "
               "--advertise each is told the address it reached");
  }
  to.host = host;
  if (host == "localhost") to.host = is_v6(listen.host) ? "::1" : "127.0.0.1";
  return to;
}

Endpoint advertised_for(const std::vector<AdvertisedListener>& listeners, const Endpoint& reached) {
  const auto exact =
      std::find_if(listeners.begin(), listeners.end(), [&](const AdvertisedListener& l) {
        return l.listen.host == reached.host && l.listen.port == reached.port;
      });
  const auto found = exact != listeners.end()
                         ? exact
                         : std::find_if(listeners.begin(), listeners.end(),
                                        [&](const auto& l) { return is_of(l.listen, reached); });
  if (found == listeners.end()) return reached;
  return {found->host.empty() ? reached.host : found->host,
          found->port == 0 ? reached.port : found->port};
}

}  // namespace runnel::broker
