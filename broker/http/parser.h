// One HTTP request from its bytes. Boost.Beast's parser stays in parser.cc.
//
// Stricter than Beast where proxies and servers have disagreed about where a request ends: one
// Content-Length, no Transfer-Encoding but "chunked", never both, no folded headers, one Host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "broker/http/message.h"

namespace runnel::broker::http {

/// Not thread safe. Used for one request.
class RequestParser {
 public:
  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  struct Step {
    std::size_t used = 0;            ///< bytes that need not be given again
    std::optional<Problem> refused;  ///< the bytes are no request; the parser is of no more use
  };
  /// Goes on with `bytes`, which begin where the last call stopped using them; at most to the end
  /// of the head, or of the request. Nothing used and nothing refused: more has to come first.
  [[nodiscard]] Step put(std::string_view bytes);
  [[nodiscard]] bool head_done() const noexcept;
  [[nodiscard]] bool done() const noexcept;

  // Once the head is done.
  [[nodiscard]] Request& request() noexcept;
  /// What the body will have; nullopt: it comes in chunks.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;
  /// Whether any of it is to come.
  [[nodiscard]] bool has_body() const;
  /// The body is read over, not kept.
  void skip_body() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace runnel::broker::http
