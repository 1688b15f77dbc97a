#include "broker/schemas/log_record.h"

#include "broker/schemas/json_value.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::schemas {

namespace json = boost::json;
using protocol::json_string;

namespace {

std::string key_of(std::string_view kind, const std::string& rest, int magic) {
  return "{\"keytype\":" + json_string(kind) + rest + ",\"magic\":" + std::to_string(magic) + "}";
}

std::string subject_of(const std::optional<std::string>& subject) {
  return ",\"subject\":" + (subject ? json_string(*subject) : "null");
}

std::string number(std::int32_t value) {
  return std::to_string(value);
}

KeyAndValue encode_one(const SchemaRecord& record) {
  KeyAndValue out;
  out.key = key_of(
      "SCHEMA", subject_of(record.subject) + ",\"version\":" + number(record.version.value()), 1);
  if (!record.value) return out;
  const SchemaRecord::Value& value = *record.value;
  std::string text = "{\"subject\":" + json_string(record.subject) +
                     ",\"version\":" + number(record.version.value()) +
                     ",\"id\":" + number(value.id.value());
  if (value.schema.type != SchemaType::kAvro) {
    text += ",\"schemaType\":" + json_string(name_of(value.schema.type));
  }
  if (!value.schema.references.empty()) {
    text += ",\"references\":[";
    for (const Reference& each : value.schema.references) {
      if (text.back() != '[') text += ',';
      text += "{\"name\":" + json_string(each.name) + ",\"subject\":" + json_string(each.subject) +
              ",\"version\":" + number(each.version.value()) + "}";
    }
    text += ']';
  }
  text += ",\"schema\":" + json_string(value.schema.text) +
          ",\"deleted\":" + (value.deleted ? "true" : "false") + "}";
  out.value = std::move(text);
  return out;
}

KeyAndValue encode_one(const ConfigRecord& record) {
  KeyAndValue out{key_of("CONFIG", subject_of(record.subject), 0), std::nullopt};
  if (record.level) {
    out.value = "{\"compatibilityLevel\":" + json_string(name_of(*record.level)) + "}";
  }
  return out;
}

KeyAndValue encode_one(const ModeRecord& record) {
  KeyAndValue out{key_of("MODE", subject_of(record.subject), 0), std::nullopt};
  if (record.mode) out.value = "{\"mode\":" + json_string(name_of(*record.mode)) + "}";
  return out;
}

KeyAndValue encode_one(const DeleteSubjectRecord& record) {
  return {key_of("DELETE_SUBJECT", subject_of(record.subject), 0),
          "{\"subject\":" + json_string(record.subject) +
              ",\"version\":" + number(record.up_to.value()) + "}"};
}

KeyAndValue encode_one(const ClearSubjectRecord& record) {
  return {key_of("CLEAR_SUBJECT", subject_of(record.subject), 0),
          "{\"subject\":" + json_string(record.subject) + "}"};
}

KeyAndValue encode_one(const NoRecord&) {
  return {key_of("NOOP", "", 0), std::nullopt};
}

// ---------------------------------------------------------------- decode
tl::unexpected<Error> wrong(const std::string& what) {
  return fail(ErrorCode::kMalformed, what);
}

Result<json::object> object_in(std::string_view text, const char* what) {
  RUNNEL_TRY_ASSIGN(json::value value, parse_json(text));
  if (!value.is_object()) return wrong(std::string(what) + " is no object");
  return std::move(value.get_object());
}

Result<std::int32_t> positive(const json::object& object, const char* name) {
  const json::value* value = member(object, name);
  if (value != nullptr && value->is_int64() && value->get_int64() >= 1 &&
      value->get_int64() <= std::numeric_limits<std::int32_t>::max()) {
    return static_cast<std::int32_t>(value->get_int64());
  }
  return wrong(std::string("it has no \"") + name + "\" from 1");
}

Result<SchemaRecord::Value> decode_schema(const json::object& object) {
  SchemaRecord::Value out;
  RUNNEL_TRY_ASSIGN(const std::int32_t id, positive(object, "id"));
  out.id = SchemaId(id);
  const json::value* text = member(object, "schema");
  if (text == nullptr || !text->is_string()) return wrong("it has no \"schema\"");
  out.schema.text = text_of(text->get_string());
  if (const std::string_view type = text_member(object, "schemaType"); !type.empty()) {
    const auto known = type_named(type);
    if (!known) return wrong("its schemaType " + std::string(type) + " is not known");
    out.schema.type = *known;
  }
  const json::value* references = member(object, "references");
  if (references != nullptr && references->is_array()) {
    for (const json::value& each : references->get_array()) {
      if (!each.is_object()) return wrong("its references are no objects");
      const json::object& one = each.get_object();
      RUNNEL_TRY_ASSIGN(const std::int32_t version, positive(one, "version"));
      out.schema.references.push_back({std::string(text_member(one, "name")),
                                       std::string(text_member(one, "subject")), Version(version)});
    }
  }
  const json::value* deleted = member(object, "deleted");
  out.deleted = deleted != nullptr && deleted->is_bool() && deleted->get_bool();
  return out;
}

Result<LogRecord> decode_version(const json::object& key, std::string subject,
                                 std::optional<std::string_view> value) {
  SchemaRecord out;
  out.subject = std::move(subject);
  RUNNEL_TRY_ASSIGN(const std::int32_t version, positive(key, "version"));
  out.version = Version(version);
  if (value) {
    RUNNEL_TRY_ASSIGN(const json::object object, object_in(*value, "its value"));
    RUNNEL_TRY_ASSIGN(out.value, decode_schema(object));
  }
  return out;
}

}  // namespace

KeyAndValue encode(const LogRecord& record) {
  return std::visit([](const auto& each) { return encode_one(each); }, record);
}

Result<LogRecord> decode(std::string_view key, std::optional<std::string_view> value) {
  RUNNEL_TRY_ASSIGN(const json::object names, object_in(key, "its key"));
  const std::string_view kind = text_member(names, "keytype");
  if (kind == "NOOP") return NoRecord{};
  const json::value* subject = member(names, "subject");
  std::optional<std::string> name;
  if (subject != nullptr && subject->is_string()) name = text_of(subject->get_string());
  if (kind == "CONFIG" || kind == "MODE") {
    json::object object;
    if (value) {
      RUNNEL_TRY_ASSIGN(object, object_in(*value, "its value"));
    }
    if (kind == "CONFIG") {
      return ConfigRecord{name, compatibility_named(text_member(object, "compatibilityLevel"))};
    }
    return ModeRecord{name, mode_named(text_member(object, "mode"))};
  }
  if (!name) return wrong("its key has no subject");
  if (kind == "SCHEMA") return decode_version(names, std::move(*name), value);
  if (kind == "CLEAR_SUBJECT") {
    return value ? LogRecord(ClearSubjectRecord{std::move(*name)}) : LogRecord(NoRecord{});
  }
  if (kind != "DELETE_SUBJECT") {
    return fail(ErrorCode::kUnsupported,
                "records of the kind " + std::string(kind) + " are not known");
  }
  if (!value) return NoRecord{};
  RUNNEL_TRY_ASSIGN(const json::object object, object_in(*value, "its value"));
  RUNNEL_TRY_ASSIGN(const std::int32_t up_to, positive(object, "version"));
  return DeleteSubjectRecord{std::move(*name), Version(up_to)};
}

}  // namespace runnel::broker::schemas
