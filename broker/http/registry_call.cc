#include "broker/http/registry_call.h"

#include <array>

#include "broker/http/routes.h"
#include "broker/schemas/json_value.h"
#include "broker/schemas/limits.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {

namespace json_lib = boost::json;
using protocol::json_string;
using schemas::Refusal;
using schemas::Reply;

namespace {

/// Of a request that brings a schema: quotes and line ends are escaped in it.
constexpr std::size_t kMaxSchemaBodyBytes = 4 * schemas::kMaxSchemaBytes;

constexpr std::array<std::string_view, 3> kTypes{kRegistryJson, kRegistryJsonAnyVersion, kJson};

/// In the type that the client rather takes.
Response response_to(const Call& call, unsigned status, std::string body) {
  const std::string* accept = call.request().header("accept");
  std::string_view type = kRegistryJson;
  for (const std::string_view each : kTypes) {
    if (accept == nullptr || !accepts(*accept, each)) continue;
    type = each;
    break;
  }
  return {status, std::string(type), std::move(body), {}};
}

Response response_to(const Call& call, const Refusal& refusal) {
  return response_to(call, refusal.status(),
                     "{\"error_code\":" + std::to_string(refusal.code) +
                         ",\"message\":" + json_string(refusal.message) + "}\n");
}

/// The body's members; those that are null are as if they were not there.
Reply<json_lib::object> read_object(const Call& call) {
  if (call.request().body.size() > kMaxSchemaBodyBytes) {
    return schemas::refuse(
        Refusal::kInvalidSchema,
        "The body has more than " + std::to_string(kMaxSchemaBodyBytes) + " bytes");
  }
  auto parsed = schemas::parse_json(call.request().body);
  if (!parsed) return schemas::refuse(Refusal::kMalformedBody, parsed.error().message());
  if (!parsed->is_object()) {
    return schemas::refuse(Refusal::kMalformedBody, "The body has to be an object");
  }
  json_lib::object out;
  for (const auto& [name, value] : parsed->get_object()) {
    if (!value.is_null()) out.emplace(name, value);
  }
  return out;
}

tl::unexpected<Refusal> wrong(std::string_view name, std::string_view wanted) {
  return schemas::refuse(Refusal::kMalformedBody,
                         "\"" + std::string(name) + "\" has to be " + std::string(wanted));
}

Reply<std::string> text_in(const json_lib::object& object, std::string_view name) {
  const json_lib::value* value = schemas::member(object, name);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return wrong(name, "a text");
  return std::string(schemas::text_of(value->get_string()));
}

/// nullopt: not given, or -1.
Reply<std::optional<std::int32_t>> number_in(const json_lib::object& object,
                                             std::string_view name) {
  const json_lib::value* value = schemas::member(object, name);
  if (value == nullptr) return std::optional<std::int32_t>();
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (!value->is_int64() || value->get_int64() < -1 || value->get_int64() > kMost) {
    return wrong(name, "a whole number from 1 to 2147483647, or -1");
  }
  if (value->get_int64() < 1) return std::optional<std::int32_t>();
  return std::optional(static_cast<std::int32_t>(value->get_int64()));
}

Reply<std::vector<schemas::Reference>> references_in(const json_lib::object& object) {
  std::vector<schemas::Reference> out;
  const json_lib::value* list = schemas::member(object, "references");
  if (list == nullptr) return out;
  if (!list->is_array()) return wrong("references", "a list");
  for (const json_lib::value& each : list->get_array()) {
    if (!each.is_object()) return wrong("references", "a list of objects");
    const json_lib::object& one = each.get_object();
    schemas::Reference reference;
    RUNNEL_ANSWER_ASSIGN(reference.name, text_in(one, "name"));
    RUNNEL_ANSWER_ASSIGN(reference.subject, text_in(one, "subject"));
    RUNNEL_ANSWER_ASSIGN(const auto version, number_in(one, "version"));
    if (reference.name.empty() || reference.subject.empty()) {
      return wrong("references", "a list of objects with name, subject and version");
    }
    reference.version = schemas::Version(version.value_or(-1));
    out.push_back(std::move(reference));
  }
  return out;
}

Reply<void> check_members(const json_lib::object& object) {
  constexpr std::array<std::string_view, 10> kKnown{
      "schema",  "schemaType", "references", "id",       "version",
      "subject", "guid",       "deleted",    "metadata", "ruleSet"};
  for (const auto& member : object) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      return schemas::refuse(422, "Unrecognized field: " + std::string(name));
    }
    if (name == "metadata" || name == "ruleSet") {
      return schemas::refuse(Refusal::kInvalidSchema,
                             "This registry keeps no " + std::string(name) +
                                 " of schemas; register the schema without it");
    }
  }
  return {};
}

Response refused(const Call& call, const Refusal& refusal) {
  Counters::add(call.service().counters().failures, 1);
  return response_to(call, refusal);
}

}  // namespace

void answer_registry(const CallRef& call, std::function<Reply<std::string>(Call&)> work) {
  answer_blocking(call, [call, work = std::move(work)] {
    const auto body = work(*call);
    return body ? response_to(*call, 200, *body + "\n") : refused(*call, body.error());
  });
}

