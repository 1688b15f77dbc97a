#include "broker/schemas/rules.h"

#include <algorithm>
#include <charconv>

#include "broker/schemas/limits.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::schemas {
namespace {

using Code = Refusal::Code;

std::string quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}

tl::unexpected<Refusal> no_subject(const std::string& subject) {
  return refuse(Code::kSubjectNotFound, "Subject " + quoted(subject) + " not found.");
}

tl::unexpected<Refusal> no_version(const VersionRef& version) {
  const std::string name = version.number ? std::to_string(version.number->value()) : "latest";
  return refuse(Code::kVersionNotFound, "Version " + name + " not found.");
}

Reply<void> check_writable(const RegistryState& state, const std::string& subject) {
  const Mode mode = state.mode(subject);
  if (mode != Mode::kReadOnly && mode != Mode::kReadOnlyOverride) return {};
  return refuse(Code::kNotPermitted, "Subject " + subject + " is in read-only mode (" +
                                         std::string(name_of(mode)) + "); PUT /mode changes that");
}

Reply<void> check_subject_name(const std::string& subject) {
  if (!subject.empty() && subject.size() <= kMaxSubjectBytes) return {};
  return refuse(Code::kInvalidSubject, "The subject's name has to have 1 to " +
                                           std::to_string(kMaxSubjectBytes) + " bytes");
}

/// Those that `schema` refers to, and before them those that these refer to.
class Resolver {
 public:
  explicit Resolver(const RegistryState& state) : state_(state) {}

  Reply<void> add(const std::vector<Reference>& references) {
    for (const Reference& each : references) RUNNEL_ANSWER(add(each));
    return {};
  }
  [[nodiscard]] std::vector<NamedText> take() { return std::move(out_); }

 private:
  Reply<void> add(const Reference& reference) {
    const RegistryState::Place place{reference.subject, reference.version};
    if (!seen_.insert(place).second) return {};
    if (seen_.size() > kMaxResolved) {
      return refuse(Code::kInvalidSchema, "The schema refers to more than " +
                                              std::to_string(kMaxResolved) + " others in all");
    }
    const auto* versions = state_.subject(reference.subject);
    const auto found = versions != nullptr ? versions->find(reference.version)
                                           : RegistryState::Versions::const_iterator();
    if (versions == nullptr || found == versions->end()) {
      return refuse(Code::kInvalidSchema, "No schema reference found for subject \"" +
                                              reference.subject + "\" and version " +
                                              std::to_string(reference.version.value()) +
                                              "; register it first");
    }
    const Schema* schema = state_.schema(found->second.id);
    RUNNEL_ANSWER(add(schema->references));
    out_.push_back({reference.name, schema->text});
    return {};
  }

  const RegistryState& state_;
  std::set<RegistryState::Place> seen_;
  std::vector<NamedText> out_;
};

/// Checks it and gives it the form that is kept.
Reply<void> prepare(const RegistryState& state, NewSchema& schema) {
  if (schema.schema.text.size() > kMaxSchemaBytes) {
    return refuse(Code::kInvalidSchema,
                  "The schema has more than " + std::to_string(kMaxSchemaBytes) + " bytes");
  }
  if (schema.schema.references.size() > kMaxReferences) {
    return refuse(Code::kInvalidSchema,
                  "The schema has more than " + std::to_string(kMaxReferences) + " references");
  }
  for (Reference& each : schema.schema.references) {
    if (each.version.value() >= 1) continue;
    RUNNEL_ANSWER_ASSIGN(const Found latest, find_version(state, each.subject, {}, false));
    each.version = latest.version;
  }
  RUNNEL_ANSWER_ASSIGN(const ResolvedSchema resolved, resolve(state, schema.schema));
  if (const Status good = check_schema(resolved); !good) {
    return refuse(Code::kInvalidSchema, "Invalid schema of type " +
                                            std::string(name_of(schema.schema.type)) + ": " +
                                            good.error().message());
  }
  schema.schema.text = kept_text(schema.schema.type, schema.schema.text, schema.normalize);
  return {};
}

