#include "broker/schemas/types.h"

#include <array>

namespace runnel::broker::schemas {
namespace {

template <class Kind, std::size_t N>
using Names = std::array<std::pair<Kind, std::string_view>, N>;

constexpr Names<SchemaType, 3> kTypes{{{SchemaType::kAvro, "AVRO"},
                                       {SchemaType::kJson, "JSON"},
                                       {SchemaType::kProtobuf, "PROTOBUF"}}};
constexpr Names<Compatibility, 7> kLevels{
    {{Compatibility::kNone, "NONE"},
     {Compatibility::kBackward, "BACKWARD"},
     {Compatibility::kBackwardTransitive, "BACKWARD_TRANSITIVE"},
     {Compatibility::kForward, "FORWARD"},
     {Compatibility::kForwardTransitive, "FORWARD_TRANSITIVE"},
     {Compatibility::kFull, "FULL"},
     {Compatibility::kFullTransitive, "FULL_TRANSITIVE"}}};
constexpr Names<Mode, 4> kModes{{{Mode::kReadWrite, "READWRITE"},
                                 {Mode::kReadOnly, "READONLY"},
                                 {Mode::kReadOnlyOverride, "READONLY_OVERRIDE"},
                                 {Mode::kImport, "IMPORT"}}};

template <class Kind, std::size_t N>
std::string_view name_in(const Names<Kind, N>& names, Kind kind) noexcept {
  for (const auto& [known, name] : names) {
    if (known == kind) return name;
  }
  return "";
}

template <class Kind, std::size_t N>
std::optional<Kind> kind_in(const Names<Kind, N>& names, std::string_view name) noexcept {
  for (const auto& [kind, known] : names) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace

std::string_view name_of(SchemaType type) noexcept {
  return name_in(kTypes, type);
}
std::optional<SchemaType> type_named(std::string_view name) noexcept {
  return kind_in(kTypes, name);
}
std::string_view name_of(Compatibility level) noexcept {
  return name_in(kLevels, level);
}
std::optional<Compatibility> compatibility_named(std::string_view name) {
  return kind_in(kLevels, upper(name));
}
std::string_view name_of(Mode mode) noexcept {
  return name_in(kModes, mode);
}
std::optional<Mode> mode_named(std::string_view name) {
  return kind_in(kModes, upper(name));
}

}  // namespace runnel::broker::schemas
