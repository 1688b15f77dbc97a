// WebSocket (RFC 6455): the handshake's answer, frames out, frames in.
//
//   Byte  Field
//   0     FIN 1 bit, RSV 3 bits (0: no extensions), opcode 4 bits
//   1     MASK 1 bit (1 of clients, 0 of servers), length 7 bits
//   2     126: length u16; 127: length u64, big-endian; the shortest form only
//   ..    of clients: masking key, 4 bytes
//   ..    payload; byte i is XORed with key[i mod 4]
//
// Opcodes: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong. Those from 8 on have at most
// 125 bytes, are whole, and may stand between the frames of a message.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "broker/http/message.h"

namespace runnel::broker::http {

/// Of one message in, all frames together. Clients have next to nothing to say.
inline constexpr std::size_t kMaxSocketMessage = 4u << 10;

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};
/// Why a connection ends; sent in close frames.
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kInvalidText = 1007,
  kTooLarge = 1009,
};

/// Whether the request asks for a WebSocket at all.
[[nodiscard]] bool asks_for_websocket(const Request& request);
/// Sec-WebSocket-Accept; a problem (400, 426): the handshake is not one of RFC 6455.
struct Handshake {
  std::string accept;
  std::optional<Problem> problem;
};
[[nodiscard]] Handshake shake_hands(const Request& request);

/// A whole frame of a server.
[[nodiscard]] std::string frame_of(Opcode opcode, std::string_view payload);
[[nodiscard]] std::string close_frame(CloseCode code, std::string_view reason);

/// Frames of a client. Not thread safe.
class SocketReader {
 public:
  struct Message {
    Opcode opcode = Opcode::kText;  ///< text, binary, close, ping or pong
    std::string_view data;          ///< of close: its reason; of use during the call
    std::uint16_t code = 0;         ///< of close; 1005: it names none
  };
  struct Violation {
    CloseCode code = CloseCode::kProtocolError;
    std::string_view why;
  };
  /// Returning false: no more; the rest is dropped.
  using OnMessage = std::function<bool(const Message&)>;

  /// Takes bytes as they come, in any pieces. After a violation it is of no more use.
  [[nodiscard]] std::optional<Violation> put(std::string_view bytes, const OnMessage& on_message);

 private:
  [[nodiscard]] std::optional<Violation> head_arrived();
  [[nodiscard]] std::optional<Violation> frame_arrived(const OnMessage& on_message);
  [[nodiscard]] std::size_t head_bytes() const noexcept;

  std::array<unsigned char, 14> head_{};
  std::size_t head_size_ = 0;  ///< bytes of it that came
  bool in_payload_ = false;
  std::uint64_t left_ = 0;  ///< of the payload
  std::size_t at_ = 0;      ///< of the payload, for the mask
  Opcode opcode_ = Opcode::kText;
  bool final_ = true;
  std::optional<Opcode> message_;  ///< that was begun and goes on
  std::string data_;               ///< of the message
  std::string control_;            ///< of the control frame at hand
  bool stopped_ = false;
};

}  // namespace runnel::broker::http
