// A webhook that comes in: which topic its requests go to, who may send them, and what of them is
// the record's key, time and identity. One entry of the store's state map each, "hook/" and the
// name, little-endian; `uv` is an unsigned varint, a `block` a uv length and that many bytes:
//
//   format u8 = 1, created i64 (milliseconds since 1970), topic block, scheme u8, tolerance uv
//   (seconds), flags u8 (bit 0: time counts seconds; bit 1: what is incomplete is kept), key block,
//   time block, dedup block (each a place as it was written, empty: none), secrets uv count and a
//   block each, headers uv count and a block each
//
// docs/formats/webhooks.md has a worked example.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/hooks/limits.h"
#include "broker/hooks/signature.h"
#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::hooks {

inline constexpr std::string_view kHookPrefix = "hook/";

/// Where something stands in a request: a JSON path or pointer, or "header:NAME".
struct Place {
  std::string text;                        ///< as it was written; empty: nowhere
  std::string header;                      ///< in lower case
  std::optional<protocol::JsonPath> path;  ///< into the body
  /// kInvalidArgument with the forms that there are.
  [[nodiscard]] static Result<Place> parse(std::string_view text);
};

/// As names of headers are compared.
[[nodiscard]] std::string lower_case(std::string_view text);

/// Immutable once it is checked.
struct Hook {
  std::string name;
  std::string topic;
  Timestamp created;
  Scheme scheme = Scheme::kNone;
  std::vector<std::string> secrets;  ///< never shown
  std::chrono::seconds tolerance = kUsualTolerance;
  Place key;
  Place time;
  Place dedup;
  bool time_in_seconds = false;      ///< a number at `time` is seconds, not milliseconds
  bool keeps_incomplete = false;     ///< a request without what a place says is stored all the same
  std::vector<std::string> headers;  ///< of the request that become the record's, as written
};

/// Whether somebody may define it. kInvalidArgument. Does not look at whether there is the topic.
[[nodiscard]] Status check_hook(const Hook& hook);
/// Letters, digits, '.', '_', '-', up to kMaxHookNameBytes. kInvalidArgument.
[[nodiscard]] Status check_hook_name(std::string_view name);

/// The entry's value; the name stands in its key.
[[nodiscard]] std::string encode_hook(const Hook& hook);
/// kCorrupt, kFormatTooNew.
[[nodiscard]] Result<Hook> decode_hook(std::string_view name, std::string_view value);

}  // namespace runnel::broker::hooks
