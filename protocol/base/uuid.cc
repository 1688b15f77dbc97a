#include "protocol/base/uuid.h"

namespace runnel {
namespace {
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kTextLength = 22;
}  // namespace

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) noexcept {
  Uuid u;
  for (int i = 0; i < 8; ++i) {
    u.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    u.bytes[static_cast<std::size_t>(i + 8)] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  u.bytes[6] = static_cast<std::uint8_t>((u.bytes[6] & 0x0f) | 0x40);
  u.bytes[8] = static_cast<std::uint8_t>((u.bytes[8] & 0x3f) | 0x80);
  return u;
}

Result<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != kTextLength) {
    return fail(ErrorCode::kInvalidArgument,
                "an id has 22 base64 characters, got " + std::to_string(text.size()));
  }
  Uuid u;
  std::uint32_t bits = 0;
  int have = 0;
  std::size_t at = 0;
  for (const char c : text) {
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) {
      return fail(ErrorCode::kInvalidArgument, "an id is URL-safe base64 (A-Z a-z 0-9 - _)");
    }
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    have += 6;
    if (have >= 8) {
      have -= 8;
      if (at < u.bytes.size()) u.bytes[at++] = static_cast<std::uint8_t>(bits >> have);
    }
  }
  if ((bits & ((1u << have) - 1)) != 0) {
    return fail(ErrorCode::kInvalidArgument, "an id's last character is A, Q, g or w");
  }
  return u;
}

std::string Uuid::to_string() const {
  std::string out;
  std::uint32_t bits = 0;
  int have = 0;
  for (const std::uint8_t b : bytes) {
    bits = (bits << 8) | b;
    have += 8;
    while (have >= 6) {
      have -= 6;
      out.push_back(kAlphabet[(bits >> have) & 63]);
    }
  }
  out.push_back(kAlphabet[(bits << (6 - have)) & 63]);
  return out;
}

}  // namespace runnel