/// The versions that are not deleted and that a level asks about.
Reply<std::vector<Earlier>> earlier_than_next(const RegistryState& state,
                                              const std::string& subject, Compatibility level) {
  std::vector<Earlier> out;
  const auto* versions = state.subject(subject);
  if (versions == nullptr || level == Compatibility::kNone) return out;
  const auto latest = RegistryState::latest(*versions);
  for (const auto& [number, entry] : *versions) {
    if (entry.deleted || (!is_transitive(level) && number != *latest)) continue;
    RUNNEL_ANSWER_ASSIGN(auto resolved, resolve(state, *state.schema(entry.id)));
    out.push_back({number, std::move(resolved)});
  }
  return out;
}

std::optional<Version> version_of(const RegistryState::Versions& versions, SchemaId id,
                                  bool with_deleted) {
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    if (at->second.id == id && (with_deleted || !at->second.deleted)) return at->first;
  }
  return std::nullopt;
}

/// The version that the schema has in the subject already.
std::optional<Found> known_version(const RegistryState& state, const std::string& subject,
                                   const Schema& schema, bool with_deleted) {
  const auto* versions = state.subject(subject);
  const auto id = state.id_of(schema);
  if (versions == nullptr || !id) return std::nullopt;
  const auto version = version_of(*versions, *id, with_deleted);
  if (!version) return std::nullopt;
  return Found{subject, *version, *id};
}

/// The version and id of a schema that the subject has not.
Reply<Found> place_of(const RegistryState& state, const std::string& subject,
                      const NewSchema& schema) {
  const auto* versions = state.subject(subject);
  const bool importing = state.mode(subject) == Mode::kImport;
  if (schema.id && !importing) {
    return refuse(Code::kNotPermitted, "Subject " + subject + " is not in import mode");
  }
  Found out{subject, Version(versions != nullptr ? versions->rbegin()->first.value() + 1 : 1), {}};
  if (schema.version && *schema.version != out.version) {
    const bool taken = versions != nullptr && versions->contains(*schema.version);
    if (!importing || taken) {
      return refuse(Code::kInvalidSchema, "Version is not one more than previous version");
    }
    out.version = *schema.version;
  }
  const auto same = state.id_of(schema.schema);
  if (schema.id) {
    const Schema* other = state.schema(*schema.id);
    if (other != nullptr && same != schema.id) {
      return refuse(Code::kIdDiffers, "Overwrite new schema with id " +
                                          std::to_string(schema.id->value()) +
                                          " is not permitted.");
    }
    out.id = *schema.id;
  } else {
    if (!same && state.last_id().value() == std::numeric_limits<std::int32_t>::max()) {
      return refuse(Code::kStoreFailed, "There are no more ids for schemas");
    }
    out.id = same ? *same : state.last_id() + 1;
  }
  return out;
}

Reply<void> check_unreferenced(const RegistryState& state, const std::string& subject,
                               Version version) {
  if (state.referring(subject, version).empty()) return {};
  return refuse(Code::kReferenceExists,
                "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=" +
                    subject + ",version=" + std::to_string(version.value()) + "}.");
}

SchemaRecord record_of(const RegistryState& state, const std::string& subject, Version version,
                       bool deleted) {
  const SchemaId id = state.subject(subject)->at(version).id;
  return {subject, version, SchemaRecord::Value{id, *state.schema(id), deleted}};
}

}  // namespace

Reply<VersionRef> version_named(std::string_view text) {
  if (text == "latest" || text == "-1") return VersionRef{};
  std::int32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, number);
  if (failed == std::errc() && at == end && number >= 1) return VersionRef{Version(number)};
  return refuse(Code::kInvalidVersion,
                "The specified version " + quoted(text) +
                    " is not a valid version id. Allowed values are between [1, 2^31-1] and the "
                    "string \"latest\"");
}

