// Schemas by their ids, and the kinds of schemas there are.
#include <charconv>

#include "broker/http/registry_call.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;
using schemas::Refusal;
using schemas::RegistryState;
using schemas::Reply;
using schemas::SchemaId;

Reply<SchemaId> asked_id(const Call& call, const RegistryState& state) {
  const std::string& text = call.path("id");
  std::int32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, number);
  const bool known =
      failed == std::errc() && at == end && state.schema(SchemaId(number)) != nullptr;
  if (known) return SchemaId(number);
  return schemas::refuse(Refusal::kSchemaNotFound, "Schema " + text + " not found");
}

void list_types(const CallRef& call) {
  answer_registry(call,
                  [](Call&) -> Reply<std::string> { return R"(["JSON","PROTOBUF","AVRO"])"; });
}

void list_contexts(const CallRef& call) {
  answer_registry(call, [](Call&) -> Reply<std::string> { return R"([":.:"])"; });
}

void get_schema(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const SchemaId id, asked_id(asked, state));
    std::string out = "{" + members_of(*state.schema(id)).substr(1);
    if (is_true(asked, "fetchMaxId"))
      out += ",\"maxId\":" + std::to_string(state.last_id().value());
    return out + "}";
  });
}

void get_schema_text(const CallRef& call) {
  answer_schema_text(call, [](Call& asked, const RegistryState& state) -> Reply<SchemaId> {
    return asked_id(asked, state);
  });
}

/// The places of a schema as `each` writes them.
template <class Write>
Reply<std::string> places_of(Call& asked, const RegistryState& state, const Write& write) {
  RUNNEL_ANSWER_ASSIGN(const SchemaId id, asked_id(asked, state));
  const bool with_deleted = is_true(asked, "deleted");
  std::string out = "[";
  std::string last;
  for (const RegistryState::Place& place : state.places(id)) {
    if (state.subject(place.first)->at(place.second).deleted && !with_deleted) continue;
    std::string text = write(place);
    if (text == last) continue;
    if (out.size() > 1) out += ',';
    out += text;
    last = std::move(text);
  }
  return out + "]";
}

void get_subjects(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) {
    return places_of(asked, state,
                     [](const RegistryState::Place& place) { return json_string(place.first); });
  });
}

void get_versions(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) {
    return places_of(asked, state, [](const RegistryState::Place& place) {
      return "{\"subject\":" + json_string(place.first) +
             ",\"version\":" + std::to_string(place.second.value()) + "}";
    });
  });
}

void list_schemas(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    const std::string_view prefix = asked.query("subjectPrefix").value_or("");
    std::vector<schemas::Found> all;
    for (const auto& [name, versions] : state.subjects()) {
      if (!name.starts_with(prefix)) continue;
      const auto latest = RegistryState::latest(versions);
      for (const auto& [number, entry] : versions) {
        if (entry.deleted && !is_true(asked, "deleted")) continue;
        if (is_true(asked, "latestOnly") && number != latest) continue;
        all.push_back({name, number, entry.id});
      }
    }
    std::string out = "[";
    for (const schemas::Found& each : page_of(asked, std::move(all))) {
      if (out.size() > 1) out += ',';
      out += json_of(state, each);
    }
    return out + "]";
  });
}

}  // namespace

std::vector<Route> registry_schema_routes() {
  const Param deleted = registry_flag("deleted", "Also those that are deleted softly.");
  std::vector<Route> all{
      registry_route(Method::kGet, "/schemas", list_schemas, "listSchemas",
                     "Schemas by subject and version", "SubjectVersionList"),
      registry_route(Method::kGet, "/schemas/types", list_types, "listSchemaTypes",
                     "The types of schemas", "NameList"),
      registry_route(Method::kGet, "/schemas/ids/{id}", get_schema, "getSchema",
                     "The schema that has an id", "SchemaOfId"),
      registry_route(Method::kGet, "/schemas/ids/{id}/schema", get_schema_text, "getSchemaText",
                     "Its text alone", "AnyValue"),
      registry_route(Method::kGet, "/schemas/ids/{id}/subjects", get_subjects, "getSchemaSubjects",
                     "The subjects that have it", "NameList"),
      registry_route(Method::kGet, "/schemas/ids/{id}/versions", get_versions, "getSchemaPlaces",
                     "The subjects and versions that have it", "PlaceList"),
      registry_route(Method::kGet, "/contexts", list_contexts, "listContexts",
                     "There is one context, the default one", "NameList"),
  };
  for (Route& each : all) {
    if (each.id == "getSchemaSubjects" || each.id == "getSchemaPlaces")
      each.query.push_back(deleted);
    if (each.id == "getSchemaText") each.answers.front().contents.push_back({kPlainText});
    if (each.id != "getSchema" && each.id != "getSchemaText") continue;
    each.query.push_back(
        {.name = "subject", .text = "Passed over: ids are those of all subjects."});
    each.query.push_back(registry_flag("fetchMaxId", "Tell the greatest id, too."));
  }
  all.front().query = {
      {.name = "subjectPrefix", .text = "Only subjects that begin so."},
      deleted,
      registry_flag("latestOnly", "Of each subject the latest version only."),
      {.name = "offset", .kind = Param::Kind::kInteger, .text = "How many to leave out."},
      {.name = "limit",
       .kind = Param::Kind::kInteger,
       .text = "Most elements; -1 or left out: all.",
       .min = -1}};
  return all;
}

}  // namespace runnel::broker::http
