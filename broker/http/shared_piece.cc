#include "broker/http/shared_piece.h"

namespace runnel::broker::http {

SharedPiece::SharedPiece(std::string_view text) : text_bytes_(text.size()) {
  std::string framed = chunk_line(text.size());
  text_at_ = framed.size();
  framed.append(text).append("\r\n");
  chunk_ = Buffer::copy_of(as_bytes(framed));
}

std::string chunk_line(std::size_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string size;
  for (; bytes > 0; bytes /= 16) size.insert(0, 1, kDigits[bytes % 16]);
  return size + "\r\n";
}

}  // namespace runnel::broker::http
