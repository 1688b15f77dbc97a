// SHA-256, HMAC-SHA256, and comparing without telling how much is right. OpenSSL stays in
// digest.cc.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace runnel::broker::hooks {

using Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Digest sha256(std::string_view text);
/// Of the parts one after the other.
[[nodiscard]] Digest hmac_sha256(std::string_view secret,
                                 std::initializer_list<std::string_view> parts);
/// Takes the same time whatever the difference is.
[[nodiscard]] bool equal(const Digest& a, const Digest& b) noexcept;
[[nodiscard]] std::string hex_of(const Digest& digest);
/// nullopt: not 64 hexadecimal digits.
[[nodiscard]] std::optional<Digest> digest_of_hex(std::string_view text);
/// nullopt: not the base64 of 32 bytes.
[[nodiscard]] std::optional<Digest> digest_of_base64(std::string_view text);
[[nodiscard]] std::string base64_of(const Digest& digest);

}  // namespace runnel::broker::hooks
