#include <array>

#include "broker/hooks/webhook.h"
#include "protocol/filter/json_probe.h"

namespace runnel::broker::hooks {
namespace {

constexpr std::string_view kNull = "null";

/// As it stands between the quotes of a JSON string.
std::string escaped(std::string_view text) {
  const std::string quoted = protocol::json_string(text);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

std::optional<BodyTemplate::Kind> BodyTemplate::kind_named(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Kind>, 6> kKinds{
      {{"key", Kind::kKey},
       {"topic", Kind::kTopic},
       {"partition", Kind::kPartition},
       {"offset", Kind::kOffset},
       {"timestamp", Kind::kTimestamp},
       {"value", Kind::kValue}}};
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

Result<BodyTemplate> BodyTemplate::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxTemplateBytes) {
    return fail(ErrorCode::kInvalidArgument,
                "a template has 1 to " + std::to_string(kMaxTemplateBytes) + " bytes");
  }
  BodyTemplate out;
  std::size_t places = 0;
  while (!text.empty()) {
    const std::size_t place = std::min(text.find("${"), text.size());
    if (place > 0) out.parts_.push_back({Kind::kText, std::string(text.substr(0, place))});
    text.remove_prefix(place);
    if (text.empty()) break;
    const std::size_t end = text.find('}');
    const std::string_view name = text.substr(2, end - std::min<std::size_t>(end, 2));
    const auto kind = kind_named(name);
    auto path = protocol::JsonPath::parse(name);
    if (end == std::string_view::npos || (!kind && !path)) {
      return fail(ErrorCode::kInvalidArgument,
                  "'" + std::string(text.substr(0, 40)) +
                      "' is no place in a record; write ${key}, ${topic}, ${partition}, ${offset}, "
                      "${timestamp}, ${value}, or a JSON pointer into the value: ${/user/name}");
    }
    if (++places > kMaxTemplatePlaces) {
      return fail(ErrorCode::kInvalidArgument, "a template has at most " +
                                                   std::to_string(kMaxTemplatePlaces) +
                                                   " places that a record fills");
    }
    out.parts_.push_back({kind.value_or(Kind::kPath), {}, out.paths_.size()});
    if (!kind) out.paths_.push_back(std::move(*path));
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string BodyTemplate::render(const protocol::Record& record, std::string_view topic,
                                 std::int32_t partition) const {
  const std::string_view value = record.value.value_or("");
  const auto found = protocol::find_in_json(value, paths_);  // what is no JSON has nothing anywhere
  std::string out;
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Kind::kText:
        out += part.text;
        break;
      case Kind::kKey:
        out += record.key ? escaped(*record.key) : kNull;
        break;
      case Kind::kTopic:
        out += escaped(topic);
        break;
      case Kind::kPartition:
        out += std::to_string(partition);
        break;
      case Kind::kOffset:
        out += std::to_string(record.offset.value());
        break;
      case Kind::kTimestamp:
        out += std::to_string(record.timestamp.value());
        break;
      case Kind::kValue:
        out += record.value ? value : kNull;
        break;
      case Kind::kPath: {
        const auto* const at = found && (*found)[part.path] ? &*(*found)[part.path] : nullptr;
        if (at == nullptr) {
          out += kNull;
        } else {
          out += at->is_text ? escaped(at->text) : at->text;
        }
        break;
      }
    }
  }
  return out;
}

}  // namespace runnel::broker::hooks