Reply<ResolvedSchema> resolve(const RegistryState& state, const Schema& schema) {
  Resolver resolver(state);
  RUNNEL_ANSWER(resolver.add(schema.references));
  return ResolvedSchema{schema.type, schema.text, resolver.take()};
}

Reply<Registered> register_schema(const RegistryState& state, const std::string& subject,
                                  NewSchema schema) {
  RUNNEL_ANSWER(check_subject_name(subject));
  RUNNEL_ANSWER(check_writable(state, subject));
  RUNNEL_ANSWER(prepare(state, schema));
  const auto known = known_version(state, subject, schema.schema, false);
  const bool as_asked = known && (!schema.id || *schema.id == known->id) &&
                        (!schema.version || *schema.version == known->version);
  if (as_asked) return Registered{known->id, known->version, {}};
  RUNNEL_ANSWER_ASSIGN(const Found place, place_of(state, subject, schema));
  if (state.mode(subject) != Mode::kImport) {
    const Compatibility level = state.level(subject);
    RUNNEL_ANSWER_ASSIGN(const auto earlier, earlier_than_next(state, subject, level));
    RUNNEL_ANSWER_ASSIGN(const ResolvedSchema next, resolve(state, schema.schema));
    const auto against = incompatibilities(level, next, earlier);
    if (!against.empty()) {
      std::string details;
      for (const std::string& each : against) details += (details.empty() ? "" : ", ") + each;
      return refuse(
          Code::kIncompatible,
          "Schema being registered is incompatible with an earlier schema for subject \"" +
              subject + "\", details: [" + details + "]");
    }
  }
  Registered out{place.id, place.version, {}};
  out.records.push_back(
      SchemaRecord{subject, place.version, SchemaRecord::Value{place.id, schema.schema, false}});
  return out;
}

Reply<Found> find_schema(const RegistryState& state, const std::string& subject, NewSchema schema,
                         bool with_deleted) {
  const auto* versions = state.subject(subject);
  if (versions == nullptr || (!with_deleted && !RegistryState::latest(*versions))) {
    return no_subject(subject);
  }
  RUNNEL_ANSWER(prepare(state, schema));
  const auto found = known_version(state, subject, schema.schema, with_deleted);
  if (!found) return refuse(Code::kSchemaNotFound, "Schema not found");
  return *found;
}

Reply<Found> find_version(const RegistryState& state, const std::string& subject,
                          const VersionRef& version, bool with_deleted) {
  const auto* versions = state.subject(subject);
  if (versions == nullptr || (!with_deleted && !RegistryState::latest(*versions))) {
    return no_subject(subject);
  }
  auto number = version.number;
  if (!number) number = RegistryState::latest(*versions);
  if (!number && with_deleted) number = versions->rbegin()->first;
  const auto found = number ? versions->find(*number) : versions->end();
  if (found == versions->end() || (found->second.deleted && !with_deleted)) {
    return no_version(version);
  }
  return Found{subject, found->first, found->second.id};
}

Reply<std::vector<std::string>> check_compatibility(const RegistryState& state,
                                                    const std::string& subject, NewSchema schema,
                                                    const std::optional<VersionRef>& version) {
  RUNNEL_ANSWER(prepare(state, schema));
  const Compatibility level = state.level(subject);
  std::vector<Earlier> earlier;
  if (version) {
    // A subject that is not there has no latest version, and nothing is against the first one.
    const auto* versions = state.subject(subject);
    const bool is_first = versions == nullptr || !RegistryState::latest(*versions);
    if (is_first && !version->number) return std::vector<std::string>();
    RUNNEL_ANSWER_ASSIGN(const Found found, find_version(state, subject, *version, false));
    RUNNEL_ANSWER_ASSIGN(auto resolved, resolve(state, *state.schema(found.id)));
    earlier.push_back({found.version, std::move(resolved)});
  } else {
    RUNNEL_ANSWER_ASSIGN(earlier, earlier_than_next(state, subject, level));
  }
  RUNNEL_ANSWER_ASSIGN(const ResolvedSchema next, resolve(state, schema.schema));
  return incompatibilities(level, next, earlier);
}

