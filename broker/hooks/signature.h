// Signatures of webhooks: how a sender proves that it knows the hook's secret.
//
//   scheme     header                                            what HMAC-SHA256 is taken of
//   github     X-Hub-Signature-256: sha256=HEX                   the body
//   stripe     Stripe-Signature: t=SECONDS,v1=HEX[,v1=HEX...]    SECONDS "." body
//   standard   webhook-id, webhook-timestamp (seconds),          id "." timestamp "." body
//              webhook-signature: v1,BASE64[ v1,BASE64...]
// The secret of `standard` (standardwebhooks.com) is whsec_ and base64; those of the others are the
// bytes that they are written with. github has no time in it: who has seen one delivery can send it
// again, which only the hook's dedup stops.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"

namespace runnel::broker::hooks {

/// Stored: numbers are never changed or reused.
enum class Scheme : std::uint8_t { kNone = 0, kGithub = 1, kStripe = 2, kStandard = 3 };
[[nodiscard]] std::string_view name_of(Scheme scheme) noexcept;
[[nodiscard]] std::optional<Scheme> scheme_named(std::string_view name) noexcept;
inline constexpr std::string_view kSchemeNames = "none, github, stripe, standard";

/// kInvalidArgument: what a secret of this scheme is like. The message never has the secret.
[[nodiscard]] Status check_secret(Scheme scheme, std::string_view secret);

/// A request's header by its name in lower case; nullptr: it has none.
using HeaderOf = std::function<const std::string*(std::string_view name)>;

struct Verification {
  Scheme scheme = Scheme::kNone;
  const std::vector<std::string>& secrets;  ///< any of them will do
  std::chrono::seconds tolerance;           ///< of the signature's time, to both sides of `now`
  Timestamp now;
};
/// kUnauthorized: what the request lacks. Nothing in it helps to guess a signature.
[[nodiscard]] Status verify(const Verification& how, const HeaderOf& header, std::string_view body);

/// The value of webhook-signature, of the scheme `standard`. `secret`: one that check_secret()
/// took.
[[nodiscard]] std::string sign_standard(std::string_view secret, std::string_view id,
                                        std::string_view seconds, std::string_view body);

}  // namespace runnel::broker::hooks
