// The words of the schema registry: what a schema is, what may be asked of its successors, and what
// goes wrong. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"

namespace runnel::broker::schemas {

/// Names a schema's text for ever; stands in every record that was written with it. From 1.
using SchemaId = Strong<struct SchemaIdTag, std::int32_t>;
/// Counts the schemas of a subject. From 1.
using Version = Strong<struct VersionTag, std::int32_t>;

enum class SchemaType : std::uint8_t { kAvro, kJson, kProtobuf };
/// "AVRO", "JSON", "PROTOBUF".
[[nodiscard]] std::string_view name_of(SchemaType type) noexcept;
/// nullopt: there is no such type.
[[nodiscard]] std::optional<SchemaType> type_named(std::string_view name) noexcept;

/// Another subject's schema that this one uses under `name`.
struct Reference {
  std::string name;
  std::string subject;
  Version version;
  friend auto operator<=>(const Reference&, const Reference&) = default;
};

struct Schema {
  SchemaType type = SchemaType::kAvro;
  std::string text;
  std::vector<Reference> references;
};

/// What is asked of a schema that follows others.
enum class Compatibility : std::uint8_t {
  kNone,
  kBackward,  ///< who reads with the new one understands what was written with the last one
  kBackwardTransitive,  ///< ... with any before
  kForward,  ///< who reads with the last one understands what is written with the new one
  kForwardTransitive,
  kFull,  ///< both
  kFullTransitive,
};
[[nodiscard]] std::string_view name_of(Compatibility level) noexcept;  ///< "BACKWARD", ...
/// Any case.
[[nodiscard]] std::optional<Compatibility> compatibility_named(std::string_view name);
[[nodiscard]] constexpr bool is_transitive(Compatibility level) noexcept {
  return level == Compatibility::kBackwardTransitive ||
         level == Compatibility::kForwardTransitive || level == Compatibility::kFullTransitive;
}
[[nodiscard]] constexpr bool asks_backward(Compatibility level) noexcept {
  return level == Compatibility::kBackward || level == Compatibility::kBackwardTransitive ||
         level == Compatibility::kFull || level == Compatibility::kFullTransitive;
}
[[nodiscard]] constexpr bool asks_forward(Compatibility level) noexcept {
  return level == Compatibility::kForward || level == Compatibility::kForwardTransitive ||
         level == Compatibility::kFull || level == Compatibility::kFullTransitive;
}
inline constexpr Compatibility kDefaultCompatibility = Compatibility::kBackward;

/// What may be done to a subject.
enum class Mode : std::uint8_t {
  kReadWrite,
  kReadOnly,
  kReadOnlyOverride,  ///< of all subjects: whatever theirs say
  kImport,            ///< schemas come with the ids and versions they had elsewhere
};
[[nodiscard]] std::string_view name_of(Mode mode) noexcept;  ///< "READWRITE", ...
/// Any case.
[[nodiscard]] std::optional<Mode> mode_named(std::string_view name);

/// The registry's answer to what it refuses: the codes are those that its clients know.
struct Refusal {
  enum Code : int {
    kSubjectNotFound = 40401,
    kVersionNotFound = 40402,
    kSchemaNotFound = 40403,
    kSubjectSoftDeleted = 40404,
    kSubjectNotSoftDeleted = 40405,
    kVersionSoftDeleted = 40406,
    kVersionNotSoftDeleted = 40407,
    kNoSubjectCompatibility = 40408,
    kNoSubjectMode = 40409,
    kIncompatible = 409,
    kInvalidSchema = 42201,
    kInvalidVersion = 42202,
    kInvalidCompatibility = 42203,
    kInvalidMode = 42204,
    kNotPermitted = 42205,
    kReferenceExists = 42206,
    kIdDiffers = 42207,
    kInvalidSubject = 42208,
    kMalformedBody = 400,
    kStoreFailed = 50001,
  };
  int code = kStoreFailed;
  std::string message;
  /// Of an answer over HTTP.
  [[nodiscard]] unsigned status() const noexcept {
    return static_cast<unsigned>(code >= 10'000 ? code / 100 : code);
  }
};
template <class T>
using Reply = tl::expected<T, Refusal>;
[[nodiscard]] inline tl::unexpected<Refusal> refuse(int code, std::string message) {
  return tl::unexpected<Refusal>(Refusal{code, std::move(message)});
}

}  // namespace runnel::broker::schemas

/// As RUNNEL_TRY and RUNNEL_TRY_ASSIGN, for Reply.
#define RUNNEL_ANSWER(expr)                                        \
  do {                                                             \
    auto&& runnel_answer = (expr);                                 \
    if (!runnel_answer)                                            \
      return ::tl::unexpected<::runnel::broker::schemas::Refusal>( \
          std::move(runnel_answer).error());                       \
  } while (false)
#define RUNNEL_ANSWER_ASSIGN(decl, expr) \
  RUNNEL_ANSWER_ASSIGN_IMPL(RUNNEL_CONCAT(runnel_answer_, __LINE__), decl, expr)
#define RUNNEL_ANSWER_ASSIGN_IMPL(tmp, decl, expr)                                               \
  auto tmp = (expr);                                                                             \
  if (!tmp) return ::tl::unexpected<::runnel::broker::schemas::Refusal>(std::move(tmp).error()); \
  decl = std::move(*tmp)
