// The table of routes: what can be asked, with which parameters and bodies, and what is answered.
// Requests are checked against it and openapi.json is made from it, so neither can lie.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/message.h"

namespace runnel::broker::http {

/// A query parameter or header.
struct Param {
  enum class Kind : std::uint8_t { kText, kInteger, kBoolean, kChoice };
  std::string_view name;
  Kind kind = Kind::kText;
  std::string_view text;  ///< for people
  bool required = false;
  bool repeatable = false;
  std::int64_t min = 0;  ///< of integers
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::string_view choices = {};  ///< separated by '|'
  std::string_view example = {};
};

/// A media type with the schema of what it carries, by its name in schemas.cc; empty: any text.
struct Content {
  std::string_view type;
  std::string_view schema = {};
};

struct Answer {
  unsigned status = 200;
  std::string_view text;
  std::vector<Content> contents = {};  ///< empty: no body
};

struct Route {
  Method method = Method::kGet;
  std::string_view pattern;  ///< "/api/v1/topics/{topic}"
  void (*handler)(const CallRef&) = nullptr;
  std::string_view id;  ///< operationId
  std::string_view tag;
  std::string_view summary;
  std::string_view description = {};
  std::vector<Param> query = {};
  std::vector<Param> headers = {};   ///< that it reads; for people, not checked
  std::vector<Content> bodies = {};  ///< that it takes; empty: none
  std::vector<Answer> answers = {};  ///< what is answered if nothing goes wrong
  bool streams = false;              ///< the answer goes on: nothing else beside it
  bool optional_body = false;        ///< a request without one is as one with an empty object
  bool waits = false;                ///< its answer may take long
  bool lenient = false;  ///< passes over parameters it does not know, as others' clients expect
};

/// Immutable; thread safe.
class Router {
 public:
  explicit Router(std::vector<Route> routes);

  /// The route and its parameters, or why there is none.
  struct Match {
    const Route* route = nullptr;
    Parameters parameters;
    std::optional<Problem> problem;
    std::string allowed;  ///< of the path, if it exists: "GET, HEAD, OPTIONS"
  };
  /// Everything that the request's head tells is checked, HEAD is GET's.
  [[nodiscard]] Match match(const Request& request, bool has_body) const;
  [[nodiscard]] const std::vector<Route>& routes() const noexcept { return routes_; }
  /// OpenAPI 3.1.
  [[nodiscard]] const std::string& openapi() const noexcept { return openapi_; }

 private:
  struct Segment {
    std::string_view text;  ///< or the parameter's name
    bool is_parameter = false;
  };
  [[nodiscard]] bool matches(std::size_t route, const std::vector<std::string_view>& path) const;

  const std::vector<Route> routes_;
  std::vector<std::vector<Segment>> segments_;  ///< a list a route
  std::string openapi_;
};

/// The document of `routes`; openapi.cc.
[[nodiscard]] std::string openapi_of(const std::vector<Route>& routes);
/// The object of all schemas: {"Topic": {...}, ...}; schemas.cc.
[[nodiscard]] std::string schemas();
/// Those of the schema registry, each with a comma behind; registry_openapi.cc.
[[nodiscard]] std::string_view registry_schemas();
/// Those of the REST proxy, likewise; proxy_openapi.cc.
[[nodiscard]] std::string_view proxy_schemas();
/// What the parts of paths mean.
[[nodiscard]] std::string_view meaning_of_path(std::string_view parameter);

}  // namespace runnel::broker::http
