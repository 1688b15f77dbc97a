#include "broker/http/router.h"

#include <algorithm>
#include <charconv>

#include "broker/http/limits.h"
#include "protocol/text/units.h"

namespace runnel::broker::http {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

Problem bad_parameter(std::string detail) {
  return problem(400, "invalid_parameter", std::move(detail));
}

std::optional<Problem> check_value(const Param& param, const std::string& value) {
  const std::string name = "the parameter " + std::string(param.name);
  switch (param.kind) {
    case Param::Kind::kText:
      if (!value.empty()) return std::nullopt;
      return bad_parameter(name + " is empty; leave it out or give it a value");
    case Param::Kind::kInteger: {
      std::int64_t number = 0;
      const char* const end = value.data() + value.size();
      const auto [at, failed] = std::from_chars(value.data(), end, number);
      if (failed == std::errc() && at == end && number >= param.min && number <= param.max) {
        return std::nullopt;
      }
      return bad_parameter(name + " has to be a whole number from " + std::to_string(param.min) +
                           " to " + std::to_string(param.max));
    }
    case Param::Kind::kBoolean:
      if (value == "true" || value == "false") return std::nullopt;
      return bad_parameter(name + " has to be true or false");
    case Param::Kind::kChoice: {
      const auto choices = split(param.choices, '|');
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) return std::nullopt;
      std::string all(param.choices);
      std::replace(all.begin(), all.end(), '|', ' ');
      return bad_parameter(name + " has to be one of: " + all);
    }
  }
  return std::nullopt;
}

std::optional<Problem> add_parameter(const Route& route, std::string name, std::string value,
                                     Parameters& to) {
  const auto param = std::find_if(route.query.begin(), route.query.end(),
                                  [&](const Param& p) { return p.name == name; });
  if (param == route.query.end() && route.lenient) return std::nullopt;
  if (param == route.query.end()) {
    std::vector<std::string_view> known;
    for (const Param& p : route.query) known.push_back(p.name);
    const std::string_view meant = protocol::nearest(name, known);
    std::string detail = "there is no parameter '" + name + "' here";
    if (!meant.empty()) {
      detail += "; did you mean " + std::string(meant) + "?";
    } else {
      detail += known.empty() ? "; this path takes none" : "; it takes";
      for (const auto& k : known) detail += (k == known.front() ? " " : ", ") + std::string(k);
    }
    return bad_parameter(std::move(detail));
  }
  if (auto wrong = check_value(*param, value)) return wrong;
  const bool again = std::any_of(to.query.begin(), to.query.end(),
                                 [&](const auto& known) { return known.first == name; });
  if (again && !param->repeatable) {
    return bad_parameter("the parameter " + name + " is given twice");
  }
  to.query.emplace_back(std::move(name), std::move(value));
  return std::nullopt;
}

std::optional<Problem> parse_query(const Route& route, std::string_view query, Parameters& to) {
  std::size_t count = 0;
  for (const std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    if (++count > kMaxQueryParameters) {
      return bad_parameter("a request may have " + std::to_string(kMaxQueryParameters) +
                           " parameters");
    }
    const std::size_t equals = std::min(part.find('='), part.size());
    auto name = percent_decode(part.substr(0, equals), true);
    auto value = percent_decode(part.substr(std::min(equals + 1, part.size())), true);
    if (!name || !value) {
      return bad_parameter(
          "the query is not percent-encoded text; encode it as UTF-8, without control characters");
    }
    if (auto wrong = add_parameter(route, std::move(*name), std::move(*value), to)) return wrong;
  }
  for (const Param& p : route.query) {
    const bool given = std::any_of(to.query.begin(), to.query.end(),
                                   [&](const auto& known) { return known.first == p.name; });
    if (p.required && !given) {
      return bad_parameter("the parameter " + std::string(p.name) +
                           " is missing: " + std::string(p.text));
    }
  }
  return std::nullopt;
}

std::string list_of(const std::vector<Content>& contents) {
  std::string out;
  for (const Content& c : contents) out += (out.empty() ? "" : ", ") + std::string(c.type);
  return out;
}

