// Bytes to and from a broker: over a socket, inside this process, or scripted by a test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/src/addresses.h"
#include "client/src/loop.h"
#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

namespace runnel::client {

/// What happens to a transport. Called on the loop's thread, never from inside a Transport call.
class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  /// Connected. Comes again, before anything was received, when the address stayed silent and
  /// another one was taken up: what was sent is lost then.
  virtual void transport_open() = 0;
  virtual void transport_received(Bytes data) = 0;  ///< valid during the call
  /// The last call. `why` names the peer.
  virtual void transport_closed(const Error& why) = 0;
};

/// One connection, used once. Loop thread only. Destroying it closes it without an event.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Starts connecting; transport_open() or transport_closed() follows.
  virtual void open() = 0;
  /// Queues `pieces` in order.
  virtual void send(std::vector<Buffer> pieces) = 0;
};

/// Makes the transport of one connection attempt. `events` outlives it.
using TransportFactory =
    std::function<std::unique_ptr<Transport>(Loop& loop, TransportEvents& events)>;

/// TCP to one broker that is at one of `endpoints`, none empty. The addresses are tried in order,
/// first the one that answered last. While others remain, each has its share of `within` to connect
/// and say its first word, so that a dead one does not use up the time of all.
[[nodiscard]] TransportFactory socket_transport(std::vector<Endpoint> endpoints,
                                                Milliseconds within, Resolver resolver = resolve);

}  // namespace runnel::client
