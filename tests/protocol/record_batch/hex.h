// Bytes written as hexadecimal digits.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "protocol/base/buffer.h"

namespace runnel::protocol {

/// The bytes that pairs of digits in `text` spell; white space is skipped.
inline Buffer from_hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  Buffer out = Buffer::allocate(text.size() / 2 + 1);
  std::size_t digits = 0;
  unsigned byte = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) ADD_FAILURE() << "not a hexadecimal digit: " << c;
    byte = ((byte << 4) | static_cast<unsigned>(digit)) & 0xff;
    if (++digits % 2 == 0) out.mutable_data()[digits / 2 - 1] = static_cast<std::byte>(byte);
  }
  EXPECT_EQ(digits % 2, 0u) << "half a byte";
  return out.slice(0, digits / 2);
}

}  // namespace runnel::protocol
