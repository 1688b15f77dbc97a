// Avro schemas: their parts, and who can read what whom wrote (Avro's schema resolution). No
// library of Debian 12 does it for C++.
#pragma once

#include <boost/json.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/schemas/difference.h"
#include "protocol/base/error.h"

namespace runnel::broker::schemas {

struct AvroNode;

struct AvroField {
  std::string name;
  std::vector<std::string> aliases;
  bool has_default = false;
  const AvroNode* type = nullptr;
};

/// One part of a schema. Named types may lead back to themselves.
struct AvroNode {
  enum class Kind : std::uint8_t {
    kNull,
    kBoolean,
    kInt,
    kLong,
    kFloat,
    kDouble,
    kBytes,
    kString,
    kArray,
    kMap,
    kUnion,
    kRecord,
    kEnum,
    kFixed
  };
  Kind kind = Kind::kNull;
  std::string name;                    ///< full; of named types
  std::vector<std::string> aliases;    ///< full
  std::vector<AvroField> fields;       ///< of a record
  std::vector<std::string> symbols;    ///< of an enum
  bool has_default = false;            ///< of an enum
  std::int64_t size = 0;               ///< of a fixed, in bytes
  std::vector<const AvroNode*> parts;  ///< of a union; an array's or a map's one
};

/// A schema that is well formed. Immutable; thread safe.
class AvroSchema {
 public:
  /// `texts`: the schema last, before it those that it refers to, whose named types it may use.
  /// Errors: kMalformed: what is wrong, and where.
  [[nodiscard]] static Result<AvroSchema> parse(const std::vector<std::string_view>& texts);
  [[nodiscard]] const AvroNode& root() const noexcept { return *root_; }

 private:
  friend class AvroReader;
  std::deque<AvroNode> nodes_;  ///< which do not move
  const AvroNode* root_ = nullptr;
};

/// Whether `reader` understands all that `writer` writes. Adds what is in the way.
void compare_avro(const AvroSchema& writer, const AvroSchema& reader, Differences& out);

}  // namespace runnel::broker::schemas
