#include "broker/hooks/signature.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "broker/hooks/digest.h"
#include "broker/hooks/limits.h"
#include "protocol/text/base64.h"
#include "protocol/text/units.h"

namespace runnel::broker::hooks {
namespace {

constexpr std::array<std::string_view, 4> kNames{"none", "github", "stripe", "standard"};
constexpr std::string_view kGithubPrefix = "sha256=";
constexpr std::string_view kStandardPrefix = "whsec_";
constexpr std::string_view kStandardVersion = "v1,";
/// What the specification asks of a secret's length.
constexpr std::size_t kMinStandardBytes = 24;
constexpr std::size_t kMaxStandardBytes = 64;

tl::unexpected<Error> refused(std::string message) {
  return fail(ErrorCode::kUnauthorized, std::move(message));
}

/// The key of HMAC in a secret.
std::string key_of(Scheme scheme, std::string_view secret) {
  if (scheme != Scheme::kStandard) return std::string(secret);
  return protocol::decode_base64(secret.substr(kStandardPrefix.size())).value_or("");
}

/// Calls `take` with each part of a list.
template <class Take>
void for_each_part(std::string_view list, char separator, const Take& take) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(separator), list.size());
    take(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

/// Every secret and every signature is tried, so that the time tells nothing.
bool any_matches(const Verification& how, const std::vector<Digest>& given,
                 std::initializer_list<std::string_view> parts) {
  bool found = false;
  for (const std::string& secret : how.secrets) {
    const Digest expected = hmac_sha256(key_of(how.scheme, secret), parts);
    for (const Digest& one : given) found = equal(one, expected) || found;
  }
  return found;
}

Status check_time(const Verification& how, std::string_view seconds) {
  const auto time = protocol::parse_integer(seconds);
  if (!time) return refused("the signature's time is no number of seconds since 1970");
  const std::int64_t now = how.now.value() / 1000;
  const bool near = *time <= now + how.tolerance.count() && *time >= now - how.tolerance.count();
  if (near) return {};
  return refused("the signature's time is more than " + std::to_string(how.tolerance.count()) +
                 " s from this broker's clock: the request is old, a repeat, or a clock is wrong");
}

Status wrong_signature() {
  return refused("no signature of the request was made with this hook's secret");
}

Status verify_github(const Verification& how, const HeaderOf& header, std::string_view body) {
  const std::string* value = header("x-hub-signature-256");
  if (value == nullptr) return refused("the request has no X-Hub-Signature-256");
  std::vector<Digest> given;
  if (value->starts_with(kGithubPrefix)) {
    const auto digest = digest_of_hex(std::string_view(*value).substr(kGithubPrefix.size()));
    if (digest) given.push_back(*digest);
  }
  return any_matches(how, given, {body}) ? Status() : wrong_signature();
}

Status verify_stripe(const Verification& how, const HeaderOf& header, std::string_view body) {
  const std::string* value = header("stripe-signature");
  if (value == nullptr) return refused("the request has no Stripe-Signature");
  std::string_view time;
  std::vector<Digest> given;
  for_each_part(*value, ',', [&](std::string_view part) {
    while (part.starts_with(' ')) part.remove_prefix(1);
    if (part.starts_with("t=")) time = part.substr(2);
    if (!part.starts_with("v1=")) return;
    if (const auto digest = digest_of_hex(part.substr(3))) given.push_back(*digest);
  });
  if (!any_matches(how, given, {time, ".", body})) return wrong_signature();
  return check_time(how, time);
}

Status verify_standard(const Verification& how, const HeaderOf& header, std::string_view body) {
  const std::string* id = header("webhook-id");
  const std::string* time = header("webhook-timestamp");
  const std::string* value = header("webhook-signature");
  if (id == nullptr || time == nullptr || value == nullptr) {
    return refused("the request has no webhook-id, webhook-timestamp and webhook-signature");
  }
  std::vector<Digest> given;
  for_each_part(*value, ' ', [&](std::string_view part) {
    if (!part.starts_with(kStandardVersion)) return;
    const auto digest = digest_of_base64(part.substr(kStandardVersion.size()));
    if (digest) given.push_back(*digest);
  });
  if (!any_matches(how, given, {*id, ".", *time, ".", body})) return wrong_signature();
  return check_time(how, *time);
}

}  // namespace

std::string_view name_of(Scheme scheme) noexcept {
  return kNames.at(static_cast<std::size_t>(scheme));
}

std::optional<Scheme> scheme_named(std::string_view name) noexcept {
  const auto* const at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<Scheme>(at - kNames.begin());
}

Status check_secret(Scheme scheme, std::string_view secret) {
  if (scheme == Scheme::kStandard) {
    const auto bytes = secret.starts_with(kStandardPrefix)
                           ? protocol::decode_base64(secret.substr(kStandardPrefix.size()))
                           : Result<std::string>(std::string());
    if (bytes && bytes->size() >= kMinStandardBytes && bytes->size() <= kMaxStandardBytes) {
      return {};
    }
    return fail(ErrorCode::kInvalidArgument,
                "a secret is whsec_ and the base64 of 24 to 64 random bytes");
  }
  if (secret.size() >= kMinSecretBytes && secret.size() <= kMaxSecretBytes) return {};
  return fail(ErrorCode::kInvalidArgument, "a secret has " + std::to_string(kMinSecretBytes) +
                                               " to " + std::to_string(kMaxSecretBytes) + " bytes");
}

Status verify(const Verification& how, const HeaderOf& header, std::string_view body) {
  switch (how.scheme) {
    case Scheme::kNone:
      return {};
    case Scheme::kGithub:
      return verify_github(how, header, body);
    case Scheme::kStripe:
      return verify_stripe(how, header, body);
    case Scheme::kStandard:
      return verify_standard(how, header, body);
  }
  return wrong_signature();
}

std::string sign_standard(std::string_view secret, std::string_view id, std::string_view seconds,
                          std::string_view body) {
  const std::string key = key_of(Scheme::kStandard, secret);
  return std::string(kStandardVersion) + base64_of(hmac_sha256(key, {id, ".", seconds, ".", body}));
}

}  // namespace runnel::broker::hooks
