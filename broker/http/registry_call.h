// What the schema registry's paths have in common: their bodies, answers and errors, which are
// those of Confluent's registry.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/router.h"
#include "broker/schemas/registry.h"

namespace runnel::broker::http {

inline constexpr std::string_view kRegistryJson = "application/vnd.schemaregistry.v1+json";
inline constexpr std::string_view kRegistryJsonAnyVersion = "application/vnd.schemaregistry+json";

/// Runs `work`, which makes the answer's body, where it may block; a Refusal becomes
/// {"error_code":...,"message":...}.
void answer_registry(const CallRef& call, std::function<schemas::Reply<std::string>(Call&)> work);
/// `look` makes the answer of what is known.
void answer_from_state(
    const CallRef& call,
    std::function<schemas::Reply<std::string>(Call&, const schemas::RegistryState&)> look);
/// Answers the text of the schema that `find` finds: as JSON, or as plain text where it is none.
void answer_schema_text(
    const CallRef& call,
    std::function<schemas::Reply<schemas::SchemaId>(Call&, const schemas::RegistryState&)> find);

/// A parameter that is "true" or "True".
[[nodiscard]] bool is_true(const Call& call, std::string_view name);
/// Of a list: the part that offset and limit ask for. `limit` -1: all.
template <class T>
[[nodiscard]] std::vector<T> page_of(const Call& call, std::vector<T> all) {
  const auto from = static_cast<std::size_t>(call.integer("offset", 0));
  const std::int64_t limit = call.integer("limit", -1);
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(from, all.size())));
  if (limit >= 0 && static_cast<std::size_t>(limit) < all.size()) {
    all.resize(static_cast<std::size_t>(limit));
  }
  return all;
}

/// The body of those who bring a schema.
[[nodiscard]] schemas::Reply<schemas::NewSchema> read_schema(const Call& call);
/// The text member `name` of a body that has no other. kMalformedBody.
[[nodiscard]] schemas::Reply<std::string> read_setting(const Call& call, std::string_view name);

/// `,"schemaType":...,"references":[...],"schema":...` as far as there is something to say.
[[nodiscard]] std::string members_of(const schemas::Schema& schema);
/// {"subject":...,"version":...,"id":...,"schema":...}
[[nodiscard]] std::string json_of(const schemas::RegistryState& state, const schemas::Found& found);

// The rows of the table.
[[nodiscard]] Param registry_flag(std::string_view name, std::string_view text);
/// A row with what all of them have. `answer`: the schema of what is answered.
[[nodiscard]] Route registry_route(Method method, std::string_view pattern,
                                   void (*handler)(const CallRef&), std::string_view id,
                                   std::string_view summary, std::string_view answer);
[[nodiscard]] std::vector<Content> registry_body(std::string_view schema);

[[nodiscard]] std::vector<Route> registry_subject_routes();   ///< registry_subjects.cc
[[nodiscard]] std::vector<Route> registry_schema_routes();    ///< registry_schemas.cc
[[nodiscard]] std::vector<Route> registry_settings_routes();  ///< registry_settings.cc

}  // namespace runnel::broker::http
