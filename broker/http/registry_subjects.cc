// Subjects of the schema registry: register, look up, read, delete, check.
#include "broker/http/registry_call.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;
using schemas::RegistryState;
using schemas::Reply;
using schemas::VersionRef;

std::string list_of(const std::vector<schemas::Version>& versions) {
  std::string out = "[";
  for (const schemas::Version each : versions) {
    if (out.size() > 1) out += ',';
    out += std::to_string(each.value());
  }
  return out + "]";
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& each : texts) {
    if (out.size() > 1) out += ',';
    out += json_string(each);
  }
  return out + "]";
}

Reply<schemas::Found> asked_version(const Call& call, const RegistryState& state) {
  RUNNEL_ANSWER_ASSIGN(const VersionRef version, schemas::version_named(call.path("version")));
  return schemas::find_version(state, call.path("subject"), version, is_true(call, "deleted"));
}

void list_subjects(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    const std::string_view prefix = asked.query("subjectPrefix").value_or("");
    const bool only_deleted = is_true(asked, "deletedOnly");
    const bool with_deleted = is_true(asked, "deleted");
    std::vector<std::string> names;
    for (const auto& [name, versions] : state.subjects()) {
      const bool lives = RegistryState::latest(versions).has_value();
      if (only_deleted ? lives : !lives && !with_deleted) continue;
      if (name.starts_with(prefix)) names.push_back(name);
    }
    return list_of(page_of(asked, std::move(names)));
  });
}

void list_versions(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    const bool only_deleted = is_true(asked, "deletedOnly");
    const bool with_deleted = is_true(asked, "deleted") || only_deleted;
    RUNNEL_ANSWER(schemas::find_version(state, asked.path("subject"), {}, with_deleted));
    std::vector<schemas::Version> numbers;
    for (const auto& [number, entry] : *state.subject(asked.path("subject"))) {
      if (entry.deleted ? with_deleted : !only_deleted) numbers.push_back(number);
    }
    return list_of(page_of(asked, std::move(numbers)));
  });
}

void get_version(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const schemas::Found found, asked_version(asked, state));
    return json_of(state, found);
  });
}

void get_version_text(const CallRef& call) {
  answer_schema_text(call, [](Call& asked, const RegistryState& state) -> Reply<schemas::SchemaId> {
    RUNNEL_ANSWER_ASSIGN(const schemas::Found found, asked_version(asked, state));
    return found.id;
  });
}

void get_referring(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const VersionRef version, schemas::version_named(asked.path("version")));
    RUNNEL_ANSWER_ASSIGN(const schemas::Found found,
                         schemas::find_version(state, asked.path("subject"), version, true));
    std::string out = "[";
    for (const schemas::SchemaId each : state.referring(found.subject, found.version)) {
      if (out.size() > 1) out += ',';
      out += std::to_string(each.value());
    }
    return out + "]";
  });
}

void register_version(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const schemas::NewSchema schema, read_schema(asked));
    schemas::SchemaId id;
    RUNNEL_ANSWER(asked.service().schemas().write(
        [&](const RegistryState& state) -> Reply<schemas::Registry::Change> {
          RUNNEL_ANSWER_ASSIGN(auto done,
                               schemas::register_schema(state, asked.path("subject"), schema));
          id = done.id;
          return std::move(done.records);
        }));
    return "{\"id\":" + std::to_string(id.value()) + "}";
  });
}

void look_up(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(schemas::NewSchema schema, read_schema(asked));
    RUNNEL_ANSWER_ASSIGN(const schemas::Found found,
                         schemas::find_schema(state, asked.path("subject"), std::move(schema),
                                              is_true(asked, "deleted")));
    return json_of(state, found);
  });
}

void delete_subject(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    std::vector<schemas::Version> gone;
    RUNNEL_ANSWER(asked.service().schemas().write(
        [&](const RegistryState& state) -> Reply<schemas::Registry::Change> {
          RUNNEL_ANSWER_ASSIGN(auto done, schemas::delete_subject(state, asked.path("subject"),
                                                                  is_true(asked, "permanent")));
          gone = std::move(done.versions);
          return std::move(done.records);
        }));
    return list_of(gone);
  });
}

void delete_version(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const VersionRef version, schemas::version_named(asked.path("version")));
    std::vector<schemas::Version> gone;
    RUNNEL_ANSWER(asked.service().schemas().write(
        [&](const RegistryState& state) -> Reply<schemas::Registry::Change> {
          RUNNEL_ANSWER_ASSIGN(auto done,
                               schemas::delete_version(state, asked.path("subject"), version,
                                                       is_true(asked, "permanent")));
          gone = std::move(done.versions);
          return std::move(done.records);
        }));
    return std::to_string(gone.front().value());
  });
}