void answer_schema_text(
    const CallRef& call,
    std::function<Reply<schemas::SchemaId>(Call&, const schemas::RegistryState&)> find) {
  answer_blocking(call, [call, find = std::move(find)] {
    std::string text;
    const auto found =
        call->service().schemas().read([&](const schemas::RegistryState& state) -> Reply<void> {
          RUNNEL_ANSWER_ASSIGN(const schemas::SchemaId id, find(*call, state));
          text = state.schema(id)->text;
          return {};
        });
    if (!found) return refused(*call, found.error());
    // Those of Protobuf are none, and others may be imported unchecked.
    const bool is_json = schemas::parse_json(text).has_value();
    text += '\n';
    if (is_json) return response_to(*call, 200, std::move(text));
    return Response{200, std::string(kPlainText), std::move(text), {}};
  });
}

void answer_from_state(
    const CallRef& call,
    std::function<Reply<std::string>(Call&, const schemas::RegistryState&)> look) {
  answer_registry(call, [look = std::move(look)](Call& within) -> Reply<std::string> {
    std::string body;
    RUNNEL_ANSWER(
        within.service().schemas().read([&](const schemas::RegistryState& state) -> Reply<void> {
          RUNNEL_ANSWER_ASSIGN(body, look(within, state));
          return {};
        }));
    return body;
  });
}

bool is_true(const Call& call, std::string_view name) {
  const auto value = call.query(name);
  return value && (*value == "true" || *value == "True");
}

Reply<schemas::NewSchema> read_schema(const Call& call) {
  RUNNEL_ANSWER_ASSIGN(const json_lib::object object, read_object(call));
  RUNNEL_ANSWER(check_members(object));
  schemas::NewSchema out;
  out.normalize = is_true(call, "normalize");
  RUNNEL_ANSWER_ASSIGN(out.schema.text, text_in(object, "schema"));
  RUNNEL_ANSWER_ASSIGN(const std::string type, text_in(object, "schemaType"));
  if (!type.empty()) {
    const auto known = schemas::type_named(type);
    if (!known) {
      return schemas::refuse(Refusal::kInvalidSchema,
                             "Invalid schema type " + type + "; there are AVRO, JSON, PROTOBUF");
    }
    out.schema.type = *known;
  }
  RUNNEL_ANSWER_ASSIGN(out.schema.references, references_in(object));
  RUNNEL_ANSWER_ASSIGN(const auto id, number_in(object, "id"));
  RUNNEL_ANSWER_ASSIGN(const auto version, number_in(object, "version"));
  if (id) out.id = schemas::SchemaId(*id);
  if (version) out.version = schemas::Version(*version);
  return out;
}

Reply<std::string> read_setting(const Call& call, std::string_view name) {
  RUNNEL_ANSWER_ASSIGN(const json_lib::object object, read_object(call));
  for (const auto& member : object) {
    if (std::string_view(member.key().data(), member.key().size()) == name) continue;
    return schemas::refuse(422, "Unrecognized field: " + std::string(member.key()));
  }
  return text_in(object, name);
}

std::string members_of(const schemas::Schema& schema) {
  std::string out;
  if (schema.type != schemas::SchemaType::kAvro) {
    out += ",\"schemaType\":" + json_string(schemas::name_of(schema.type));
  }
  if (!schema.references.empty()) {
    out += ",\"references\":[";
    for (const schemas::Reference& each : schema.references) {
      if (out.back() != '[') out += ',';
      out += "{\"name\":" + json_string(each.name) + ",\"subject\":" + json_string(each.subject) +
             ",\"version\":" + std::to_string(each.version.value()) + "}";
    }
    out += ']';
  }
  return out + ",\"schema\":" + json_string(schema.text);
}

std::string json_of(const schemas::RegistryState& state, const schemas::Found& found) {
  return "{\"subject\":" + json_string(found.subject) +
         ",\"version\":" + std::to_string(found.version.value()) +
         ",\"id\":" + std::to_string(found.id.value()) + members_of(*state.schema(found.id)) + "}";
}

// ---------------------------------------------------------------- rows
Param registry_flag(std::string_view name, std::string_view text) {
  return {
      .name = name, .kind = Param::Kind::kChoice, .text = text, .choices = "true|false|True|False"};
}

std::vector<Content> registry_body(std::string_view schema) {
  return {{kRegistryJson, schema}, {kRegistryJsonAnyVersion, schema}, {kJson, schema}};
}

Route registry_route(Method method, std::string_view pattern, void (*handler)(const CallRef&),
                     std::string_view id, std::string_view summary, std::string_view answer) {
  Route out;
  out.method = method;
  out.pattern = pattern;
  out.handler = handler;
  out.id = id;
  out.tag = "schema registry";
  out.summary = summary;
  out.lenient = true;
  out.answers = {{200, "It is so.", registry_body(answer)}};
  constexpr std::array<std::pair<unsigned, std::string_view>, 6> kRefusals{
      {{400, "The body or a parameter is not what is asked for."},
       {404, "There is no such subject, version or schema: error_code 404xx."},
       {409, "The schema is not compatible with those before it."},
       {422, "The schema, version or setting is none: error_code 422xx."},
       {500, "The log of the registry could not be read or written."},
       {503, "The broker is shutting down, or has no memory; try again."}}};
  for (const auto& [status, text] : kRefusals) {
    auto contents = registry_body("RegistryError");
    contents.push_back({kProblemJson, "Problem"});
    out.answers.push_back({status, text, std::move(contents)});
  }
  return out;
}

std::vector<Route> registry_routes() {
  std::vector<Route> all;
  for (const auto part :
       {registry_subject_routes, registry_schema_routes, registry_settings_routes}) {
    auto routes = part();
    std::move(routes.begin(), routes.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace runnel::broker::http
