// What the topic _schemas holds: the records of Confluent's registry, so that either can take the
// other's place. The state is what they say, read in order.
//
//   key (JSON)                                                     value (JSON, or null)
//   {"keytype":"SCHEMA","subject":s,"version":n,"magic":1}         the schema; null: deleted for
//   ever
//   {"keytype":"CONFIG","subject":s or null,"magic":0}             {"compatibilityLevel":"FULL"}
//   {"keytype":"MODE","subject":s or null,"magic":0}               {"mode":"READONLY"}
//   {"keytype":"DELETE_SUBJECT","subject":s,"magic":0}             {"subject":s,"version":n}
//   {"keytype":"CLEAR_SUBJECT","subject":s,"magic":0}              {"subject":s}
//   {"keytype":"NOOP","magic":0}                                   anything
// A schema: {"subject":s,"version":n,"id":i,"schemaType":t,"references":[...],"schema":text,
// "deleted":false}; without schemaType it is AVRO. Members that are not known are passed over.
//
// docs/formats/schemas.md has a worked example.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "broker/schemas/types.h"

namespace runnel::broker::schemas {

inline constexpr std::string_view kTopic = "_schemas";

/// A version of a subject.
struct SchemaRecord {
  std::string subject;
  Version version;
  struct Value {
    SchemaId id;
    Schema schema;
    bool deleted = false;  ///< softly: it can still be read
  };
  std::optional<Value> value;  ///< nullopt: there is no such version any more
};
/// No subject: of all.
struct ConfigRecord {
  std::optional<std::string> subject;
  std::optional<Compatibility> level;  ///< nullopt: none of its own
};
struct ModeRecord {
  std::optional<std::string> subject;
  std::optional<Mode> mode;
};
/// The subject's versions up to this one are deleted softly.
struct DeleteSubjectRecord {
  std::string subject;
  Version up_to;
};
/// The subject's versions are deleted for ever.
struct ClearSubjectRecord {
  std::string subject;
};
/// Says nothing.
struct NoRecord {};

using LogRecord = std::variant<SchemaRecord, ConfigRecord, ModeRecord, DeleteSubjectRecord,
                               ClearSubjectRecord, NoRecord>;

struct KeyAndValue {
  std::string key;
  std::optional<std::string> value;
};
[[nodiscard]] KeyAndValue encode(const LogRecord& record);
/// Errors: kMalformed: what is missing; kUnsupported: a kind of record that is not known.
[[nodiscard]] Result<LogRecord> decode(std::string_view key, std::optional<std::string_view> value);

}  // namespace runnel::broker::schemas
