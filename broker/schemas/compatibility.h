// Whether a schema may follow others, and whether it is one at all. Schemas of Protobuf are taken
// as they are: nobody here reads them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "broker/schemas/json_schema.h"
#include "broker/schemas/types.h"

namespace runnel::broker::schemas {

/// A schema with the texts of all that it refers to, those first that others need. The texts belong
/// to others, and outlive it.
struct ResolvedSchema {
  SchemaType type = SchemaType::kAvro;
  std::string_view text;
  std::vector<NamedText> uses;
};

/// Errors: kMalformed: what is wrong and where.
[[nodiscard]] Status check_schema(const ResolvedSchema& schema);

/// The text as it is kept: without blanks, and if `normalize` with members in order. It is one that
/// check_schema() has found good.
[[nodiscard]] std::string kept_text(SchemaType type, std::string_view text, bool normalize);
/// The same for two texts of a type that are the same schema.
[[nodiscard]] std::string identity_of(SchemaType type, std::string_view text);

struct Earlier {
  Version version;
  ResolvedSchema schema;
};
/// What is against `next` following `earlier`, in the words of the registry's clients; empty:
/// nothing. All are checked that are given.
[[nodiscard]] std::vector<std::string> incompatibilities(Compatibility level,
                                                         const ResolvedSchema& next,
                                                         std::span<const Earlier> earlier);

}  // namespace runnel::broker::schemas
