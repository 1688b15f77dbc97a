// Where a broker may be reached: names and ports, and the addresses behind a name.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::client {

struct Endpoint {
  std::string host;
  std::string port;
  [[nodiscard]] std::string to_string() const { return host + ":" + port; }
  bool operator==(const Endpoint&) const = default;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  /// The numeric host.
  [[nodiscard]] std::string to_string() const;
  bool operator==(const SocketAddress& o) const;
};

/// The addresses of an endpoint, at least one, in the order to try them. May block; any thread.
/// Errors: kDisconnected.
using Resolver = std::function<Result<std::vector<SocketAddress>>(const Endpoint&)>;

/// Asks the system's resolver.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint);
/// Does not block: fails unless the host is an address already.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve_numeric(const Endpoint& endpoint);

}  // namespace runnel::client
