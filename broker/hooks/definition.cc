#include "broker/hooks/definition.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "protocol/base/bytes.h"

namespace runnel::broker::hooks {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kTimeInSeconds = 1;
constexpr std::uint8_t kKeepsIncomplete = 2;
constexpr std::string_view kHeaderPlace = "header:";
/// They would give whoever reads the topic what lets them in elsewhere.
constexpr std::array<std::string_view, 3> kNeverKept{"authorization", "cookie",
                                                     "proxy-authorization"};

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
}

bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxHeaderNameBytes &&
         std::all_of(name.begin(), name.end(), is_name_byte);
}

Status check_headers(const Hook& hook) {
  if (hook.headers.size() > kMaxKeptHeaders) {
    return invalid("a hook keeps at most " + std::to_string(kMaxKeptHeaders) + " headers");
  }
  for (const std::string& name : hook.headers) {
    if (!is_header_name(name)) return invalid("'" + name + "' is no name of a header");
    const auto* const at = std::find(kNeverKept.begin(), kNeverKept.end(), lower_case(name));
    if (at != kNeverKept.end()) {
      return invalid("the header " + name +
                     " is a secret of its sender and is not written into a topic; leave it out of "
                     "headers");
    }
  }
  return {};
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

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

Result<Place> Place::parse(std::string_view text) {
  Place out;
  out.text = text;
  if (text.empty()) return out;
  if (text.size() > kMaxPlaceBytes) {
    return invalid("a place in a request has at most " + std::to_string(kMaxPlaceBytes) + " bytes");
  }
  if (text.starts_with(kHeaderPlace)) {
    out.header = lower_case(text.substr(kHeaderPlace.size()));
    if (is_header_name(out.header)) return out;
    return invalid("'" + std::string(text) + "' names no header; write for example header:X-Id");
  }
  auto path = protocol::JsonPath::parse(text);
  if (!path) {
    return invalid("'" + std::string(text) +
                   "' is no place in a request; write a JSON pointer such as /data/id, a path such "
                   "as .data.id, or header:NAME");
  }
  out.path = std::move(*path);
  return out;
}

Status check_hook_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= kMaxHookNameBytes &&
                    std::all_of(name.begin(), name.end(), is_name_byte);
  if (good) return {};
  return invalid("a hook's name has 1 to " + std::to_string(kMaxHookNameBytes) +
                 " letters, digits, '.', '_' and '-'");
}

Status check_hook(const Hook& hook) {
  RUNNEL_TRY(check_hook_name(hook.name));
  if (hook.topic.empty()) return invalid("a hook needs the topic that its requests go to");
  if (hook.scheme == Scheme::kNone && !hook.secrets.empty()) {
    return invalid("there are secrets, and signature is none; say how requests are signed");
  }
  if (hook.scheme != Scheme::kNone && hook.secrets.empty()) {
    return invalid("the signature " + std::string(name_of(hook.scheme)) +
                   " needs secrets: the one that the sender has");
  }
  if (hook.secrets.size() > kMaxSecrets) {
    return invalid("a hook has at most " + std::to_string(kMaxSecrets) + " secrets");
  }
  for (const std::string& secret : hook.secrets) RUNNEL_TRY(check_secret(hook.scheme, secret));
  if (hook.tolerance < std::chrono::seconds(1) || hook.tolerance > kMaxTolerance) {
    return invalid("tolerance_seconds is 1 to " + std::to_string(kMaxTolerance.count()));
  }
  return check_headers(hook);
}

std::string encode_hook(const Hook& hook) {
  ByteWriter out;
  out.le(kFormat).le(hook.created.value()).text(hook.topic);
  out.le(static_cast<std::uint8_t>(hook.scheme));
  out.uvarint(static_cast<std::uint64_t>(hook.tolerance.count()));
  out.le(static_cast<std::uint8_t>((hook.time_in_seconds ? kTimeInSeconds : 0) |
                                   (hook.keeps_incomplete ? kKeepsIncomplete : 0)));
  out.text(hook.key.text).text(hook.time.text).text(hook.dedup.text);
  encode_list(hook.secrets, out);
  encode_list(hook.headers, out);
  return out.take();
}

Result<Hook> decode_hook(std::string_view name, std::string_view value) {
  const std::string what = "the stored webhook '" + std::string(name) + "' ";
  const auto damaged = [&] {
    return fail(ErrorCode::kCorrupt, what + "is damaged; define it again");
  };
  ByteReader in(as_bytes(value));
  if (const auto format = in.le<std::uint8_t>(); in.ok() && format > kFormat) {
    return fail(ErrorCode::kFormatTooNew,
                what +
                    "was written by a newer version of Runnel; define it again, or start that "
                    "version");
  }
  Hook out;
  out.name = name;
  out.created = Timestamp(in.le<std::int64_t>());
  out.topic = in.text();
  const auto scheme = in.le<std::uint8_t>();
  if (scheme > static_cast<std::uint8_t>(Scheme::kStandard)) return damaged();
  out.scheme = static_cast<Scheme>(scheme);
  const std::uint64_t tolerance = in.uvarint();
  if (tolerance > static_cast<std::uint64_t>(kMaxTolerance.count())) return damaged();
  out.tolerance = std::chrono::seconds(tolerance);
  const auto flags = in.le<std::uint8_t>();
  out.time_in_seconds = (flags & kTimeInSeconds) != 0;
  out.keeps_incomplete = (flags & kKeepsIncomplete) != 0;
  for (Place* place : {&out.key, &out.time, &out.dedup}) {
    auto parsed = Place::parse(in.text());
    if (!parsed) return damaged();
    *place = std::move(*parsed);
  }
  out.secrets = decode_list(in);
  out.headers = decode_list(in);
  if (!in.at_end() || flags > (kTimeInSeconds | kKeepsIncomplete) || !check_hook(out)) {
    return damaged();
  }
  return out;
}

}  // namespace runnel::broker::hooks
