// Frames of WebSocket, in whatever pieces they come, and what is no frame.
#include "broker/http/websocket.h"

#include <gtest/gtest.h>

#include <vector>

namespace runnel::broker::http {
namespace {

/// A frame as a client sends it.
std::string masked(unsigned first, std::string_view payload, unsigned length_form = 0) {
  std::string out(1, static_cast<char>(first));
  const std::size_t size = payload.size();
  if (length_form == 0) length_form = size > 0xffff ? 127 : size > 125 ? 126 : 1;
  const int bytes = length_form == 127 ? 8 : length_form == 126 ? 2 : 0;
  out += static_cast<char>(0x80 | (bytes == 0 ? size : length_form));
  for (int i = bytes; i-- > 0;) {
    out += static_cast<char>(static_cast<std::uint64_t>(size) >> (8 * i));
  }
  const std::string key = "\x12\xff\x03\x40";
  out += key;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
  return out;
}

struct Taken {
  std::vector<std::string> messages;
  std::optional<CloseCode> violation;
};

/// Put in two pieces, the first of `split` bytes.
Taken take(const std::string& bytes, std::size_t split) {
  SocketReader reader;
  Taken out;
  const auto on_message = [&](const SocketReader::Message& message) {
    out.messages.push_back(std::to_string(static_cast<int>(message.opcode)) + " " +
                           std::to_string(message.code) + " " + std::string(message.data));
    return true;
  };
  for (const std::string_view piece :
       {std::string_view(bytes).substr(0, split), std::string_view(bytes).substr(split)}) {
    if (out.violation) break;
    if (const auto wrong = reader.put(piece, on_message)) out.violation = wrong->code;
  }
  return out;
}

void expect_everywhere(const std::string& bytes, const std::vector<std::string>& messages,
                       std::optional<CloseCode> violation = std::nullopt) {
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    const Taken taken = take(bytes, split);
    EXPECT_EQ(taken.messages, messages) << "split at " << split;
    EXPECT_EQ(taken.violation, violation) << "split at " << split;
  }
}

TEST(WebSocketTest, MessagesComeWholeHoweverTheyAreCut) {
  const std::string middle(126, 'm');
  const std::string large(4096, 'l');
  expect_everywhere(masked(0x81, "hello") + masked(0x82, "") + masked(0x81, middle),
                    {"1 0 hello", "2 0 ", "1 0 " + middle});
  expect_everywhere(masked(0x82, large), {"2 0 " + large});
  // In parts, with a ping between them.
  expect_everywhere(masked(0x01, "a\xc3") + masked(0x89, "ping") + masked(0x00, "\xa4") +
                        masked(0x80, "b") + masked(0x8a, ""),
                    {"9 0 ping",
                     "1 0 a\xc3\xa4"
                     "b",
                     "10 0 "});
  expect_everywhere(masked(0x88,
                           "\x03\xe8"
                           "bye") +
                        "dropped",
                    {"8 1000 bye"});
  expect_everywhere(masked(0x88, ""), {"8 1005 "});
}

TEST(WebSocketTest, WhatIsNoFrameEndsIt) {
  const auto wrong = CloseCode::kProtocolError;
  expect_everywhere(std::string("\x81\x05hello"), {}, wrong);  // not masked
  expect_everywhere(masked(0xc1, "x"), {}, wrong);             // a reserved bit
  expect_everywhere(masked(0x83, "x"), {}, wrong);             // opcodes that are none
  expect_everywhere(masked(0x8b, "x"), {}, wrong);
  expect_everywhere(masked(0x80, "x"), {}, wrong);                      // nothing to go on with
  expect_everywhere(masked(0x01, "x") + masked(0x81, "y"), {}, wrong);  // one within another
  expect_everywhere(masked(0x09, "x"), {}, wrong);                      // a ping in parts
  expect_everywhere(masked(0x89, std::string(126, 'x')), {}, wrong);    // a large ping
  expect_everywhere(masked(0x81, "x", 126), {}, wrong);                 // long forms of lengths
  expect_everywhere(masked(0x81, std::string(200, 'x'), 127), {}, wrong);
  expect_everywhere(masked(0x88, "\x03"), {}, wrong);      // codes that are none
  expect_everywhere(masked(0x88, "\x03\xed"), {}, wrong);  // 1005
  expect_everywhere(masked(0x88, std::string("\x00\x00", 2)), {}, wrong);
  expect_everywhere(masked(0x81, "\xff"), {}, CloseCode::kInvalidText);
  expect_everywhere(masked(0x88, "\x03\xe8\xff"), {}, CloseCode::kInvalidText);
  expect_everywhere(masked(0x81, std::string(4097, 'x')).substr(0, 100), {}, CloseCode::kTooLarge);
  // A length that no memory holds is refused before anything is kept.
  expect_everywhere(std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                "abcd",
                                14),
                    {}, CloseCode::kTooLarge);
  expect_everywhere(masked(0x01, std::string(4000, 'x')) + masked(0x80, std::string(97, 'y')), {},
                    CloseCode::kTooLarge);
}

TEST(WebSocketTest, FramesOfServersAreAsTheRfcShowsThem) {
  EXPECT_EQ(frame_of(Opcode::kText, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(frame_of(Opcode::kBinary, std::string(256, 'x')).substr(0, 4),
            std::string("\x82\x7e\x01\x00", 4));
  EXPECT_EQ(frame_of(Opcode::kBinary, std::string(65536, 'x')).substr(0, 10),
            std::string("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10));
  EXPECT_EQ(close_frame(CloseCode::kGoingAway, "bye"),
            "\x88\x05\x03\xe9"
            "bye");
  EXPECT_EQ(close_frame(CloseCode::kNormal, std::string(200, 'x')).size(), 127u);
}

TEST(WebSocketTest, HandsAreShakenAsTheRfcShows) {
  Request request;
  request.headers = {{"connection", "keep-alive, Upgrade"},
                     {"upgrade", "WebSocket"},
                     {"sec-websocket-version", "13"},
                     {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  ASSERT_TRUE(asks_for_websocket(request));
  EXPECT_EQ(shake_hands(request).accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  request.headers[3].value = "dGhlIHNhbXBsZQ==";
  EXPECT_EQ(shake_hands(request).problem->status, 400u);
  request.headers[2].value = "8";
  EXPECT_EQ(shake_hands(request).problem->status, 426u);
  request.headers[1].value = "h2c";
  EXPECT_FALSE(asks_for_websocket(request));
  request.headers = {{"upgrade", "websocket"}};
  EXPECT_FALSE(asks_for_websocket(request));
}

}  // namespace
}  // namespace runnel::broker::http
