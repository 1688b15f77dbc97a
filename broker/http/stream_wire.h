// A stream's two forms: server-sent events, and WebSocket messages where the client asked for that.
#pragma once

#include <string>
#include <string_view>

#include "broker/http/call.h"

namespace runnel::broker::http {

/// Whether the client asked this route, whose answers go on, for a WebSocket.
[[nodiscard]] bool wants_websocket(const Route& route, const Request& request);
[[nodiscard]] inline bool is_websocket(const Call& call) {
  return wants_websocket(call.route(), call.request());
}
/// Sends the head, or fails the call because its handshake is none (false).
[[nodiscard]] bool begin_stream(Call& call);
/// Tells why the broker ends the stream, and ends it.
void end_stream(Call& call, const Error& why);
/// What is sent when nothing else is.
[[nodiscard]] std::string sign_of_life(const Call& call);
/// `members`: of a JSON object, without its braces.
[[nodiscard]] std::string socket_message(std::string_view members);

}  // namespace runnel::broker::http
