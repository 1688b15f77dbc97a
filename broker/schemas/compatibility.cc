#include "broker/schemas/compatibility.h"

#include <memory>

#include "broker/schemas/avro.h"
#include "broker/schemas/json_value.h"

namespace runnel::broker::schemas {
namespace {

/// A schema in the form in which it can be compared.
struct Parsed {
  std::unique_ptr<const JsonSchema> json;
  std::unique_ptr<const AvroSchema> avro;
};

Result<Parsed> parse(const ResolvedSchema& schema) {
  Parsed out;
  if (schema.type == SchemaType::kJson) {
    std::vector<NamedText> texts = schema.uses;
    texts.push_back({"", schema.text});
    RUNNEL_TRY_ASSIGN(out.json, JsonSchema::parse(texts));
  } else if (schema.type == SchemaType::kAvro) {
    std::vector<std::string_view> texts;
    for (const NamedText& each : schema.uses) texts.push_back(each.text);
    texts.push_back(schema.text);
    RUNNEL_TRY_ASSIGN(AvroSchema avro, AvroSchema::parse(texts));
    out.avro = std::make_unique<const AvroSchema>(std::move(avro));
  }
  return out;
}

void compare(const Parsed& writer, const Parsed& reader, Differences& out) {
  if (writer.json && reader.json) compare_json(*writer.json, *reader.json, out);
  if (writer.avro && reader.avro) compare_avro(*writer.avro, *reader.avro, out);
}

void tell(const Differences& found, std::string_view reader, std::vector<std::string>& out) {
  for (const Difference& each : found.all()) {
    out.push_back("{errorType:'" + std::string(each.kind) + "', description:'" + each.text +
                  ", at path '" + (each.path.empty() ? "/" : each.path) + "' of the " +
                  std::string(reader) + " schema'}");
  }
}

}  // namespace

Status check_schema(const ResolvedSchema& schema) {
  if (schema.text.empty()) return fail(ErrorCode::kMalformed, "the schema is empty");
  RUNNEL_TRY(parse(schema));
  return {};
}

std::string kept_text(SchemaType type, std::string_view text, bool normalize) {
  if (type == SchemaType::kProtobuf) return std::string(text);
  if (!normalize) return without_blanks(text);
  const auto value = parse_json(text);
  return value ? in_order(*value) : std::string(text);
}

std::string identity_of(SchemaType type, std::string_view text) {
  // Avro's libraries write the same schema with members in other orders.
  return kept_text(type, text, type == SchemaType::kAvro);
}

std::vector<std::string> incompatibilities(Compatibility level, const ResolvedSchema& next,
                                           std::span<const Earlier> earlier) {
  std::vector<std::string> out;
  if (level == Compatibility::kNone) return out;
  const auto parsed = parse(next);
  if (!parsed) return {parsed.error().message()};
  for (const Earlier& each : earlier) {
    const std::size_t before = out.size();
    const auto old = parse(each.schema);
    if (!old) {
      // It came from elsewhere, and nobody can say what it means.
      out.push_back("{errorType:'UNREADABLE', description:'" + old.error().message() + "'}");
    } else if (each.schema.type != next.type) {
      out.push_back("{errorType:'SCHEMA_TYPE_CHANGED', description:'The new schema is of type " +
                    std::string(name_of(next.type)) + ", the old one of type " +
                    std::string(name_of(each.schema.type)) + "'}");
    } else {
      Differences backward;
      Differences forward;
      if (asks_backward(level)) compare(*old, *parsed, backward);
      if (asks_forward(level)) compare(*parsed, *old, forward);
      tell(backward, "new", out);
      tell(forward, "old", out);
    }
    if (out.size() > before) {
      out.push_back("{oldSchemaVersion: " + std::to_string(each.version.value()) + "}");
      out.push_back("{oldSchema: '" + std::string(each.schema.text) + "'}");
    }
  }
  if (!out.empty()) out.push_back("{compatibility: '" + std::string(name_of(level)) + "'}");
  return out;
}

}  // namespace runnel::broker::schemas