Reply<std::string> compatible(Call& asked, const RegistryState& state,
                              const std::optional<VersionRef>& version) {
  RUNNEL_ANSWER_ASSIGN(schemas::NewSchema schema, read_schema(asked));
  const bool is_unread = schema.schema.type == schemas::SchemaType::kProtobuf;
  RUNNEL_ANSWER_ASSIGN(auto against, schemas::check_compatibility(state, asked.path("subject"),
                                                                  std::move(schema), version));
  std::string out = against.empty() ? "{\"is_compatible\":true" : "{\"is_compatible\":false";
  if (is_unread && against.empty()) {
    against.emplace_back("Schemas of Protobuf are kept, but not compared");
  }
  if (is_true(asked, "verbose")) out += ",\"messages\":" + list_of(against);
  return out + "}";
}

void check_version(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const VersionRef version, schemas::version_named(asked.path("version")));
    return compatible(asked, state, version);
  });
}

void check_versions(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) {
    return compatible(asked, state, std::nullopt);
  });
}

Param deleted_flag() {
  return registry_flag("deleted", "Also those that are deleted softly.");
}

std::vector<Param> page_parameters() {
  return {{.name = "offset", .kind = Param::Kind::kInteger, .text = "How many to leave out."},
          {.name = "limit",
           .kind = Param::Kind::kInteger,
           .text = "Most elements; -1 or left out: all.",
           .min = -1}};
}

}  // namespace

std::vector<Route> registry_subject_routes() {
  const std::string_view subject = "/subjects/{subject}";
  const std::string_view versions = "/subjects/{subject}/versions";
  const std::string_view version = "/subjects/{subject}/versions/{version}";
  const Param normalize =
      registry_flag("normalize", "Take it for the same whatever the order of members.");
  const Param permanent =
      registry_flag("permanent", "For ever; what is deleted softly has to come first.");
  const Param verbose = registry_flag("verbose", "Say what is in the way.");
  std::vector<Route> all{
      registry_route(Method::kGet, "/subjects", list_subjects, "listSubjects", "Subjects by name",
                     "NameList"),
      registry_route(Method::kGet, versions, list_versions, "listSchemaVersions",
                     "Versions of a subject", "NumberList"),
      registry_route(Method::kPost, versions, register_version, "registerSchema",
                     "Registers a schema: the next version, or the one that it is", "SchemaId"),
      registry_route(Method::kPost, subject, look_up, "lookUpSchema",
                     "The version that a schema is", "SubjectVersion"),
      registry_route(Method::kDelete, subject, delete_subject, "deleteSubject",
                     "Deletes all versions of a subject", "NumberList"),
      registry_route(Method::kGet, version, get_version, "getSchemaVersion",
                     "A version: a number, or latest", "SubjectVersion"),
      registry_route(Method::kDelete, version, delete_version, "deleteSchemaVersion",
                     "Deletes a version", "Number"),
      registry_route(Method::kGet, "/subjects/{subject}/versions/{version}/schema",
                     get_version_text, "getSchemaVersionText", "A version's schema alone",
                     "AnyValue"),
      registry_route(Method::kGet, "/subjects/{subject}/versions/{version}/referencedby",
                     get_referring, "getReferringSchemas",
                     "Ids of the schemas that refer to a version", "NumberList"),
      registry_route(Method::kPost, "/compatibility/subjects/{subject}/versions/{version}",
                     check_version, "checkCompatibility",
                     "Whether a schema could follow this version", "CompatibilityCheck"),
      registry_route(Method::kPost, "/compatibility/subjects/{subject}/versions", check_versions,
                     "checkCompatibilityOfAll", "Whether a schema could be the next version",
                     "CompatibilityCheck"),
  };
  for (Route& each : all) {
    const bool reads_schema = each.method == Method::kPost;
    if (reads_schema) {
      each.bodies = registry_body("NewSchema");
      each.query.push_back(normalize);
    }
    if (each.pattern.starts_with("/compatibility")) each.query.push_back(verbose);
    if (each.method == Method::kDelete) each.query.push_back(permanent);
    if (each.id == "getSchemaVersionText") each.answers.front().contents.push_back({kPlainText});
    if (each.method == Method::kGet || each.id == "lookUpSchema")
      each.query.push_back(deleted_flag());
    if (each.id == "listSubjects" || each.id == "listSchemaVersions") {
      each.query.push_back(registry_flag("deletedOnly", "Only those that are deleted softly."));
      for (Param& more : page_parameters()) each.query.push_back(std::move(more));
    }
  }
  all.front().query.push_back({.name = "subjectPrefix", .text = "Only those that begin so."});
  return all;
}

}  // namespace runnel::broker::http
