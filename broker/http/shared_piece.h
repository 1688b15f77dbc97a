// A piece of a stream that many clients get: framed once, its bytes shared by all of them.
#pragma once

#include <string>

#include "protocol/base/buffer.h"

namespace runnel::broker::http {

/// Immutable; thread safe.
class SharedPiece {
 public:
  SharedPiece() = default;
  explicit SharedPiece(std::string_view text);
  /// As a chunk of HTTP/1.1.
  [[nodiscard]] const Buffer& chunk() const noexcept { return chunk_; }
  /// As it is.
  [[nodiscard]] Buffer plain() const { return chunk_.slice(text_at_, text_bytes_); }

 private:
  Buffer chunk_;
  std::size_t text_at_ = 0;
  std::size_t text_bytes_ = 0;
};

/// The line that a chunk of so many bytes begins with.
[[nodiscard]] std::string chunk_line(std::size_t bytes);

}  // namespace runnel::broker::http
