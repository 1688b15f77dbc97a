// One HTTP request and its whole answer, for who has nothing else to do meanwhile: the command
// line.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/base/error.h"

namespace runnel::broker {

inline constexpr std::size_t kMaxHttpReplyBytes = 64u << 20;

struct HttpCall {
  std::string host;  ///< a name, or an address without brackets
  std::uint16_t port = 0;
  std::string method = "GET";
  std::string target = "/";
  std::string body;                           ///< JSON; empty: none
  std::chrono::milliseconds timeout{30'000};  ///< from connecting to the answer's end
};
struct HttpReply {
  unsigned status = 0;
  std::string body;
};

/// Blocks. Asks as localhost, whatever the broker's name is: it is not a page that asks. Errors:
/// kDisconnected, kTimeout, kMalformed (kRecordTooLarge: more than kMaxHttpReplyBytes).
[[nodiscard]] Result<HttpReply> call_http(const HttpCall& call);
/// Of an error of call_http(): no broker can have the request, another one may be asked.
[[nodiscard]] bool reached_nobody(const Error& error);

}  // namespace runnel::broker
