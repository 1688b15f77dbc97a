#include "broker/http/hosts.h"

#include <algorithm>
#include <cctype>

namespace runnel::broker::http {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Without its port. Empty: it is no host.
std::string name_of_host(std::string_view host) {
  std::string_view name = host;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return {};
    name = host.substr(0, end + 1);
  } else {
    name = host.substr(0, host.find(':'));
  }
  const std::string_view rest = host.substr(name.size());
  if (!rest.empty() && (rest.front() != ':' || !all_digits(rest.substr(1)))) return {};
  std::string out = lower(name);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

/// Names that end in a number are addresses (of whatever form), never found by DNS.
bool is_address(std::string_view name) {
  if (name.starts_with('[')) return true;
  const std::size_t dot = name.rfind('.');
  return all_digits(name.substr(dot == std::string_view::npos ? 0 : dot + 1));
}

bool listed(std::string_view text, const std::vector<std::string>& list) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& one) { return one == "*" || lower(one) == text; });
}

}  // namespace

bool host_allowed(std::string_view host, const std::vector<std::string>& names) {
  const std::string name = name_of_host(host);
  if (name.empty()) return false;
  return is_address(name) || name == "localhost" || name.ends_with(".localhost") ||
         listed(name, names);
}

std::optional<Problem> check_origin(const Request& request, const std::vector<std::string>& hosts,
                                    const std::vector<std::string>& origins) {
  const std::string* host = request.header("host");
  if (request.count("host") > 1 || (host == nullptr && request.http11)) {
    return problem(400, "malformed_request", "a request needs one Host header");
  }
  if (host != nullptr && !host_allowed(*host, hosts)) {
    return problem(421, "unknown_host",
                   "this broker is not known as the Host of the request. Use its address or "
                   "localhost, or start it with --http-host and that name");
  }
  const std::string* origin = request.header("origin");
  if (origin == nullptr) return std::nullopt;
  const std::string from = lower(*origin);
  const bool same =
      host != nullptr && (from == "http://" + lower(*host) || from == "https://" + lower(*host));
  if (same || listed(from, origins)) return std::nullopt;
  return problem(403, "foreign_origin",
                 "the request comes from a page of another origin, which may not use this broker. "
                 "Start it with --http-origin and the page's origin to allow that");
}

std::string readable_by(const Request& request, const std::vector<std::string>& origins) {
  const std::string* origin = request.header("origin");
  return origin != nullptr && listed(lower(*origin), origins) ? *origin : std::string();
}

}  // namespace runnel::broker::http