Reply<Deleted> delete_subject(const RegistryState& state, const std::string& subject,
                              bool permanent) {
  RUNNEL_ANSWER(check_writable(state, subject));
  const auto* versions = state.subject(subject);
  if (versions == nullptr) return no_subject(subject);
  const auto latest = RegistryState::latest(*versions);
  if (!latest && !permanent) {
    return refuse(Code::kSubjectSoftDeleted,
                  "Subject " + quoted(subject) +
                      " was soft deleted. Set permanent=true to delete permanently");
  }
  if (latest && permanent) {
    return refuse(
        Code::kSubjectNotSoftDeleted,
        "Subject " + quoted(subject) + " was not deleted first before being permanently deleted");
  }
  Deleted out;
  for (const auto& [number, entry] : *versions) {
    if (entry.deleted && !permanent) continue;
    RUNNEL_ANSWER(check_unreferenced(state, subject, number));
    out.versions.push_back(number);
    if (permanent) out.records.push_back(SchemaRecord{subject, number, std::nullopt});
  }
  if (permanent) return out;
  out.records.push_back(DeleteSubjectRecord{subject, *latest});
  if (state.own_mode(subject)) out.records.push_back(ModeRecord{subject, std::nullopt});
  if (state.own_level(subject)) out.records.push_back(ConfigRecord{subject, std::nullopt});
  return out;
}

Reply<Deleted> delete_version(const RegistryState& state, const std::string& subject,
                              const VersionRef& version, bool permanent) {
  RUNNEL_ANSWER(check_writable(state, subject));
  RUNNEL_ANSWER_ASSIGN(const Found found, find_version(state, subject, version, true));
  const bool deleted = state.subject(subject)->at(found.version).deleted;
  const std::string name =
      "Subject " + quoted(subject) + " Version " + std::to_string(found.version.value());
  if (deleted && !permanent) {
    return refuse(Code::kVersionSoftDeleted,
                  name + " was soft deleted. Set permanent=true to delete permanently");
  }
  if (!deleted && permanent) {
    return refuse(Code::kVersionNotSoftDeleted,
                  name + " was not deleted first before being permanently deleted");
  }
  RUNNEL_ANSWER(check_unreferenced(state, subject, found.version));
  Deleted out{{found.version}, {}};
  if (permanent) {
    out.records.push_back(SchemaRecord{subject, found.version, std::nullopt});
  } else {
    out.records.push_back(record_of(state, subject, found.version, true));
  }
  return out;
}

Reply<LogRecord> set_level(const RegistryState& state, const std::optional<std::string>& subject,
                           std::optional<Compatibility> level) {
  if (subject) RUNNEL_ANSWER(check_subject_name(*subject));
  if (!level && subject && !state.own_level(subject)) return no_subject(*subject);
  return LogRecord(ConfigRecord{subject, level});
}

Reply<LogRecord> set_mode(const RegistryState& state, const std::optional<std::string>& subject,
                          std::optional<Mode> mode, bool force) {
  if (subject) RUNNEL_ANSWER(check_subject_name(*subject));
  if (!mode && subject && !state.own_mode(subject)) return no_subject(*subject);
  if (mode == Mode::kReadOnlyOverride && subject) {
    return refuse(Code::kInvalidMode, "READONLY_OVERRIDE is a mode of all subjects together");
  }
  if (mode == Mode::kImport && !force) {
    const bool empty = subject ? state.subject(*subject) == nullptr : state.subjects().empty();
    if (!empty) {
      return refuse(Code::kNotPermitted,
                    "Cannot import since found existing subjects; delete them for ever, or say "
                    "force=true");
    }
  }
  return LogRecord(ModeRecord{subject, mode});
}

}  // namespace runnel::broker::schemas
