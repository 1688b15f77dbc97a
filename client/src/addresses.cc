#include "client/src/addresses.h"

#include <netdb.h>

#include <cstring>
#include <memory>

namespace runnel::client {
namespace {

Result<std::vector<SocketAddress>> look_up(const Endpoint& endpoint, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
  if (rc != 0)
    return fail(ErrorCode::kDisconnected, std::string("cannot be resolved: ") + ::gai_strerror(rc));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<SocketAddress> out;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    SocketAddress& address = out.emplace_back();
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
  }
  return out;
}

}  // namespace

std::string SocketAddress::to_string() const {
  char host[NI_MAXHOST] = "?";
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, host, sizeof host, nullptr, 0,
                NI_NUMERICHOST);
  return host;
}

bool SocketAddress::operator==(const SocketAddress& o) const {
  return size == o.size && std::memcmp(&storage, &o.storage, size) == 0;
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint) {
  return look_up(endpoint, 0);
}
Result<std::vector<SocketAddress>> resolve_numeric(const Endpoint& endpoint) {
  return look_up(endpoint, AI_NUMERICHOST);
}

}  // namespace runnel::client
