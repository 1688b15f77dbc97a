// One port, several protocols: the first bytes of a connection tell which one it speaks.
//
//   first bytes   protocol
//   "RNL1"        Runnel's native protocol
//   0x00 to 0x07  Kafka (the high byte of a frame's length)
//   0x16          TLS (a handshake record)
//   a letter      HTTP
//   other         none: the connection is closed
#pragma once

#include "broker/net/loop.h"
#include "broker/net/session.h"

namespace runnel::broker {

/// Who serves what. A protocol without a factory is declined politely, in its own words.
struct PortProtocols {
  SessionFactory native;
  SessionFactory kafka;
  SessionFactory http;
  NetLog log;  ///< declined connections; may be empty
};

/// Sessions that wait for the first bytes and then hand everything, these bytes included, to a
/// session of the protocol they tell. Costs nothing but a forwarded call afterwards.
[[nodiscard]] SessionFactory detect_protocol(PortProtocols protocols);

}  // namespace runnel::broker
