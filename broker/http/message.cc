#include "broker/http/message.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

constexpr std::array<std::string_view, 7> kMethods{"GET",   "HEAD",   "POST",   "PUT",
                                                   "PATCH", "DELETE", "OPTIONS"};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The weight that a range of Accept names; 1 if it names none.
double weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string one = lower(trimmed(parameters.substr(0, end)));
    if (one.starts_with("q=")) return std::strtod(one.c_str() + 2, nullptr);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
  }
  return 1;
}

}  // namespace

std::string_view name_of(Method method) noexcept {
  const auto i = static_cast<std::size_t>(method);
  return i < kMethods.size() ? kMethods[i] : std::string_view();
}

Method method_named(std::string_view name) noexcept {
  const auto found = std::find(kMethods.begin(), kMethods.end(), name);
  return static_cast<Method>(found - kMethods.begin());
}
static_assert(static_cast<std::size_t>(Method::kOther) == kMethods.size());

const std::string* Request::header(std::string_view name) const noexcept {
  for (const Header& h : headers) {
    if (h.name == name) return &h.value;
  }
  return nullptr;
}

std::size_t Request::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(std::count_if(headers.begin(), headers.end(),
                                                [&](const Header& h) { return h.name == name; }));
}

unsigned status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kUnknownTopic:
    case ErrorCode::kUnknownPartition:
    case ErrorCode::kUnknownGroup:
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kTopicExists:
    case ErrorCode::kGroupNotEmpty:
    case ErrorCode::kDedupConflict:
    case ErrorCode::kPartialDuplicate:
    case ErrorCode::kFenced:
    case ErrorCode::kRebalancing:
    case ErrorCode::kStaleGeneration:
    case ErrorCode::kUnknownMember:
    case ErrorCode::kUnstableOffsetCommit:
      return 409;
    case ErrorCode::kPreconditionFailed:
      return 412;
    case ErrorCode::kRecordTooLarge:
      return 413;
    case ErrorCode::kOffsetOutOfRange:
      return 416;
    case ErrorCode::kUnauthorized:
      return 403;
    case ErrorCode::kInternal:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
      return 500;
    case ErrorCode::kOverloaded:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kNotAvailable:
    case ErrorCode::kCancelled:
      return 503;
    case ErrorCode::kTimeout:
      return 504;
    case ErrorCode::kLowSpace:
      return 507;
    default:
      return 400;
  }
}

std::string_view reason_of(unsigned status) noexcept {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 421:
      return "Misdirected Request";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

Problem problem(unsigned status, std::string_view type, std::string detail) {
  Problem p;
  p.status = status;
  p.type = "urn:runnel:problem:" + std::string(type);
  p.title = std::string(type);
  std::replace(p.title.begin(), p.title.end(), '_', ' ');
  p.detail = std::move(detail);
  return p;
}

Problem problem(const Error& error) {
  Problem p = problem(status_of(error.code()), name_of(error.code()), error.message());
  p.retriable = error.action() == ErrorAction::kRetry || error.action() == ErrorAction::kRefresh;
  // A topic that is not there does not come by trying again.
  if (p.status == 404) p.retriable = false;
  if (p.status == 503 || p.status == 507) p.headers.push_back({"Retry-After", "1"});
  return p;
}

Response response_of(Problem problem, std::string_view request_id) {
  using protocol::json_string;
  Response out;
  out.status = problem.status;
  out.content_type = kProblemJson;
  out.headers = std::move(problem.headers);
  out.body = "{\"type\":" + json_string(problem.type) + ",\"title\":" + json_string(problem.title) +
             ",\"status\":" + std::to_string(problem.status) +
             ",\"detail\":" + json_string(problem.detail) +
             ",\"retriable\":" + (problem.retriable ? "true" : "false") +
             ",\"request_id\":" + json_string(request_id) + problem.more + "}\n";
  return out;
}

std::string http_date(std::int64_t millis) {
  constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = millis / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> out{};
  std::snprintf(out.data(), out.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                parts.tm_hour, parts.tm_min, parts.tm_sec);
  return out.data();
}

std::string head_of(const Response& response, const HeadOptions& options, std::int64_t now_millis) {
  std::string out;
  out.reserve(320);
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += reason_of(response.status);
  out += "\r\nDate: ";
  out += http_date(now_millis);
  out += "\r\n";
  const auto add = [&out](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  };
  if (!response.content_type.empty()) {
    add("Content-Type", response.content_type);
    add("X-Content-Type-Options", "nosniff");
  }
  const bool cached = std::any_of(response.headers.begin(), response.headers.end(),
                                  [](const Header& h) { return h.name == "Cache-Control"; });
  if (!response.content_type.empty() && !cached) add("Cache-Control", "no-store");
  for (const Header& h : response.headers) add(h.name, h.value);
  if (options.length && response.status != 204 && response.status != 304) {
    add("Content-Length", std::to_string(*options.length));
  }
  if (options.chunked) add("Transfer-Encoding", "chunked");
  if (options.close) add("Connection", "close");
  if (!options.close && options.say_keep_alive) add("Connection", "keep-alive");
  out += "\r\n";
  return out;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  if (!protocol::is_utf8(out)) return std::nullopt;
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        (byte < 0x80 && std::isalnum(byte) != 0) || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

bool accepts(std::string_view accept, std::string_view type) {
  const std::string_view family = type.substr(0, type.find('/'));
  int best = -1;  // how closely the range that counts names the type
  double weight = 0;
  while (!accept.empty()) {
    const std::size_t end = std::min(accept.find(','), accept.size());
    const std::string_view one = accept.substr(0, end);
    accept.remove_prefix(std::min(end + 1, accept.size()));
    const std::string range = media_type(one);
    const int closeness = range == type                         ? 2
                          : range == std::string(family) + "/*" ? 1
                          : range == "*/*"                      ? 0
                                                                : -1;
    if (closeness < 0 || closeness < best) continue;
    const std::size_t semicolon = one.find(';');
    weight = semicolon == std::string_view::npos ? 1 : weight_of(one.substr(semicolon + 1));
    best = closeness;
  }
  return best >= 0 && weight > 0;
}

std::string media_type(std::string_view value) {
  return lower(trimmed(value.substr(0, value.find(';'))));
}

}  // namespace runnel::broker::http
