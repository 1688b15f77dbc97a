#include "broker/schemas/record_check.h"

#include <algorithm>

#include "broker/schemas/json_value.h"
#include "protocol/base/bytes.h"

namespace runnel::broker::schemas {
namespace {

constexpr std::size_t kIdBytes = 4;
constexpr std::size_t kHeadBytes = 1 + kIdBytes;
/// Ids that are remembered of one request: a batch has one or two.
constexpr std::size_t kMaxKnown = 100;

std::string no_head(std::string_view part, const std::string& subject) {
  return "its " + std::string(part) +
         " does not begin with a zero byte and the four bytes of a schema's id, which the topic's "
         "config confluent." +
         std::string(part) +
         ".schema.validation asks for; write it with a serializer that uses "
         "the schema registry and the subject '" +
         subject + "'";
}

}  // namespace

RecordCheck::RecordCheck(Registry& registry, std::string_view topic,
                         const storage::RecordRules& rules)
    : registry_(registry),
      key_{"key", std::string(topic) + "-key", rules.key_schemas},
      value_{"value", std::string(topic) + "-value", rules.value_schemas} {}

const Reply<WritingSchema>& RecordCheck::schema_of(Part& part, SchemaId id) {
  const auto known = part.known.find(id);
  if (known != part.known.end()) return known->second;
  if (part.known.size() == kMaxKnown) part.known.clear();
  return part.known.emplace(id, registry_.writing_schema(part.subject, id)).first->second;
}

Result<std::optional<std::string>> RecordCheck::why_refused(Part& part, std::string_view bytes) {
  if (bytes.size() < kHeadBytes || bytes.front() != '\0') return no_head(part.name, part.subject);
  const SchemaId id(load_be<std::int32_t>(as_bytes(bytes.substr(1, kIdBytes)).data()));
  const Reply<WritingSchema>& schema = schema_of(part, id);
  if (!schema) {
    const Refusal& why = schema.error();
    if (why.code == Refusal::kStoreFailed) return fail(ErrorCode::kIo, why.message);
    return "its " + std::string(part.name) + " names the schema " + std::to_string(id.value()) +
           ", and " + why.message;
  }
  if (schema->json == nullptr) return std::optional<std::string>();
  const std::string_view text = bytes.substr(kHeadBytes);
  const std::string begins = "its " + std::string(part.name) + " does not fit the JSON Schema " +
                             std::to_string(id.value()) + " of '" + part.subject + "': ";
  if (text.size() > kMaxCheckedJsonBytes) {
    return begins + "it has more than " + std::to_string(kMaxCheckedJsonBytes) +
           " bytes, which is the most that is checked";
  }
  const auto value = parse_json(text);
  if (!value) return begins + value.error().message();
  const auto wrong = schema->json->why_invalid(*value);
  return wrong ? std::optional(begins + *wrong) : std::nullopt;
}

Result<std::optional<std::string>> RecordCheck::why_refused(std::optional<std::string_view> key,
                                                            std::optional<std::string_view> value) {
  if (key_.wanted && key) {
    RUNNEL_TRY_ASSIGN(auto why, why_refused(key_, *key));
    if (why) return why;
  }
  if (value_.wanted && value) return why_refused(value_, *value);
  return std::optional<std::string>();
}

Result<std::vector<RecordCheck::Refused>> RecordCheck::refused_in(Bytes batch, std::size_t most,
                                                                  std::size_t& room) {
  RUNNEL_TRY_ASSIGN(auto reader, protocol::RecordReader::open(batch, room));
  room -= std::min(room, reader.unpacked_bytes());
  std::vector<Refused> out;
  for (std::int32_t index = 0; out.size() < most; ++index) {
    RUNNEL_TRY_ASSIGN(const protocol::Record* const record, reader.next_in_place());
    if (record == nullptr) break;
    RUNNEL_TRY_ASSIGN(auto why, why_refused(record->key, record->value));
    if (why) out.push_back({index, std::move(*why)});
  }
  return out;
}

}  // namespace runnel::broker::schemas
