#include "broker/hooks/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <algorithm>
#include <memory>

#include "protocol/base/assert.h"
#include "protocol/text/base64.h"

namespace runnel::broker::hooks {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string_view text_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

Digest sha256(std::string_view text) {
  Digest out{};
  SHA256(bytes_of(text), text.size(), out.data());
  return out;
}

Digest hmac_sha256(std::string_view secret, std::initializer_list<std::string_view> parts) {
  static EVP_MAC* const kHmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  const std::unique_ptr<EVP_MAC_CTX, void (*)(EVP_MAC_CTX*)> context(EVP_MAC_CTX_new(kHmac),
                                                                     EVP_MAC_CTX_free);
  char name[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", name, 0),
                               OSSL_PARAM_construct_end()};
  Digest out{};
  std::size_t size = 0;
  bool good = context != nullptr &&
              EVP_MAC_init(context.get(), bytes_of(secret), secret.size(), params) == 1;
  for (const std::string_view part : parts) {
    good = good && EVP_MAC_update(context.get(), bytes_of(part), part.size()) == 1;
  }
  good = good && EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1;
  // Fails for want of memory alone. A digest that is no digest must never be compared.
  RUNNEL_ASSERT(good && size == out.size());
  return out;
}

bool equal(const Digest& a, const Digest& b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex_of(const Digest& digest) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : digest) out += {kDigits[byte >> 4], kDigits[byte & 15]};
  return out;
}

std::optional<Digest> digest_of_hex(std::string_view text) {
  Digest out{};
  if (text.size() != 2 * out.size()) return std::nullopt;
  const auto value_of = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = value_of(text[2 * i]);
    const int low = value_of(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return out;
}

std::optional<Digest> digest_of_base64(std::string_view text) {
  Digest out{};
  const auto bytes = protocol::decode_base64(text);
  if (!bytes || bytes->size() != out.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

std::string base64_of(const Digest& digest) {
  std::string out;
  protocol::append_base64(text_of(digest), out);
  return out;
}

}  // namespace runnel::broker::hooks
