#include "broker/net/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "broker/net/sockets.h"

namespace runnel::broker {

Status sd_notify(std::string_view state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path) {
    return fail(ErrorCode::kInvalidArgument, "NOTIFY_SOCKET is \"" + std::string(path) +
                                                 "\", which is neither a path nor an abstract "
                                                 "name; unset it or let systemd set it");
  }
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (!fd.valid() || ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return fail(ErrorCode::kIo,
                std::string("cannot notify systemd at ") + path + ": " + errno_text(errno));
  }
  return {};
}

}  // namespace runnel::broker