std::optional<Problem> check_body(const Route& route, const Request& request, bool has_body) {
  if (!has_body) {
    if (route.bodies.empty() || route.optional_body) return std::nullopt;
    return problem(400, "body_missing",
                   "the request needs a body of type " + list_of(route.bodies) +
                       ", with Content-Length or in chunks");
  }
  if (route.bodies.empty()) {
    return problem(400, "unexpected_body", "this request takes no body; send it without one");
  }
  if (const std::string* coding = request.header("content-encoding");
      coding != nullptr && media_type(*coding) != "identity") {
    return problem(415, "unsupported_encoding",
                   "a body that is compressed by Content-Encoding is not taken; send it as it is");
  }
  if (route.bodies.front().type == kAnyType) return std::nullopt;
  const std::string* type = request.header("content-type");
  const std::string given = type != nullptr ? media_type(*type) : std::string();
  const bool known = std::any_of(route.bodies.begin(), route.bodies.end(),
                                 [&](const Content& c) { return c.type == given; });
  if (!known) {
    return problem(
        415, "unsupported_media_type",
        (given.empty() ? "the body has no Content-Type" : "the body is of another type") +
            std::string("; send ") + list_of(route.bodies));
  }
  const std::size_t charset = type->find("charset=");
  if (charset == std::string::npos) return std::nullopt;
  std::string name = media_type(std::string_view(*type).substr(charset + 8));
  std::erase(name, '"');
  if (name == "utf-8" || name == "utf8" || name == "us-ascii") return std::nullopt;
  return problem(415, "unsupported_charset", "the body has to be UTF-8");
}

std::optional<Problem> check_accept(const Route& route, const Request& request) {
  const std::string* accept = request.header("accept");
  if (accept == nullptr || route.answers.empty()) return std::nullopt;
  const auto& contents = route.answers.front().contents;
  const bool taken =
      contents.empty() || std::any_of(contents.begin(), contents.end(),
                                      [&](const Content& c) { return accepts(*accept, c.type); });
  if (taken) return std::nullopt;
  return problem(406, "not_acceptable",
                 "the answer can be " + list_of(contents) + ", which Accept does not take");
}

}  // namespace

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (const Route& route : routes_) {
    auto& segments = segments_.emplace_back();
    for (const std::string_view part : split(route.pattern.substr(1), '/')) {
      const bool is_parameter = part.starts_with('{');
      segments.push_back({is_parameter ? part.substr(1, part.size() - 2) : part, is_parameter});
    }
  }
  openapi_ = openapi_of(routes_);
}

bool Router::matches(std::size_t route, const std::vector<std::string_view>& path) const {
  const auto& segments = segments_[route];
  if (segments.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (segments[i].is_parameter ? path[i].empty() : path[i] != segments[i].text) return false;
  }
  return true;
}

Router::Match Router::match(const Request& request, bool has_body) const {
  Match out;
  const std::size_t question = std::min(request.target.find('?'), request.target.size());
  std::string_view path = std::string_view(request.target).substr(0, question);
  // Where Confluent's servers have the REST proxy v3, which stands by itself elsewhere.
  constexpr std::string_view kKafka = "/kafka";
  if (path.starts_with("/kafka/v3/")) path.remove_prefix(kKafka.size());
  const std::string_view query =
      std::string_view(request.target).substr(std::min(question + 1, request.target.size()));
  if (!path.starts_with('/') || request.target.find('#') != std::string::npos) {
    out.problem = problem(400, "malformed_request", "the request's target has to be a path");
    return out;
  }
  const auto parts = split(path.substr(1), '/');
  const Method wanted = request.method == Method::kHead ? Method::kGet : request.method;
  std::size_t found = routes_.size();
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (!matches(i, parts)) continue;
    out.allowed += std::string(name_of(routes_[i].method)) + ", ";
    if (routes_[i].method == Method::kGet) out.allowed += "HEAD, ";
    if (routes_[i].method == wanted) found = i;
  }
  if (out.allowed.empty()) {
    out.problem = problem(404, "unknown_path",
                          "there is nothing at this path; /api/v1/openapi.json says what there is");
    return out;
  }
  out.allowed += "OPTIONS";
  if (found == routes_.size()) {
    if (request.method == Method::kOptions) return out;
    out.problem = problem(405, "method_not_allowed", "this path takes " + out.allowed);
    out.problem->headers.push_back({"Allow", out.allowed});
    return out;
  }
  const Route& route = routes_[found];
  out.route = &route;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Segment& segment = segments_[found][i];
    if (!segment.is_parameter) continue;
    auto value = percent_decode(parts[i], false);
    if (!value) {
      out.problem = bad_parameter("the " + std::string(segment.text) +
                                  " in the path is not percent-encoded text; encode it as UTF-8, "
                                  "without control characters");
      return out;
    }
    out.parameters.path.emplace(segment.text, std::move(*value));
  }
  out.problem = parse_query(route, query, out.parameters);
  if (!out.problem) out.problem = check_accept(route, request);
  if (!out.problem) out.problem = check_body(route, request, has_body);
  return out;
}

}  // namespace runnel::broker::http
