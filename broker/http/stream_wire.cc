#include "broker/http/stream_wire.h"

#include "broker/http/router.h"
#include "broker/http/websocket.h"

namespace runnel::broker::http {

bool wants_websocket(const Route& route, const Request& request) {
  return route.streams && request.method == Method::kGet && asks_for_websocket(request);
}

std::string socket_message(std::string_view members) {
  return frame_of(Opcode::kText, "{" + std::string(members) + "}");
}

bool begin_stream(Call& call) {
  if (!is_websocket(call)) {
    call.begin_stream({200, std::string(kEventStream), {}, {}});
    return true;
  }
  Handshake handshake = shake_hands(call.request());
  if (handshake.problem) {
    call.fail(*std::move(handshake.problem));
    return false;
  }
  Response head;
  head.status = 101;
  head.headers = {{"Upgrade", "websocket"},
                  {"Connection", "Upgrade"},
                  {"Sec-WebSocket-Accept", std::move(handshake.accept)}};
  call.begin_stream(std::move(head));
  return true;
}

void end_stream(Call& call, const Error& why) {
  std::string body = response_of(problem(why), call.id()).body;
  std::erase(body, '\n');
  std::string last = is_websocket(call) ? socket_message("\"type\":\"end\",\"problem\":" + body)
                                        : "event: end\ndata: " + body + "\n\n";
  static_cast<void>(call.write(std::move(last)));
  call.end_stream();
}

std::string sign_of_life(const Call& call) {
  return is_websocket(call) ? frame_of(Opcode::kPing, {}) : ": nothing new\n\n";
}

}  // namespace runnel::broker::http
