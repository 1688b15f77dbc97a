// What the registry does when it is asked: from what it knows to what it writes. Pure functions;
// each gives the records of one change, which happen together.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/schemas/compatibility.h"
#include "broker/schemas/state.h"

namespace runnel::broker::schemas {

/// A schema as a client brings it.
struct NewSchema {
  Schema schema;
  bool normalize = false;
  std::optional<SchemaId> id;      ///< where it comes from elsewhere (mode IMPORT)
  std::optional<Version> version;  ///< likewise; without the mode only the next one
};

/// A version by its number or as "latest".
struct VersionRef {
  std::optional<Version> number;  ///< nullopt: the latest
};
/// kInvalidVersion. "latest" and "-1" are the latest.
[[nodiscard]] Reply<VersionRef> version_named(std::string_view text);

struct Registered {
  SchemaId id;
  Version version;
  std::vector<LogRecord> records;  ///< empty: it was there
};
/// kInvalidSchema, kIncompatible, kNotPermitted, kIdDiffers, kInvalidSubject.
[[nodiscard]] Reply<Registered> register_schema(const RegistryState& state,
                                                const std::string& subject, NewSchema schema);

struct Found {
  std::string subject;
  Version version;
  SchemaId id;
};
/// The version that has this schema. kSubjectNotFound, kSchemaNotFound, kInvalidSchema.
[[nodiscard]] Reply<Found> find_schema(const RegistryState& state, const std::string& subject,
                                       NewSchema schema, bool with_deleted);
/// kSubjectNotFound, kVersionNotFound.
[[nodiscard]] Reply<Found> find_version(const RegistryState& state, const std::string& subject,
                                        const VersionRef& version, bool with_deleted);

/// What is against the schema following this version, or, without one, those that its level names.
/// kSubjectNotFound, kVersionNotFound, kInvalidSchema.
[[nodiscard]] Reply<std::vector<std::string>> check_compatibility(
    const RegistryState& state, const std::string& subject, NewSchema schema,
    const std::optional<VersionRef>& version);

struct Deleted {
  std::vector<Version> versions;
  std::vector<LogRecord> records;
};
/// kSubjectNotFound, kSubjectSoftDeleted, kSubjectNotSoftDeleted, kReferenceExists, kNotPermitted.
[[nodiscard]] Reply<Deleted> delete_subject(const RegistryState& state, const std::string& subject,
                                            bool permanent);
/// Besides, those of versions.
[[nodiscard]] Reply<Deleted> delete_version(const RegistryState& state, const std::string& subject,
                                            const VersionRef& version, bool permanent);

/// nullopt: back to what holds for all, or by itself.
[[nodiscard]] Reply<LogRecord> set_level(const RegistryState& state,
                                         const std::optional<std::string>& subject,
                                         std::optional<Compatibility> level);
/// kNotPermitted: IMPORT where there are schemas, unless `force`.
[[nodiscard]] Reply<LogRecord> set_mode(const RegistryState& state,
                                        const std::optional<std::string>& subject,
                                        std::optional<Mode> mode, bool force);

/// The schema with all that it refers to; valid until the state changes. kInvalidSchema: a
/// reference leads nowhere, or there are too many.
[[nodiscard]] Reply<ResolvedSchema> resolve(const RegistryState& state, const Schema& schema);

}  // namespace runnel::broker::schemas
