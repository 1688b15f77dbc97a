// What clients are told to connect to. Unless something else was given, that is the address they
// reached: it works for them, whichever of the machine's addresses it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/net/session.h"
#include "protocol/base/error.h"

namespace runnel::broker {

/// What clients of one listening address are told.
struct AdvertisedListener {
  Endpoint listen;
  std::string host;        ///< empty: the address they reached
  std::uint16_t port = 0;  ///< 0: the port they reached
};

/// `text`: HOST:PORT, [V6]:PORT, or "reached"; port 0 stands for the one that is reached. An
/// address that stands for all of a machine's is refused (kInvalidArgument), since nobody can
/// connect to it; localhost becomes the number that is listened on, because it means another one to
/// some clients.
[[nodiscard]] Result<AdvertisedListener> parse_advertised(const Endpoint& listen,
                                                          std::string_view text);

/// What a client is told whose connection arrived at `reached`.
[[nodiscard]] Endpoint advertised_for(const std::vector<AdvertisedListener>& listeners,
                                      const Endpoint& reached);

}  // namespace runnel::broker
