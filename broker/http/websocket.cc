#include "broker/http/websocket.h"

#include <algorithm>
#include <boost/uuid/detail/sha1.hpp>
#include <cctype>

#include "protocol/filter/json_text.h"
#include "protocol/text/base64.h"

namespace runnel::broker::http {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kKeyBytes = 16;
constexpr std::size_t kMaxControlBytes = 125;
constexpr std::uint16_t kNoCode = 1005;

bool is_control(Opcode opcode) {
  return static_cast<std::uint8_t>(opcode) >= static_cast<std::uint8_t>(Opcode::kClose);
}

/// Whether a header that is a list has the word, in any case.
bool has_word(const std::string* list, std::string_view word) {
  if (list == nullptr) return false;
  std::string_view rest = *list;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    if (media_type(rest.substr(0, end)) == word) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

std::string sha1_of(std::string_view text) {
  boost::uuids::detail::sha1 hash;
  hash.process_bytes(text.data(), text.size());
  boost::uuids::detail::sha1::digest_type words{};
  hash.get_digest(words);
  std::string out;
  for (const unsigned word : words) {
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(word >> shift);
  }
  return out;
}

/// What a close frame may name (RFC 6455, 7.4).
bool is_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

SocketReader::Violation violation(std::string_view why,
                                  CloseCode code = CloseCode::kProtocolError) {
  return {code, why};
}

}  // namespace

bool asks_for_websocket(const Request& request) {
  return has_word(request.header("upgrade"), "websocket") &&
         has_word(request.header("connection"), "upgrade");
}

Handshake shake_hands(const Request& request) {
  const std::string* const version = request.header("sec-websocket-version");
  if (version == nullptr || *version != "13") {
    Problem wrong = problem(426, "upgrade_required",
                            "Sec-WebSocket-Version has to be 13, which is all that is spoken here");
    wrong.headers = {{"Sec-WebSocket-Version", "13"}};
    return {{}, std::move(wrong)};
  }
  const std::string* const key = request.header("sec-websocket-key");
  const auto bytes =
      key != nullptr ? protocol::decode_base64(*key) : Result<std::string>(std::string());
  if (!bytes || bytes->size() != kKeyBytes || !request.http11) {
    return {{},
            problem(400, "malformed_request",
                    "the WebSocket handshake needs HTTP/1.1 and a Sec-WebSocket-Key of 16 "
                    "bytes in base64")};
  }
  Handshake out;
  protocol::append_base64(sha1_of(*key + std::string(kGuid)), out.accept);
  return out;
}

std::string frame_of(Opcode opcode, std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 10);
  out += static_cast<char>(0x80 | static_cast<unsigned>(opcode));
  const std::uint64_t size = payload.size();
  int bytes = 0;
  if (size <= kMaxControlBytes) {
    out += static_cast<char>(size);
  } else if (size <= 0xffff) {
    out += static_cast<char>(126);
    bytes = 2;
  } else {
    out += static_cast<char>(127);
    bytes = 8;
  }
  while (bytes-- > 0) out += static_cast<char>(size >> (8 * bytes));
  return out.append(payload);
}

std::string close_frame(CloseCode code, std::string_view reason) {
  const auto number = static_cast<std::uint16_t>(code);
  std::string payload{static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
  payload.append(reason.substr(0, kMaxControlBytes - payload.size()));
  return frame_of(Opcode::kClose, payload);
}

std::size_t SocketReader::head_bytes() const noexcept {
  if (head_size_ < 2) return 2;
  const unsigned length = head_[1] & 0x7f;
  const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
  return 2 + more + 4;
}

std::optional<SocketReader::Violation> SocketReader::put(std::string_view bytes,
                                                         const OnMessage& on_message) {
  while (!stopped_) {
    if (!in_payload_) {
      while (!bytes.empty() && head_size_ < head_bytes()) {
        head_[head_size_++] = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        // What is wrong is said before what would follow it.
        if (head_size_ == 2 && (head_[1] & 0x80) == 0) {
          return violation("frames of clients have to be masked");
        }
      }
      if (head_size_ < head_bytes()) return std::nullopt;
      if (const auto wrong = head_arrived()) return wrong;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    std::string& to = is_control(opcode_) ? control_ : data_;
    const unsigned char* const key = &head_[head_size_ - 4];
    for (const char c : bytes.substr(0, size)) {
      to += static_cast<char>(static_cast<unsigned char>(c) ^ key[at_++ % 4]);
    }
    bytes.remove_prefix(size);
    left_ -= size;
    if (left_ > 0) return std::nullopt;
    in_payload_ = false;
    head_size_ = 0;
    if (const auto wrong = frame_arrived(on_message)) return wrong;
  }
  return std::nullopt;
}

std::optional<SocketReader::Violation> SocketReader::head_arrived() {
  final_ = (head_[0] & 0x80) != 0;
  if ((head_[0] & 0x70) != 0) return violation("a reserved bit is set; no extension was agreed on");
  const unsigned opcode = head_[0] & 0x0f;
  if ((opcode > 2 && opcode < 8) || opcode > 10) return violation("the opcode is not known");
  opcode_ = static_cast<Opcode>(opcode);
  const unsigned length = head_[1] & 0x7f;
  left_ = length;
  if (length > kMaxControlBytes) {
    left_ = 0;
    for (std::size_t i = 2; i < head_size_ - 4; ++i) left_ = left_ << 8 | head_[i];
    if (left_ <= (length == 126 ? std::uint64_t{kMaxControlBytes} : std::uint64_t{0xffff})) {
      return violation("a length is not written in its shortest form");
    }
  }
  at_ = 0;
  in_payload_ = true;
  if (is_control(opcode_)) {
    control_.clear();
    if (!final_ || left_ > kMaxControlBytes) {
      return violation("a control frame is in parts or has more than 125 bytes");
    }
    return std::nullopt;
  }
  if ((opcode_ == Opcode::kContinuation) != message_.has_value()) {
    return violation(message_ ? "a message begins within another"
                              : "a message goes on that was not begun");
  }
  if (!message_) {
    message_ = opcode_;
    data_.clear();
  }
  if (left_ > kMaxSocketMessage - data_.size()) {
    return violation("a message has more than 4096 bytes", CloseCode::kTooLarge);
  }
  return std::nullopt;
}

std::optional<SocketReader::Violation> SocketReader::frame_arrived(const OnMessage& on_message) {
  Message message{opcode_, control_, 0};
  if (!is_control(opcode_)) {
    if (!final_) return std::nullopt;
    message = {*message_, data_, 0};
    message_.reset();
    if (message.opcode == Opcode::kText && !protocol::is_utf8(data_)) {
      return violation("a text is no UTF-8", CloseCode::kInvalidText);
    }
  } else if (opcode_ == Opcode::kClose) {
    message.code = kNoCode;
    if (control_.size() == 1) return violation("a close frame has half a code");
    if (control_.size() >= 2) {
      message.code = static_cast<std::uint16_t>(static_cast<unsigned char>(control_[0]) << 8 |
                                                static_cast<unsigned char>(control_[1]));
      message.data.remove_prefix(2);
      if (!is_close_code(message.code)) return violation("a close frame has a code that is none");
      if (!protocol::is_utf8(message.data)) {
        return violation("a reason is no UTF-8", CloseCode::kInvalidText);
      }
    }
  }
  stopped_ = !on_message(message) || message.opcode == Opcode::kClose;
  return std::nullopt;
}

}  // namespace runnel::broker::http
