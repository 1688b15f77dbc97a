// HTTP requests and responses as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"

namespace runnel::broker::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };
/// "GET", ...; kOther: "".
[[nodiscard]] std::string_view name_of(Method method) noexcept;
/// Case matters, as RFC 9110 says.
[[nodiscard]] Method method_named(std::string_view name) noexcept;
/// Whether it changes nothing.
[[nodiscard]] constexpr bool is_safe(Method m) noexcept {
  return m == Method::kGet || m == Method::kHead || m == Method::kOptions;
}

struct Header {
  std::string name;  ///< of a request: in lower case
  std::string value;
};

struct Request {
  Method method = Method::kOther;
  std::string target;  ///< as it came: path and query
  bool http11 = true;
  bool keep_alive = true;
  std::vector<Header> headers;
  std::string body;

  /// The first one's value, or nullptr. `name` in lower case.
  [[nodiscard]] const std::string* header(std::string_view name) const noexcept;
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
};

struct Response {
  unsigned status = 200;
  std::string content_type;  ///< empty: there is no body
  std::string body;
  std::vector<Header> headers;
};

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kNdjson = "application/x-ndjson";
inline constexpr std::string_view kCsv = "text/csv";
inline constexpr std::string_view kPlainText = "text/plain";
inline constexpr std::string_view kEventStream = "text/event-stream";
inline constexpr std::string_view kAnyType = "*/*";  ///< of a route's bodies: whatever comes
inline constexpr std::string_view kProblemJson = "application/problem+json";

/// What is told of a request that failed (RFC 9457).
struct Problem {
  unsigned status = 500;
  std::string type;    ///< "urn:runnel:problem:unknown_topic": stable, for programs
  std::string title;   ///< the same for people
  std::string detail;  ///< what happened, why, and what to do
  bool retriable = false;
  std::vector<Header> headers;  ///< of the response, such as Allow
  std::string more;             ///< further members: `,"name":value`...
};

/// Of what HTTP itself asks for; `type` is a lower_snake name.
[[nodiscard]] Problem problem(unsigned status, std::string_view type, std::string detail);
/// Of the broker's error.
[[nodiscard]] Problem problem(const Error& error);
[[nodiscard]] Response response_of(Problem problem, std::string_view request_id);
[[nodiscard]] unsigned status_of(ErrorCode code) noexcept;
/// "OK", "Not Found", ...
[[nodiscard]] std::string_view reason_of(unsigned status) noexcept;

[[nodiscard]] inline Response json(std::string body, unsigned status = 200) {
  return {status, std::string(kJson), std::move(body), {}};
}

/// As RFC 9110 writes it: "Sat, 21 Nov 2026 05:00:00 GMT". Milliseconds since 1970.
[[nodiscard]] std::string http_date(std::int64_t millis);
/// Everything up to the body. `length`: nullopt: the body comes in chunks, or until the connection
/// is closed (`chunked` false).
struct HeadOptions {
  std::optional<std::size_t> length;
  bool chunked = false;
  bool close = false;
  bool say_keep_alive = false;  ///< to HTTP/1.0
};
[[nodiscard]] std::string head_of(const Response& response, const HeadOptions& options,
                                  std::int64_t now_millis);

/// "%41b+c" -> "Ab+c" (a plus stays one in a path; in a query it is a blank). nullopt: a percent
/// sign without two digits, or what is no text: NUL, other control bytes, no UTF-8.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_blank);

/// For one part of a path: "a/b" -> "a%2Fb".
[[nodiscard]] std::string percent_encode(std::string_view text);

/// Whether the value of Accept (all of it) takes `type`.
[[nodiscard]] bool accepts(std::string_view accept, std::string_view type);
/// A header's value up to its first ';', lower case, without blanks: "application/json".
[[nodiscard]] std::string media_type(std::string_view value);

}  // namespace runnel::broker::http
