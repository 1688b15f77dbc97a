#include "broker/hooks/webhook.h"

#include <algorithm>

#include "broker/hooks/definition.h"
#include "protocol/base/bytes.h"
#include "protocol/filter/record_filter.h"

namespace runnel::broker::hooks {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kPaused = 1;
constexpr std::size_t kMaxContentTypeBytes = 100;

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

void encode_list(const std::vector<std::string>& list, ByteWriter& out) {
  out.uvarint(list.size());
  for (const std::string& one : list) out.text(one);
}

std::vector<std::string> decode_list(ByteReader& in) {
  std::vector<std::string> list;
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) list.emplace_back(in.text());
  return list;
}

Status check_content_type(std::string_view text) {
  const auto is_plain = [](char c) { return c >= ' ' && c < 0x7f; };
  const bool good = !text.empty() && text.size() <= kMaxContentTypeBytes &&
                    std::all_of(text.begin(), text.end(), is_plain);
  if (good) return {};
  return invalid("content_type has to be a media type such as application/json");
}

}  // namespace

std::string letters_topic(std::string_view webhook) {
  return std::string(kWebhookLettersPrefix) + std::string(webhook);
}

Status check_webhook(const Webhook& webhook) {
  RUNNEL_TRY(check_hook_name(webhook.name));
  if (webhook.topic.empty()) return invalid("a webhook needs the topic whose records it sends");
  if (webhook.topic == letters_topic(webhook.name)) {
    return invalid("a webhook can't send its own dead letters: each that fails would be one more");
  }
  if (webhook.secrets.size() > kMaxSecrets) {
    return invalid("a webhook has at most " + std::to_string(kMaxSecrets) + " secrets");
  }
  for (const std::string& secret : webhook.secrets) {
    RUNNEL_TRY(check_secret(Scheme::kStandard, secret));
  }
  if (webhook.max_attempts < 1 || webhook.max_attempts > kMaxAttempts) {
    return invalid("max_attempts is 1 to " + std::to_string(kMaxAttempts));
  }
  if (webhook.timeout < std::chrono::milliseconds(1) || webhook.timeout > kMaxRequestTime) {
    return invalid("timeout_ms is 1 to " + std::to_string(kMaxRequestTime.count()));
  }
  RUNNEL_TRY(check_content_type(webhook.content_type));
  RUNNEL_TRY(protocol::RecordFilter::parse(webhook.filter));
  if (webhook.body == BodyKind::kTemplate) RUNNEL_TRY(BodyTemplate::parse(webhook.text));
  return {};
}

std::string encode_webhook(const Webhook& webhook) {
  ByteWriter out;
  out.le(kFormat).le(webhook.created.value());
  out.le(webhook.paused ? kPaused : std::uint8_t{0});
  out.text(webhook.topic).text(webhook.url).le(static_cast<std::uint8_t>(webhook.body));
  out.text(webhook.text).text(webhook.content_type).uvarint(webhook.max_attempts);
  out.uvarint(static_cast<std::uint64_t>(webhook.timeout.count()));
  encode_list(webhook.secrets, out);
  encode_list(webhook.filter, out);
  return out.take();
}

Result<Webhook> decode_webhook(std::string_view name, std::string_view value) {
  const std::string what = "the stored webhook '" + std::string(name) + "' ";
  ByteReader in(as_bytes(value));
  if (const auto format = in.le<std::uint8_t>(); in.ok() && format > kFormat) {
    return fail(ErrorCode::kFormatTooNew,
                what +
                    "was written by a newer version of Runnel; define it again, or start that "
                    "version");
  }
  Webhook out;
  out.name = name;
  out.created = Timestamp(in.le<std::int64_t>());
  const auto flags = in.le<std::uint8_t>();
  out.paused = (flags & kPaused) != 0;
  out.topic = in.text();
  out.url = in.text();
  const auto body = in.le<std::uint8_t>();
  out.body = static_cast<BodyKind>(body);
  out.text = in.text();
  out.content_type = in.text();
  const std::uint64_t attempts = in.uvarint();
  const std::uint64_t timeout = in.uvarint();
  out.secrets = decode_list(in);
  out.filter = decode_list(in);
  const bool in_range = flags <= kPaused && body <= 2 && attempts <= kMaxAttempts &&
                        timeout <= static_cast<std::uint64_t>(kMaxRequestTime.count());
  out.max_attempts = in_range ? static_cast<std::uint32_t>(attempts) : 0;
  out.timeout = std::chrono::milliseconds(in_range ? timeout : 0);
  if (in.at_end() && in_range && check_webhook(out)) return out;
  return fail(ErrorCode::kCorrupt, what + "is damaged; define it again");
}

std::string sign(const Webhook& webhook, std::string_view id, std::string_view seconds,
                 std::string_view body) {
  std::string out;
  for (const std::string& secret : webhook.secrets) {
    out += (out.empty() ? "" : " ") + sign_standard(secret, id, seconds, body);
  }
  return out;
}

}  // namespace runnel::broker::hooks
