// A webhook that goes out: which topic's records are sent where, and how. One entry of the store's
// state map each, "webhook/" and the name, little-endian; `uv` is an unsigned varint, a `block` a
// uv length and that many bytes:
//
//   format u8 = 1, created i64 (milliseconds since 1970), flags u8 (bit 0: paused), topic block,
//   url block, body u8 (0 record, 1 value, 2 template), template block, content type block, max
//   attempts uv, timeout uv (milliseconds), secrets uv count and a block each, filter uv count and
//   a block each
//
// docs/formats/webhooks.md has a worked example.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/filter/json_text.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::broker::hooks {

inline constexpr std::string_view kWebhookPrefix = "webhook/";
inline constexpr std::string_view kWebhookPlacePrefix = "webhook-place/";
/// Begins the topic of a webhook's dead letters. Those of views begin with "__dlq.", so that a view
/// and a webhook of one name have each their own.
inline constexpr std::string_view kWebhookLettersPrefix = "__webhook-dlq.";
inline constexpr std::size_t kMaxWebhooks = 200;
inline constexpr std::size_t kMaxTemplateBytes = 16u << 10;
/// Places of a template that records fill: each may be as large as a record.
inline constexpr std::size_t kMaxTemplatePlaces = 16;
inline constexpr std::uint32_t kMaxAttempts = 100;
inline constexpr std::chrono::milliseconds kMaxRequestTime{60'000};

/// What is sent. Stored: numbers are never changed or reused.
enum class BodyKind : std::uint8_t {
  kRecord = 0,    ///< the record as JSON, as reading by HTTP gives it
  kValue = 1,     ///< its value as it stands
  kTemplate = 2,  ///< a text with places in it
};

/// Text with ${...} in it: ${key}, ${topic}, ${partition}, ${offset}, ${timestamp}, ${value}, or a
/// JSON path or pointer into the value, ${/user/name}. A text is put there as JSON has it between
/// its quotes, anything else as JSON; what is not there is null. Immutable; thread safe.
class BodyTemplate {
 public:
  /// kInvalidArgument: what is no place, and which there are.
  [[nodiscard]] static Result<BodyTemplate> parse(std::string_view text);
  [[nodiscard]] std::string render(const protocol::Record& record, std::string_view topic,
                                   std::int32_t partition) const;

 private:
  enum class Kind : std::uint8_t {
    kText,
    kKey,
    kTopic,
    kPartition,
    kOffset,
    kTimestamp,
    kValue,
    kPath
  };
  struct Part {
    Kind kind = Kind::kText;
    std::string text;
    std::size_t path = 0;  ///< of paths_
  };
  [[nodiscard]] static std::optional<Kind> kind_named(std::string_view name);
  std::vector<Part> parts_;
  std::vector<protocol::JsonPath> paths_;
};

struct Webhook {
  std::string name;
  std::string topic;
  std::string url;
  Timestamp created;
  bool paused = false;
  BodyKind body = BodyKind::kRecord;
  std::string text;  ///< the template
  std::string content_type = "application/json";
  std::uint32_t max_attempts = 12;
  std::chrono::milliseconds timeout{10'000};  ///< of one request
  /// whsec_...; each signs, so that receivers can change theirs at leisure. None: it is not signed.
  std::vector<std::string> secrets;
  std::vector<std::string> filter;  ///< conditions of protocol::RecordFilter
};

[[nodiscard]] std::string letters_topic(std::string_view webhook);
/// kInvalidArgument. Looks at neither the topic nor the URL.
[[nodiscard]] Status check_webhook(const Webhook& webhook);
[[nodiscard]] std::string encode_webhook(const Webhook& webhook);
/// kCorrupt, kFormatTooNew.
[[nodiscard]] Result<Webhook> decode_webhook(std::string_view name, std::string_view value);
/// webhook-signature, by all secrets.
[[nodiscard]] std::string sign(const Webhook& webhook, std::string_view id,
                               std::string_view seconds, std::string_view body);

}  // namespace runnel::broker::hooks
